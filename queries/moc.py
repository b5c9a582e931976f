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
from cda_db.cells import EMPTY, Ints, count_in_cells, expand, merge, refine

Floats = NDArray[np.float64]

__all__ = [
    "EMPTY", "Ints", "cell_area_km2", "cell_centres", "cell_side_deg", "cells_of_points",
    "count_in_cells", "in_ranges", "intersect", "merge", "refine", "region_ranges", "subtract",
]  # fmt: skip

_MOST_EDGE_CELLS = 2**18  # a region's edge is followed no finer than this


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


def intersect(a: Ints, b: Ints) -> Ints:
    """Cells in both sets; both of one order, sorted and disjoint."""
    if not len(a) or not len(b):
        return EMPTY
    # Every range of a meets the consecutive ranges of b from `first` to `end`.
    first = np.searchsorted(b[:, 1], a[:, 0], side="right")
    end = np.searchsorted(b[:, 0], a[:, 1], side="left")
    which, partner = expand(first, np.maximum(end - first, 0))
    lo = np.maximum(a[which, 0], b[partner, 0])
    hi = np.minimum(a[which, 1], b[partner, 1])
    return np.stack([lo, hi], axis=1)


def subtract(a: Ints, b: Ints, order: int) -> Ints:
    """Cells in ``a`` and not in ``b``."""
    edges = np.concatenate([[0], b.ravel(), [12 * 4**order]]).astype(np.int64)
    outside = edges.reshape(-1, 2)
    return intersect(a, outside[outside[:, 0] < outside[:, 1]])


def in_ranges(cell: Ints, ranges: Ints) -> NDArray[np.bool_]:
    """Which cells are in the set, both of one order."""
    if not len(ranges):
        return np.zeros(len(cell), dtype=np.bool_)
    place = np.searchsorted(ranges[:, 0], cell, side="right") - 1
    return np.asarray((place >= 0) & (cell < ranges[place, 1]), dtype=np.bool_)


def region_ranges(region: Outlined, order: int) -> Ints:
    """Cells of ``order`` whose centre is in the region.

    Only cells near the outline are looked at one by one: from order 0 downward a cell that no
    outline point falls in or next to is wholly inside or wholly outside, and is decided at once.
    An outline that passes more than 262,144 cells is followed no finer: by then a cell is about
    a fifty-thousandth of it.
    """
    cells = np.arange(12, dtype=np.int64)
    found: list[Ints] = []
    for level in range(order + 1):
        inside = region.contains(*cell_centres(cells, level))
        near = _near_outline(region, level) if level < order else np.zeros(0, np.int64)
        if len(near) > _MOST_EDGE_CELLS:
            near = np.zeros(0, np.int64)
        split = np.isin(cells, near)
        whole = cells[inside & ~split]
        found.append(refine(np.stack([whole, whole + 1], axis=1), level, order))
        cells = (4 * cells[split][:, None] + np.arange(4)).ravel()
        if not len(cells):
            break
    return merge(np.concatenate(found))


def _near_outline(region: Outlined, order: int) -> Ints:
    """Cells of ``order`` that the outline passes, and their neighbours."""
    lon, lat = region.outline(cell_side_deg(order) / 4)
    passed = np.unique(cells_of_points(lon, lat, order))
    around = np.asarray(hpgeom.neighbors(2**order, passed), dtype=np.int64)
    return np.union1d(passed, around[around >= 0])
