"""Greedy suppression in memory, written apart from the database's: trees in space, NumPy rounds.

The same definition (circles on the sphere, planar lens, score, diameter, place), another way: pairs
by scipy's k-d trees of unit vectors, one tree an octave of radius, and no zones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def circle_iou(distance: Floats, r_1: Floats, r_2: Floats) -> Floats:
    """IoU of circles: twice two circular segments, from the chord that they share."""
    small, large = np.minimum(r_1, r_2), np.maximum(r_1, r_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = (distance**2 + large**2 - small**2) / (2 * distance)
        chord = np.sqrt(np.maximum(large**2 - cut**2, 0))
        segments = large**2 * np.arctan2(chord, cut) - cut * chord
        segments += small**2 * np.arctan2(chord, distance - cut) - (distance - cut) * chord
    both = np.where(distance <= large - small, np.pi * small**2, segments)
    both = np.where(distance >= large + small, 0, both)
    iou: Floats = both / (np.pi * (small**2 + large**2) - both)
    return iou


def rival_pairs(
    unit: Floats, radius: Floats, sphere_m: float, threshold: float
) -> tuple[Ints, Ints, Floats]:
    """All pairs with IoU at least the threshold, and their IoU.

    Args:
        unit: (n, 3) centres on the unit sphere.
        radius: (n,) metres.
    """
    octave = np.floor(np.log2(radius)).astype(int)
    step = int(np.ceil(-np.log2(threshold) / 2))  # a rival is at most 1 / sqrt(t) times larger
    trees = {k: (np.flatnonzero(octave == k)) for k in np.unique(octave)}
    first, second = [], []
    for k, rows in trees.items():
        others = np.concatenate([trees[m] for m in range(k - step, k + 1) if m in trees])
        reach = 2 * np.sin(min(2 * 2.0 ** (k + 1) / sphere_m, np.pi) / 2)
        near = cKDTree(unit[rows]).sparse_distance_matrix(
            cKDTree(unit[others]), reach, output_type="ndarray"
        )
        first.append(rows[near["i"]])
        second.append(others[near["j"]])
    a, b = np.concatenate(first), np.concatenate(second)
    # within an octave both ways round come, across octaves one
    pairs = np.unique(np.stack([np.minimum(a, b), np.maximum(a, b)])[:, a != b], axis=1)
    a, b = pairs
    chord = np.linalg.norm(unit[a] - unit[b], axis=1)
    iou = circle_iou(2 * np.arcsin(chord / 2) * sphere_m, radius[a], radius[b])
    rival = iou >= threshold
    return a[rival], b[rival], iou[rival]


def suppress(
    lon: Floats, lat: Floats, diameter_m: Floats, score: Floats, place: Ints,
    sphere_m: float, threshold: float,
) -> Ints:  # fmt: skip
    """For each row -1 (kept), or the row of its highest-ranked kept rival."""
    lam, phi = np.radians(lon), np.radians(lat)
    unit = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
    a, b, _ = rival_pairs(unit, diameter_m / 2, sphere_m, threshold)
    rank = np.empty(len(lon), dtype=np.int64)
    rank[np.lexsort((place, -diameter_m, -score))] = np.arange(len(lon))
    winner, loser = np.where(rank[a] < rank[b], a, b), np.where(rank[a] < rank[b], b, a)
    order = np.argsort(rank[loser], kind="stable")
    winner, loser = winner[order], loser[order]
    verdict = np.full(len(lon), -1)
    # from the best loser down: all that outranks a row is decided before it
    starts = np.flatnonzero(np.concatenate([[True], np.diff(loser) != 0]))
    for start, stop in zip(starts, [*starts[1:], len(loser)], strict=True):
        rivals = winner[start:stop]
        kept = rivals[verdict[rivals] < 0]
        if len(kept):
            verdict[loser[start]] = kept[np.argmin(rank[kept])]
    return verdict
