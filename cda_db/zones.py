"""Zones: boxes of longitude and latitude that cut the sphere into pieces of like work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Zone(NamedTuple):
    """west <= lon < east, south <= lat < north, degrees; the northernmost zone holds its pole."""

    west: float
    south: float
    east: float
    north: float


WHOLE_SPHERE = Zone(-180.0, -90.0, 180.0, 90.0)


class Extent(NamedTuple):
    """Bounds (degrees) of one batch's detections, and their number."""

    west: float
    south: float
    east: float
    north: float
    weight: int


def cut_zones(
    batches: Sequence[Extent],
    per_zone: int,
    zone: Zone = WHOLE_SPHERE,
    least_share: float = 0.35,
) -> list[Zone]:
    """Halve the sphere until a zone holds at most ``per_zone``, cutting through little.

    A batch that a cut goes through is read for both halves: of all cuts that leave neither half
    too small, the one through the least weight is taken. Zones cover the sphere without gap or
    overlap whatever the batches, which only balance work.

    Args:
        batches: bounds and size of each batch.
        per_zone: largest total of a zone; one batch alone is never cut.
        zone: what to cut.
        least_share: of the weight that either half of a cut must hold, so that pieces stay of like
            work: the larger, the less choice there is of cuts that go through little.
    """
    total = sum(batch.weight for batch in batches)
    if total <= per_zone or len(batches) < 2:
        return [zone]
    found = [cut for axis in (0, 1) if (cut := _best_cut(batches, axis, least_share)) is not None]
    if not found:
        return [zone]
    _, _, axis, place = min(found)
    first = [batch for batch in batches if _centre(batch, axis) < place]
    rest = [batch for batch in batches if _centre(batch, axis) >= place]
    low, high = _halves(zone, axis, place)
    return [
        *cut_zones(first, per_zone, low, least_share),
        *cut_zones(rest, per_zone, high, least_share),
    ]


def heaviest_first(zones: Sequence[Zone], batches: Sequence[Extent]) -> list[Zone]:
    """Zones in descending order of the batches whose centre they hold."""
    weight = np.array([batch.weight for batch in batches], dtype=float)
    lon = np.array([_centre(batch, 0) for batch in batches])
    lat = np.array([_centre(batch, 1) for batch in batches])

    def total(zone: Zone) -> float:
        inside = (lon >= zone.west) & (lon < zone.east) & (lat >= zone.south) & (lat < zone.north)
        return float(weight[inside].sum())

    return sorted(zones, key=total, reverse=True)


def _centre(batch: Extent, axis: int) -> float:
    return (batch[axis] + batch[axis + 2]) / 2


def _best_cut(
    batches: Sequence[Extent], axis: int, least_share: float
) -> tuple[float, float, int, float] | None:
    """(weight cut through, distance from the middle, axis, place); None where nothing divides."""
    low = np.array([batch[axis] for batch in batches])
    high = np.array([batch[axis + 2] for batch in batches])
    weight = np.array([batch.weight for batch in batches], dtype=float)
    centre = (low + high) / 2
    places = np.unique(np.concatenate([low, high, _between(centre)]))
    before = _weight_below(centre, weight, places)
    share = before / weight.sum()
    divides = (_count_below(centre, places) > 0) & (_count_below(centre, places) < len(batches))
    if not divides.any():
        return None
    fair = divides & (share >= least_share) & (share <= 1 - least_share)
    through = _weight_below(low, weight, places) - _weight_below(high, weight, places, "right")
    off = np.abs(share - 0.5)
    # where one batch outweighs all others no cut is fair: the fairest is then taken
    chosen = fair if fair.any() else divides & (off == off[divides].min())
    best = min(np.flatnonzero(chosen), key=lambda k: (through[k], off[k], places[k]))
    return float(through[best]), float(off[best]), axis, float(places[best])


def _between(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.unique(centres)
    return (places[1:] + places[:-1]) / 2


def _count_below(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.searchsorted(np.sort(values), places).astype(np.int64)


def _weight_below(
    values: NDArray[np.float64],
    weight: NDArray[np.float64],
    places: NDArray[np.float64],
    side: Literal["left", "right"] = "left",
) -> NDArray[np.float64]:
    """Weight whose value is below each place (``right``: or equal to it)."""
    order = np.argsort(values)
    sums = np.concatenate([[0.0], np.cumsum(weight[order])])
    return sums[np.searchsorted(values[order], places, side)]


def _halves(zone: Zone, axis: int, cut: float) -> tuple[Zone, Zone]:
    if axis == 0:
        return zone._replace(east=cut), zone._replace(west=cut)
    return zone._replace(north=cut), zone._replace(south=cut)
