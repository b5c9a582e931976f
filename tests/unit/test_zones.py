"""Zones: no gap, no overlap, pieces of like work, and cuts that go round batches where they can."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cda_db.zones import WHOLE_SPHERE, Extent, Zone, cut_zones


def grid(step: float, jitter: float = 0.0, weight: int = 10) -> list[Extent]:
    """Scenes of a grid, each with a second, slightly smaller batch, as levels make them."""
    west = [-180 + step * k for k in range(int(360 / step))]
    south = [-60 + step * k for k in range(int(120 / step))]
    return [
        Extent(w + inset, s + inset, w + step - inset, s + step - inset, weight)
        for w in west
        for s in south
        for inset in (jitter, 3 * jitter)
    ]


@st.composite
def extents(draw: st.DrawFn) -> list[Extent]:
    """Batches anywhere, of any size, some of them all round the planet."""
    west, south = draw(st.floats(-180, 179)), draw(st.floats(-90, 89))
    batches = []
    for _ in range(draw(st.integers(0, 30))):
        west, south = draw(st.floats(-180, 179)), draw(st.floats(-90, 89))
        east = draw(st.one_of(st.just(180.0), st.floats(west, 180)))
        north = draw(st.floats(south, 90))
        batches.append(Extent(west, south, east, north, draw(st.integers(1, 1000))))
    return batches


def holds(zone: Zone, lon: float, lat: float) -> bool:
    """Membership as the SQL decides it."""
    return (
        zone.west <= lon < zone.east
        and zone.south <= lat
        and (lat < zone.north or zone.north >= 90)
    )


@settings(max_examples=100, deadline=None)
@given(extents(), st.integers(1, 3000), st.floats(-180, 179.999), st.floats(-90, 90))
def test_every_place_is_in_exactly_one_zone(
    batches: list[Extent], per_zone: int, lon: float, lat: float
) -> None:
    zones = cut_zones(batches, per_zone)
    assert sum(holds(zone, lon, lat) for zone in zones) == 1


@settings(max_examples=100, deadline=None)
@given(extents(), st.integers(1, 3000))
def test_no_zone_is_too_heavy_that_a_cut_between_centres_could_lighten(
    batches: list[Extent], per_zone: int
) -> None:
    for zone in cut_zones(batches, per_zone):
        inside = [
            batch
            for batch in batches
            if holds(zone, (batch.west + batch.east) / 2, (batch.south + batch.north) / 2)
        ]
        centres = {(b.west + b.east, b.south + b.north) for b in inside}
        assert sum(batch.weight for batch in inside) <= per_zone or len(centres) < 2


def test_cuts_run_along_the_scenes_edges() -> None:
    batches = grid(4.0, jitter=0.001)
    zones = cut_zones(batches, 2000)
    assert len(zones) >= sum(batch.weight for batch in batches) // 2000
    for batch in batches:
        touched = [
            zone
            for zone in zones
            if zone.west < batch.east and zone.east > batch.west
            and zone.south < batch.north and zone.north > batch.south
        ]  # fmt: skip
        assert len(touched) == 1


def test_one_batch_and_none_leave_the_sphere_whole() -> None:
    assert cut_zones([], 1) == [WHOLE_SPHERE]
    assert cut_zones([Extent(0, 0, 1, 1, 10**9)], 1) == [WHOLE_SPHERE]
    assert cut_zones([Extent(0, 0, 1, 1, 10**9)] * 2, 1) == [WHOLE_SPHERE]
