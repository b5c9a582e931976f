"""Areas of spherical Voronoi cells, clipped to the imaged ground.

The convex hull of points on a sphere is their Delaunay triangulation; a cell is the fan of
triangles (crater, circumcentre, circumcentre) over its Delaunay edges. Everything is vectorised:
10^6 cells take about 10 s on one core, most of it Qhull. More than `AT_ONCE` craters are done in
parts, so that memory stays bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError
from queries.coverage import Coverage
from queries.secondaries.delaunay import fan_of
from queries.secondaries.parts import parts_of
from queries.sphere import Floats, unit_vectors

AT_ONCE = 1_000_000  # craters that are triangulated at once: about 1.7 GB
_MIN_POINTS = 4


@dataclass(frozen=True)
class Cells:
    """Voronoi cells of n points.

    Attributes:
        area_sr: clipped area of each cell, steradian; equal points share their cell equally.
        whole_sr: area before clipping.
        edges: (m, 2) indices of neighbouring points (Delaunay edges), each pair once.
    """

    area_sr: Floats
    whole_sr: Floats
    edges: NDArray[np.int64]


def voronoi_cells(
    lon_deg: ArrayLike,
    lat_deg: ArrayLike,
    coverage: Coverage,
    *,
    rough: bool = False,
    at_once: int = AT_ONCE,
) -> Cells:
    """Voronoi cells on the sphere and their imaged area.

    Args:
        lon_deg, lat_deg: shape (n,), n >= 4 distinct points not all on one great circle.
        coverage: what was imaged; a wholly imaged sphere costs nothing.
        rough: clip with nine samples a triangle only, four times as fast (about 5 % a cell).
        at_once: more craters than these are done in parts; the cells are the same.

    Raises:
        InputError: fewer than four distinct points.
    """
    vectors = unit_vectors(lon_deg, lat_deg)
    unique, inverse, counts = _distinct(vectors)
    if len(unique) < _MIN_POINTS:
        raise InputError(
            f"{len(unique)} distinct craters have no Voronoi cells on a sphere.",
            "Give at least four, or a wider range of diameters.",
        )
    whole, area, edges = _cells(unique, coverage, rough, at_once)
    first = np.full(len(unique), -1)
    first[inverse[::-1]] = np.arange(len(inverse))[::-1]
    return Cells(
        area_sr=(area / counts)[inverse],
        whole_sr=(whole / counts)[inverse],
        edges=first[edges].astype(np.int64),
    )


def _distinct(vectors: Floats) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows, the row of each vector among them, and how often each occurs."""
    order = np.lexsort(vectors.T)
    ordered = vectors[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    inverse = np.empty(len(vectors), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return ordered[new], inverse, np.bincount(inverse)


def _cells(
    points: Floats, coverage: Coverage, rough: bool, at_once: int
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Whole and imaged areas of distinct points, and their edges."""
    if len(points) <= at_once:
        fan = fan_of(points)
        return *fan.areas(len(points), coverage, rough, len(points)), fan.edges
    whole, imaged = np.empty(len(points)), np.empty(len(points))
    edges = []
    for part in parts_of(points, at_once // 2):
        areas = part.fan.areas(len(part.members), coverage, rough, len(points))
        core = np.searchsorted(part.members, part.core)
        whole[part.core], imaged[part.core] = (area[core] for area in areas)
        edges.append(part.members[part.fan.edges])
    return whole, imaged, np.concatenate(edges)
