"""Sets of HEALPix cells as half-open ranges of nested indices (multi-order coverage).

Ranges are int64 (n, 2), sorted and disjoint, of one order. Cells of one order have equal areas,
so an area is a number of cells.
"""

from __future__ import annotations

from math import degrees, pi, sqrt
from typing import Protocol

import hpgeom
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.bodies import Body

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

EMPTY: Ints = np.zeros((0, 2), dtype=np.int64)


class Outlined(Protocol):
    """What ``region_ranges`` needs of a region."""

    def contains(self, lon_deg: Floats, lat_deg: Floats) -> NDArray[np.bool_]:
        """Which points are inside."""

    def outline(self, spacing_deg: float) -> tuple[Floats, Floats]:
        """Points (lon, lat) along the whole boundary, at most ``spacing_deg`` of arc apart."""


def cell_side_deg(order: int) -> float:
    """Side of a square of a cell's area, degrees of arc."""
    return float(degrees(sqrt(pi / 3)) / 2**order)


def cell_area_km2(body: Body, order: int) -> float:
    """Area of each cell of that order on the body's sphere, km2."""
    return float(body.area_km2 / (12 * 4**order))


def cells_of_points(lon_deg: ArrayLike, lat_deg: ArrayLike, order: int) -> Ints:
    """Nested cell of each point (degrees east, degrees north)."""
    lon, lat = (np.asarray(x, dtype=np.float64) for x in (lon_deg, lat_deg))
    return np.asarray(hpgeom.angle_to_pixel(2**order, lon, lat), dtype=np.int64)


def cell_centres(cell: ArrayLike, order: int) -> tuple[Floats, Floats]:
    """Longitude in [-180, 180) and latitude of cell centres, degrees."""
    lon, lat = hpgeom.pixel_to_angle(2**order, np.asarray(cell, dtype=np.int64))
    return np.mod(np.asarray(lon) + 180, 360) - 180, np.asarray(lat)


def merge(ranges: Ints) -> Ints:
    """Ranges sorted, with those that touch or overlap joined."""
    if not len(ranges):
        return EMPTY
    ordered = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    first = np.append(True, ordered[1:, 0] > reach[:-1])
    last = np.append(np.flatnonzero(first)[1:] - 1, len(ordered) - 1)
    return np.stack([ordered[first, 0], reach[last]], axis=1)


def intersect(a: Ints, b: Ints) -> Ints:
    """Cells in both sets; both of one order, sorted and disjoint."""
    if not len(a) or not len(b):
        return EMPTY
    # Every range of a meets the consecutive ranges of b from `first` to `end`.
    first = np.searchsorted(b[:, 1], a[:, 0], side="right")
    end = np.searchsorted(b[:, 0], a[:, 1], side="left")
    which, partner = _expand(first, np.maximum(end - first, 0))
    lo = np.maximum(a[which, 0], b[partner, 0])
    hi = np.minimum(a[which, 1], b[partner, 1])
    return np.stack([lo, hi], axis=1)


def subtract(a: Ints, b: Ints, order: int) -> Ints:
    """Cells in ``a`` and not in ``b``."""
    edges = np.concatenate([[0], b.ravel(), [12 * 4**order]]).astype(np.int64)
    outside = edges.reshape(-1, 2)
    return intersect(a, outside[outside[:, 0] < outside[:, 1]])


def refine(ranges: Ints, order: int, finer: int) -> Ints:
    """The same set at a finer order."""
    return np.asarray(ranges << (2 * (finer - order)), dtype=np.int64)


def in_ranges(cell: Ints, ranges: Ints) -> NDArray[np.bool_]:
    """Which cells are in the set, both of one order."""
    if not len(ranges):
        return np.zeros(len(cell), dtype=np.bool_)
    place = np.searchsorted(ranges[:, 0], cell, side="right") - 1
    return np.asarray((place >= 0) & (cell < ranges[place, 1]), dtype=np.bool_)


def count_in_cells(ranges: Ints, order: int, coarse: int) -> tuple[Ints, Ints]:
    """How many cells of the set lie in each cell of a coarser (or the same) order.

    Args:
        ranges: set of cells of ``order``.
        order, coarse: coarse <= order.

    Returns:
        the coarse cells that hold any, ascending, and the numbers of fine cells in them.
    """
    if not len(ranges):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    shift = 2 * (order - coarse)
    first, last = ranges[:, 0] >> shift, (ranges[:, 1] - 1) >> shift
    which, cell = _expand(first, last - first + 1)
    lo = np.maximum(ranges[which, 0], cell << shift)
    hi = np.minimum(ranges[which, 1], (cell + 1) << shift)
    begin = np.flatnonzero(np.append(True, np.diff(cell) > 0))  # ascending, as the ranges are
    return cell[begin], np.add.reduceat(hi - lo, begin)


def region_ranges(region: Outlined, order: int) -> Ints:
    """Cells of ``order`` whose centre is in the region.

    Only cells near the outline are looked at one by one: from order 0 downward a cell that no
    outline point falls in or next to is wholly inside or wholly outside, and is decided at once.
    """
    cells = np.arange(12, dtype=np.int64)
    found: list[Ints] = []
    for level in range(order + 1):
        inside = region.contains(*cell_centres(cells, level))
        near = _near_outline(region, level) if level < order else np.zeros(0, np.int64)
        split = np.isin(cells, near)
        whole = cells[inside & ~split]
        found.append(refine(np.stack([whole, whole + 1], axis=1), level, order))
        cells = (4 * cells[split][:, None] + np.arange(4)).ravel()
    return merge(np.concatenate(found))


def _near_outline(region: Outlined, order: int) -> Ints:
    """Cells of ``order`` that the outline passes, and their neighbours."""
    lon, lat = region.outline(cell_side_deg(order) / 4)
    passed = np.unique(cells_of_points(lon, lat, order))
    around = np.asarray(hpgeom.neighbors(2**order, passed), dtype=np.int64)
    return np.union1d(passed, around[around >= 0])


def _expand(start: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Row number and value for start[i], start[i] + 1, ..., count[i] of them a row."""
    row = np.repeat(np.arange(len(start)), count)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, start[row] + offset
