"""Which detection is which crater: overlaps in the plane and on the sphere, one-to-one matching.

Overlaps are sparse: arrays ``i, j, overlap`` of the pairs of row i of a first list with row j of a
second that overlap at least so much. Matching is Hungarian within each connected group of pairs:
of all one-to-one matchings the one with the largest total overlap, whatever the scores, so that it
does not depend on the order of either list (ties aside).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Pairs:
    """Sparse overlaps: row ``i`` of list a with row ``j`` of list b, IoU ``overlap``; (k,) each."""

    i: Index
    j: Index
    overlap: Floats

    def where(self, keep: NDArray[np.bool_]) -> Pairs:
        """The pairs for which ``keep`` is true."""
        return Pairs(self.i[keep], self.j[keep], self.overlap[keep])


def box_pairs(a: Floats, b: Floats, least: float) -> Pairs:
    """Pairs of boxes (n, 4) and (m, 4), x0 y0 x1 y1, whose IoU is at least ``least`` > 0."""
    i, j = _near(_centres(a), _reach(a), _centres(b), _reach(b))
    common = np.prod(
        np.maximum(
            np.minimum(a[i, 2:4], b[j, 2:4]) - np.maximum(a[i, :2], b[j, :2]),
            0,
        ),
        axis=1,
    )
    iou = common / (_area(a)[i] + _area(b)[j] - common)
    return Pairs(i, j, iou).where(iou >= least)


def disc_pairs(a: Floats, b: Floats, least: float) -> Pairs:
    """Pairs of circles (n, 3) and (m, 3), x y diameter in a plane, with IoU at least ``least``."""
    i, j = _near(a[:, :2], a[:, 2] / 2, b[:, :2], b[:, 2] / 2)
    distance = np.hypot(*(a[i, :2] - b[j, :2]).T)
    iou = circle_iou(distance, a[i, 2] / 2, b[j, 2] / 2)
    return Pairs(i, j, iou).where(iou >= least)


def sphere_pairs(a: Floats, b: Floats, radius: float, least: float) -> Pairs:
    """Pairs of circles on a sphere with IoU at least ``least``.

    Args:
        a, b: (n, 3) and (m, 3): longitude and latitude in degrees, diameter in the unit of
            ``radius``. Distance is along the great circle, the lens is planar, as in suppression.
        radius: of the sphere.
    """
    i, j = _near(_vectors(a), a[:, 2] / 2 / radius, _vectors(b), b[:, 2] / 2 / radius)
    distance = radius * great_circle(a[i], b[j])
    iou = circle_iou(distance, a[i, 2] / 2, b[j, 2] / 2)
    return Pairs(i, j, iou).where(iou >= least)


def circle_iou(distance: Floats, r1: Floats, r2: Floats) -> Floats:
    """Intersection over union of circles of radii r1, r2 > 0 whose centres lie so far apart."""
    d = np.maximum(distance, 1e-300)
    large, small = np.maximum(r1, r2), np.minimum(r1, r2)
    cos1 = np.clip((d**2 + large**2 - small**2) / (2 * d * large), -1, 1)
    cos2 = np.clip((d**2 + small**2 - large**2) / (2 * d * small), -1, 1)
    kite = (-d + large + small) * (d + large - small) * (d - large + small) * (d + large + small)
    lens = (
        large**2 * np.arccos(cos1) + small**2 * np.arccos(cos2) - 0.5 * np.sqrt(np.maximum(kite, 0))
    )
    lens = np.where(distance >= r1 + r2, 0.0, lens)
    lens = np.where(distance <= large - small, np.pi * small**2, lens)
    return np.asarray(lens / (np.pi * (r1**2 + r2**2) - lens), dtype=np.float64)


def match(pairs: Pairs, n_a: int, n_b: int) -> tuple[Index, Index, Floats]:
    """One-to-one matching of largest total overlap.

    Returns:
        rows of a, rows of b and overlaps of the matched pairs, by row of a.
    """
    i, j, overlap = pairs.i, pairs.j, pairs.overlap
    if not len(i):
        empty = np.empty(0, np.intp)
        return empty, empty, np.empty(0)
    graph = coo_matrix((np.ones(len(i)), (i, n_a + j)), shape=(n_a + n_b, n_a + n_b))
    _, label = connected_components(graph, directed=False)
    group = label[i]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) > 0, True])
    lone = np.diff(starts) == 1
    chosen = [order[starts[:-1][lone]]]
    for first, last in zip(starts[:-1][~lone], starts[1:][~lone], strict=True):
        chosen.append(_assign(order[first:last], i, j, overlap))
    rows = np.concatenate(chosen)
    rows = rows[np.argsort(i[rows], kind="stable")]
    return i[rows], j[rows], overlap[rows]


def _assign(members: Index, i: Index, j: Index, overlap: Floats) -> Index:
    """Positions, out of ``members``, of the pairs that the Hungarian method picks."""
    rows, row = np.unique(i[members], return_inverse=True)
    columns, column = np.unique(j[members], return_inverse=True)
    gain = np.zeros((len(rows), len(columns)))
    gain[row, column] = overlap[members]
    position = np.full(gain.shape, -1)
    position[row, column] = members
    picked = position[linear_sum_assignment(gain, maximize=True)]
    return np.asarray(picked[picked >= 0], dtype=np.intp)


def _near(a: Floats, reach_a: Floats, b: Floats, reach_b: Floats) -> tuple[Index, Index]:
    """Pairs of points that are no farther apart than their reaches together (a superset is fine).

    Objects of like reach are searched together, so that one basin does not widen every search.
    """
    found_i, found_j = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    if not len(a) or not len(b):
        return found_i[0], found_j[0]
    octave = np.floor(np.log2(np.maximum(reach_b, 1e-12)))
    for level in np.unique(octave):
        members = np.flatnonzero(octave == level)
        tree = cKDTree(b[members])
        hits = tree.query_ball_point(a, (reach_a + reach_b[members].max()) * (1 + 1e-9))
        counts = np.array([len(hit) for hit in hits])
        found_i.append(np.repeat(np.arange(len(a)), counts))
        flat = np.concatenate([np.asarray(hit, np.intp) for hit in hits])
        found_j.append(members[flat])
    return np.concatenate(found_i), np.concatenate(found_j)


def _centres(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, :2] + boxes[:, 2:4]) / 2, dtype=np.float64)


def _reach(boxes: Floats) -> Floats:
    return np.asarray(np.hypot(*(boxes[:, 2:4] - boxes[:, :2]).T) / 2, dtype=np.float64)


def _area(boxes: Floats) -> Floats:
    return np.asarray(np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1), dtype=np.float64)


def _vectors(rows: Floats) -> Floats:
    lon, lat = np.radians(rows[:, 0]), np.radians(rows[:, 1])
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def great_circle(a: Floats, b: Floats) -> Floats:
    """Angle in radians between points (k, 2+) in degrees, exact for near and for far ones."""
    u, v = _vectors(a), _vectors(b)
    return np.asarray(
        np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), np.sum(u * v, axis=1)),
        dtype=np.float64,
    )
