"""Brute force: what the database must equal, written without looking at its SQL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def distance_m(lon_1: Floats, lat_1: Floats, lon_2: Floats, lat_2: Floats, radius: float) -> Floats:
    """Great-circle distance by the haversine formula (degrees in, metres out)."""
    lam_1, phi_1, lam_2, phi_2 = map(np.radians, (lon_1, lat_1, lon_2, lat_2))
    h = (
        np.sin((phi_2 - phi_1) / 2) ** 2
        + np.cos(phi_1) * np.cos(phi_2) * np.sin((lam_2 - lam_1) / 2) ** 2
    )
    return 2 * radius * np.arcsin(np.minimum(1, np.sqrt(h)))


def circle_iou(distance: Floats, r_1: Floats, r_2: Floats) -> Floats:
    """IoU of circles by the planar lens area (two circular segments)."""
    d, a, b = np.broadcast_arrays(distance, r_1, r_2)
    small, large = np.minimum(a, b), np.maximum(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        half_a = np.arccos(np.clip((d**2 + a**2 - b**2) / (2 * d * a), -1, 1))
        half_b = np.arccos(np.clip((d**2 + b**2 - a**2) / (2 * d * b), -1, 1))
        lens = a**2 * (half_a - np.sin(2 * half_a) / 2) + b**2 * (half_b - np.sin(2 * half_b) / 2)
    lens = np.where(d >= a + b, 0.0, np.where(d <= large - small, np.pi * small**2, lens))
    return lens / (np.pi * (a**2 + b**2) - lens)


@dataclass(frozen=True)
class Verdicts:
    """``suppressor[i]`` is -1 for a kept row, else the row of its highest-ranked kept rival."""

    suppressor: NDArray[np.int64]
    iou: Floats


def greedy_nms(
    lon: Floats, lat: Floats, diameter_m: Floats, score: Floats, place: Floats,
    *, radius_m: float, threshold: float,
) -> Verdicts:  # fmt: skip
    """Greedy suppression over all rows, ranked by (score desc, diameter desc, place asc)."""
    order = np.lexsort((place, -diameter_m, -score))
    suppressor = np.full(len(lon), -1)
    overlap = np.zeros(len(lon))
    kept: list[int] = []
    for row in order:
        if kept:
            k = np.array(kept)
            iou = circle_iou(
                distance_m(lon[row], lat[row], lon[k], lat[k], radius_m),
                diameter_m[row] / 2,
                diameter_m[k] / 2,
            )
            rivals = np.flatnonzero(iou >= threshold)
            if len(rivals):
                suppressor[row], overlap[row] = k[rivals[0]], iou[rivals[0]]
                continue
        kept.append(int(row))
    return Verdicts(suppressor, overlap)
