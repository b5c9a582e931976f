"""Random crater populations with known truth: what every false-alarm and power figure rests on.

All draw from a `numpy.random.Generator` and return lon_deg in [-180, 180) and lat_deg.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.coverage import Coverage, cell_centres, cell_count, cells_of, draw_in_cells
from queries.sphere import Floats, destination, unit_vectors


def uniform(n: int, coverage: Coverage, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """`n` points spread evenly over the imaged ground."""
    return coverage.draw(n, rng)


def from_density(
    n: int, order: int, density: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """`n` points with cell probabilities proportional to `density` (nested, 12 * 4^order)."""
    weight = np.cumsum(density, dtype=np.float64)
    cells = np.searchsorted(weight, rng.random(n) * weight[-1], side="right")
    return draw_in_cells(order, np.minimum(cells, len(density) - 1), rng)


def graded_density(order: int, ratio: float) -> Floats:
    """Density that grows as a power of `ratio` from the south pole (1) to the north (`ratio`)."""
    _, lat = cell_centres(order, np.arange(cell_count(order)))
    return np.asarray(ratio ** ((lat + 90.0) / 180.0))


def patchy_density(
    order: int, sigma: float, correlation_deg: float, rng: np.random.Generator
) -> Floats:
    """Log-Gaussian density field with mean 1: exp(sigma g - sigma^2 / 2).

    g has unit variance and the correlation exp(-(d / correlation_deg)^2 / 2) at chord-like
    distance d, made of 400 random Fourier waves in three dimensions (Rahimi & Recht 2007): no
    seam and no pole, and any order costs only its cells.

    Args:
        order: HEALPix order of the field; its cells should be finer than the correlation.
        sigma: standard deviation of the log density.
        correlation_deg: length scale in degrees of arc.
    """
    waves = 400
    frequency = rng.normal(size=(3, waves)) / np.radians(correlation_deg)
    phase = rng.uniform(0.0, 2.0 * np.pi, waves)
    field = np.empty(cell_count(order))
    for start in range(0, len(field), 20_000):
        cells = np.arange(start, min(start + 20_000, len(field)))
        vectors = unit_vectors(*cell_centres(order, cells))
        field[cells] = np.cos(vectors @ frequency + phase).sum(axis=1)
    field *= np.sqrt(2.0 / waves)
    return np.exp(sigma * field - sigma**2 / 2.0)


def masked(density: Floats, coverage: Coverage) -> Floats:
    """The density times the imaged fraction; the mask's order must equal the density's."""
    return density * coverage.fraction


@dataclass(frozen=True)
class Planted:
    """A background with planted craters.

    Attributes:
        lon_deg, lat_deg: shape (n,).
        label: shape (n,): -1 background, else the number of the cluster or ray.
    """

    lon_deg: Floats
    lat_deg: Floats
    label: NDArray[np.int64]


def plant_clusters(
    lon_deg: Floats,
    lat_deg: Floats,
    coverage: Coverage,
    rng: np.random.Generator,
    *,
    clusters: int,
    size: int,
    contrast: float,
) -> Planted:
    """Add round clusters of `size` craters to a background of mean density n / imaged area.

    Inside its disc a cluster has (contrast - 1) times the background's mean density, so that
    cluster and background together stand out by `contrast`. Centres lie on imaged ground, and
    members that fall on unimaged ground are moved back to another place in the disc that is.
    """
    density = len(lon_deg) / coverage.area_sr
    area = size / (density * (contrast - 1.0))
    cos_radius = 1.0 - area / (2.0 * np.pi)
    lons, lats, labels = [lon_deg], [lat_deg], [np.full(len(lon_deg), -1)]
    for cluster in range(clusters):
        lon0, lat0 = (float(x[0]) for x in coverage.draw(1, rng))
        lon, lat = _in_disc(lon0, lat0, cos_radius, size, coverage, rng)
        lons.append(lon)
        lats.append(lat)
        labels.append(np.full(size, cluster))
    return Planted(np.concatenate(lons), np.concatenate(lats), np.concatenate(labels))


def _in_disc(
    lon0: float,
    lat0: float,
    cos_radius: float,
    size: int,
    coverage: Coverage,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    lon, lat = np.empty(0), np.empty(0)
    while len(lon) < size:
        arc = np.degrees(np.arccos(rng.uniform(cos_radius, 1.0, size)))
        x, y = destination(lon0, lat0, rng.uniform(0.0, 360.0, size), arc)
        keep = coverage.fraction[cells_of(coverage.order, x, y)] > rng.random(size)
        lon, lat = np.concatenate([lon, x[keep]]), np.concatenate([lat, y[keep]])
    return lon[:size], lat[:size]


def plant_rays(
    lon0_deg: float,
    lat0_deg: float,
    azimuths_deg: Floats,
    rng: np.random.Generator,
    *,
    width_deg: float,
    inner_deg: float,
    outer_deg: float,
    excess_per_sr: float,
) -> Planted:
    """Craters of straight rays only: add them to a background.

    Each ray is the sector of `width_deg` of azimuth between two arcs from the primary, filled
    evenly with `excess_per_sr` craters a steradian on average (Poisson).

    Returns:
        The ray craters, labelled with the index of their ray.
    """
    low, high = np.cos(np.radians(outer_deg)), np.cos(np.radians(inner_deg))
    mean = excess_per_sr * np.radians(width_deg) * (high - low)
    lons, lats, labels = [], [], []
    for ray, azimuth in enumerate(azimuths_deg):
        n = int(rng.poisson(mean))
        arc = np.degrees(np.arccos(rng.uniform(low, high, n)))
        bearing = azimuth + rng.uniform(-0.5, 0.5, n) * width_deg
        lon, lat = destination(lon0_deg, lat0_deg, bearing, arc)
        lons.append(lon)
        lats.append(lat)
        labels.append(np.full(n, ray))
    return Planted(np.concatenate(lons), np.concatenate(lats), np.concatenate(labels))
