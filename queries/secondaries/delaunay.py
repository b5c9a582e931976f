"""Delaunay triangles of points on a sphere, and the fans of triangles that Voronoi cells are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from queries.coverage import Coverage
from queries.secondaries.clipping import imaged_area_of_long, imaged_share
from queries.sphere import Floats, solid_angle

_COARSE, _FINE = 3, 10  # points an edge of the sampling lattice of clipped triangles
_LONG = 6.0  # triangles longer than so many mean cell sides reach far over unimaged ground


@dataclass(frozen=True)
class Fan:
    """Pieces of Voronoi cells: triangles (owner, circumcentre, circumcentre), one an edge and side.

    Attributes:
        points, centres: unit vectors, (n, 3) and (t, 3).
        owner: (k,) point that owns the piece.
        other: (k,) the neighbour across the piece's outer side.
        right, left: (k,) circumcentres, seen from the owner.
    """

    points: Floats
    centres: Floats
    owner: NDArray[np.int64]
    other: NDArray[np.int64]
    right: NDArray[np.int64]
    left: NDArray[np.int64]

    @property
    def edges(self) -> NDArray[np.int64]:
        """Neighbouring points, (m, 2): each pair where its first point owns a piece here."""
        once = self.owner < self.other
        return np.stack([self.owner[once], self.other[once]], axis=1)

    def of_owners(self, owners: NDArray[np.int64]) -> Fan:
        """The pieces of some points only."""
        mine = np.zeros(len(self.points), bool)
        mine[owners] = True
        keep = mine[self.owner]
        pieces = (self.owner, self.other, self.right, self.left)
        return Fan(self.points, self.centres, *(piece[keep] for piece in pieces))

    def areas(
        self, n: int, coverage: Coverage, rough: bool, population: int
    ) -> tuple[Floats, Floats]:
        """Whole and imaged area of each of `n` points' cells, steradian.

        Args:
            n: points.
            coverage: what was imaged.
            rough: clip with nine samples a triangle only.
            population: points on the whole coverage, of which these may be a part.
        """
        a, b, c = self.points[self.owner], self.centres[self.right], self.centres[self.left]
        pieces = solid_angle(a, b, c)
        whole = _sum_by(self.owner, pieces, n)
        if coverage.complete:
            return whole, whole
        imaged = pieces * imaged_share(a, b, c, coverage, _COARSE)
        # Where the coarse lattice met anything but whole ground, a finer one decides.
        touched = np.zeros(n, bool)
        touched[self.owner[imaged != pieces]] = True
        extent = np.maximum(_arc(a, b), _arc(a, c))
        long = extent > _LONG * np.sqrt(coverage.area_sr / population)
        again = touched[self.owner] & ~long & (not rough)
        imaged[again] = pieces[again] * imaged_share(a[again], b[again], c[again], coverage, _FINE)
        imaged[long] = imaged_area_of_long(a[long], b[long], c[long], coverage)
        return whole, _sum_by(self.owner, imaged, n)

    def reach(self) -> Floats:
        """Arc in radians from each piece's owner to the circumcentre on its left."""
        return _arc(self.points[self.owner], self.centres[self.left])


def _sum_by(owner: NDArray[np.int64], values: Floats, n: int) -> Floats:
    return np.asarray(np.bincount(owner, values, minlength=n), dtype=np.float64)


def _arc(a: Floats, b: Floats) -> Floats:
    """Arc in radians between unit vectors; exact for small arcs."""
    return np.asarray(2.0 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2.0, 0.0, 1.0)))


def fan_of(points: Floats) -> Fan:
    """The pieces of all cells of distinct points (n, 3), n >= 4.

    Qhull's neighbour k of a triangle lies across from its corner k, over the edge (k+1, k+2).
    """
    triangles, centres, partner = _delaunay(points)
    index = np.arange(len(triangles))
    start = np.concatenate([triangles[:, (k + 1) % 3] for k in range(3)])
    end = np.concatenate([triangles[:, (k + 2) % 3] for k in range(3)])
    # Seen from `start`, this triangle lies left of the edge start -> end, its partner right.
    right = np.concatenate([partner[:, k] for k in range(3)])
    return Fan(points, centres, start, end, right, np.tile(index, 3))


def _delaunay(points: Floats) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Triangles (t, 3) counter-clockwise from outside, circumcentres (t, 3), neighbours (t, 3)."""
    hull = ConvexHull(points)
    triangles = hull.simplices.astype(np.int64)
    neighbours = hull.neighbors.astype(np.int64)
    a, b, c = points[triangles[:, 0]], points[triangles[:, 1]], points[triangles[:, 2]]
    normal = np.cross(b - a, c - a)
    # Qhull's outward equation, not the origin, says which way is out: a cap's back face is flat.
    inward = np.sum(normal * hull.equations[:, :3], axis=1) < 0.0
    triangles[inward, 1], triangles[inward, 2] = triangles[inward, 2], triangles[inward, 1].copy()
    neighbours[inward, 1], neighbours[inward, 2] = (
        neighbours[inward, 2],
        neighbours[inward, 1].copy(),
    )
    normal[inward] *= -1.0
    return triangles, normal / np.linalg.norm(normal, axis=1)[:, None], neighbours
