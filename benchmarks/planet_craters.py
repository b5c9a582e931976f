"""A planet's craters for benchmarks: drawn cell by cell, the same from any side, never all at once.

Craters belong to HEALPix cells of equal area. A cell's craters depend on the seed and the cell
only, so every scene that looks at a cell finds the same ones, and memory holds a scene's cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import hpgeom
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CELL_ORDER = 6
N_CELLS = 12 << (2 * CELL_ORDER)
CONTRAST = 50.0
LEAST_M = 33.0
MOST_M = 60_000.0
# Cumulative slope of the size-frequency law, N(>D) ~ D^-2: small craters in equilibrium.
SLOPE = 2.0
_FINE_ORDER = 29


@dataclass(frozen=True)
class Craters:
    """True craters; 1-D arrays of equal length.

    Attributes:
        lon, lat: degrees, lon in [-180, 180).
        diameter_m: metres.
        quality: 0-1, how well a detector likes the crater: repeats share it.
    """

    lon: Floats
    lat: Floats
    diameter_m: Floats
    quality: Floats

    def __len__(self) -> int:
        return len(self.lon)


@dataclass(frozen=True)
class Planet:
    """Craters of a whole sphere.

    Attributes:
        n_craters: expected number over the sphere.
        seed: of everything drawn.
    """

    n_craters: float
    seed: int

    @cached_property
    def density(self) -> Floats:
        """Relative density of each cell, mean 1; the densest is ``CONTRAST`` times the thinnest."""
        lon, lat = hpgeom.pixel_to_angle(1 << CELL_ORDER, np.arange(N_CELLS))
        lam, phi = np.radians(lon), np.radians(lat)
        unit = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
        rng = np.random.default_rng([self.seed, 0])
        waves = rng.normal(0, 6.0, (12, 3))
        field = np.cos(waves @ unit + rng.uniform(0, 2 * np.pi, (12, 1))).sum(axis=0)
        rank = (field - field.min()) / (field.max() - field.min())
        density: Floats = CONTRAST**rank
        return np.asarray(density / density.mean())

    def cell(self, cell: int) -> Craters:
        """The craters of one cell."""
        rng = np.random.default_rng([self.seed, 1, cell])
        n = int(rng.poisson(self.n_craters / N_CELLS * self.density[cell]))
        shift = 2 * (_FINE_ORDER - CELL_ORDER)
        place = (cell << shift) + rng.integers(0, 1 << shift, n)
        lon, lat = hpgeom.pixel_to_angle(1 << _FINE_ORDER, place)
        return Craters(
            (lon + 180.0) % 360.0 - 180.0, lat, draw_diameters(rng, n), rng.uniform(0.35, 0.95, n)
        )

    def cells(self, cells: NDArray[np.int64]) -> Craters:
        """The craters of several cells, in their order."""
        parts = [self.cell(int(cell)) for cell in cells]
        names = ("lon", "lat", "diameter_m", "quality")
        return Craters(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def draw_diameters(rng: np.random.Generator, n: int) -> Floats:
    """Diameters (metres) of a power law of slope ``SLOPE`` between ``LEAST_M`` and ``MOST_M``."""
    tail = (LEAST_M / MOST_M) ** SLOPE
    u: Floats = rng.uniform(tail, 1.0, n)
    return LEAST_M * u ** (-1.0 / SLOPE)
