"""Zones: boxes of longitude and latitude that cut the sphere into pieces of like work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Zone(NamedTuple):
    """west <= lon < east, south <= lat < north, degrees; the northernmost zone holds its pole."""

    west: float
    south: float
    east: float
    north: float


WHOLE_SPHERE = Zone(-180.0, -90.0, 180.0, 90.0)

# (lon, lat, weight) of one batch
Weight = tuple[float, float, int]


def cut_zones(weights: Sequence[Weight], per_zone: int, zone: Zone = WHOLE_SPHERE) -> list[Zone]:
    """Halve the sphere at weighted medians until a zone holds at most ``per_zone``.

    Zones cover the sphere without gap or overlap whatever the weights, which only balance work.

    Args:
        weights: centre (degrees) and size of each batch.
        per_zone: largest total of a zone; one batch alone is never cut.
    """
    total = sum(weight for _, _, weight in weights)
    if total <= per_zone or len(weights) < 2:
        return [zone]
    axes = (0, 1) if zone.east - zone.west >= zone.north - zone.south else (1, 0)
    for axis in axes:
        cut = _weighted_median([(item[axis], item[2]) for item in weights])
        if cut is not None:
            low, high = _halves(zone, axis, cut)
            first = [item for item in weights if item[axis] < cut]
            rest = [item for item in weights if item[axis] >= cut]
            return cut_zones(first, per_zone, low) + cut_zones(rest, per_zone, high)
    return [zone]


def _weighted_median(values: list[tuple[float, int]]) -> float | None:
    """A cut between two different places near half the weight; None where all are the same."""
    ordered = sorted(values)
    places = sorted({place for place, _ in ordered})
    if len(places) < 2:
        return None
    half = sum(weight for _, weight in ordered) / 2
    running, median = 0, places[0]
    for place, weight in ordered:
        running += weight
        if running >= half:
            median = place
            break
    index = min(places.index(median) + 1, len(places) - 1)
    return (places[index - 1] + places[index]) / 2


def _halves(zone: Zone, axis: int, cut: float) -> tuple[Zone, Zone]:
    if axis == 0:
        return zone._replace(east=cut), zone._replace(west=cut)
    return zone._replace(north=cut), zone._replace(south=cut)
