"""Smoothing and ratios of density maps: counts and areas are summed, densities never averaged."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from math import pi, sin

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cda_db.errors import InputError
from queries.density.healpix_map import DensityMap
from queries.density.poisson import clopper_pearson_interval

Floats = NDArray[np.float64]

_PAIRS_AT_ONCE = 5_000_000


def smooth(density: DensityMap, radius_km: float) -> DensityMap:
    """Sum counts and imaged areas over all cells whose centre is within a geodesic radius.

    The result has the same cells; each now stands for its surroundings, so that neighbouring
    values share craters and their intervals are not independent. A cell that is not imaged
    itself stays so.

    Args:
        density: an unsmoothed map.
        radius_km: along the surface, from cell centre to cell centre, both ends included.

    Raises:
        InputError: the radius is not positive, or the map is smoothed already.
    """
    if not 0 < radius_km <= pi * density.body.radius_m / 1000:
        raise InputError(f"Smoothing radius {radius_km} km.", "Give a positive radius in km.")
    if density.smoothing_km is not None:
        raise InputError("The map is smoothed already.", "Smooth the map of single cells.")
    values = np.concatenate([density.count, density.left_out, density.area_km2]).astype(np.float64)
    sums = _sum_within(unit_vectors(density), values, radius_km * 1000 / density.body.radius_m)
    imaged = density.area_km2 > 0
    count, left_out, area = np.split(sums, 3)
    return replace(
        density,
        count=np.where(imaged, np.rint(count), 0).astype(np.int64),
        left_out=np.where(imaged, np.rint(left_out), 0).astype(np.int64),
        area_km2=np.where(imaged, area, 0.0),
        smoothing_km=radius_km,
    )


def unit_vectors(density: DensityMap) -> Floats:
    """Directions of the cells' centres, (m, 3)."""
    lon, lat = (np.radians(x) for x in density.centres())
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _sum_within(unit: Floats, values: Floats, angle_rad: float) -> Floats:
    """Sums of ``values`` (k, m) over all points within an angle of each point."""
    tree = cKDTree(unit)
    # The slack keeps rounding from dropping a neighbour that lies exactly on the radius.
    chord = 2 * sin(angle_rad / 2) * (1 + 1e-12)
    sums = np.empty_like(values)
    n = len(unit)
    start, step = 0, 64
    while start < n:
        rows = slice(start, min(start + step, n))
        near = np.atleast_1d(tree.query_ball_point(unit[rows], chord)).tolist()
        lengths = np.array([len(x) for x in near])
        flat = np.fromiter(chain.from_iterable(near), np.int64, int(lengths.sum()))
        begin = np.cumsum(lengths) - lengths
        sums[:, rows] = np.add.reduceat(values[:, flat], begin, axis=1)
        start = rows.stop
        step = max(1, int(_PAIRS_AT_ONCE / (lengths.mean() * len(values))))
    return sums


def ratio_map(density: DensityMap, small: int, large: int) -> tuple[Floats, Floats, Floats]:
    """Ratio of two bins' densities in every cell, with its exact binomial interval.

    Given n craters in the two bins together, the number of small ones is binomial with share
    p = r a / (r a + b), where r is the ratio of densities and a, b the imaged areas; bounds of
    p (Clopper-Pearson) are bounds of r. The age of the ground cancels, secondaries stand out.

    Args:
        density: a map, smoothed or not.
        small, large: places of the two bins in ``density.bins``.

    Returns:
        ratio, lower, upper, each (m,): NaN where either bin is not imaged; the ratio is NaN
        where neither bin holds a crater and infinite where only the small one does.
    """
    n_bins = len(density.bins)
    if not (0 <= small < n_bins and 0 <= large < n_bins and small != large):
        raise InputError(f"Bins {small} and {large} of {n_bins}.", "Name two bins of the map.")
    k, other = density.used[small], density.used[large]
    area, other_area = density.area_km2[small], density.area_km2[large]
    imaged = (area > 0) & (other_area > 0)
    scale = np.where(imaged, other_area / np.where(imaged, area, 1), np.nan)
    low, high = clopper_pearson_interval(k, k + other, density.confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = k / np.asarray(other, dtype=np.float64) * scale
        return ratio, low / (1 - low) * scale, high / (1 - high) * scale
