"""Crater production functions: how many craters of each size a surface collects, as a shape.

A production function gives the number of craters of at least diameter D relative to those of at
least 1 km, ``F(D) = N(>=D) / N(>=1 km)``; how many per area is the chronology's part.

References: Neukum (1983) for the polynomial form; Hartmann (2005) for root-2 tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ProductionFunction(ABC):
    """Shape of a crater population, normalised to 1 at 1 km.

    Attributes:
        name: as the field knows it, with its paper and year.
        range_km: diameters (low, high) over which it is defined.
        reference: the paper.
    """

    name: str
    range_km: tuple[float, float]
    reference: str

    @abstractmethod
    def _log10_shape(self, log10_km: Floats) -> Floats:
        """log10 F at log10 D."""

    @abstractmethod
    def _log10_density(self, log10_km: Floats) -> Floats:
        """log10 of -dF/dD (1/km) at log10 D."""

    def cumulative(self, diameter_km: ArrayLike) -> Floats:
        """F(D) = N(>=D) / N(>=1 km), of the shape of ``diameter_km``.

        Raises:
            InputError: a diameter lies outside ``range_km``.
        """
        return np.asarray(10 ** self._log10_shape(self._log10(diameter_km)), dtype=np.float64)

    def differential(self, diameter_km: ArrayLike) -> Floats:
        """-dF/dD in 1/km, of the shape of ``diameter_km``. Raises InputError as ``cumulative``."""
        density = 10 ** self._log10_density(self._log10(diameter_km))
        return np.asarray(density, dtype=np.float64)

    def between(self, low_km: ArrayLike, high_km: ArrayLike) -> Floats:
        """F(low) - F(high): craters with low <= D < high for each crater of at least 1 km."""
        return self.cumulative(low_km) - self.cumulative(high_km)

    def centre_km(self, low_km: ArrayLike, high_km: ArrayLike) -> Floats:
        """Diameter in each bin [low, high) at which -dF/dD equals its mean over the bin.

        As if F were a power law between the bin's edges: exact to second order in the bin's width.
        """
        low, high = (np.asarray(edge, dtype=np.float64) for edge in (low_km, high_km))
        return power_law_centre_km(low, high, self.cumulative(low), self.cumulative(high))

    def _log10(self, diameter_km: ArrayLike) -> Floats:
        d = np.asarray(diameter_km, dtype=np.float64)
        low, high = self.range_km
        # A bin edge such as 0.1 * 0.15 may miss the range's end by rounding.
        if not np.all((d >= low * (1 - 1e-9)) & (d <= high * (1 + 1e-9))):
            raise InputError(
                f"A diameter lies outside {self.name!r}, which holds {low:g} to {high:g} km.",
                "Narrow the diameter range or take another chronology system.",
            )
        return np.asarray(np.log10(d), dtype=np.float64)


@dataclass(frozen=True)
class PolynomialProduction(ProductionFunction):
    """log10 N(>=D) = sum of coefficients[i] (log10 D)^i; coefficients[0] cancels in F."""

    coefficients: tuple[float, ...]

    def _log10_shape(self, log10_km: Floats) -> Floats:
        shape = (0.0, *self.coefficients[1:])
        return np.asarray(np.polynomial.polynomial.polyval(log10_km, shape))

    def _log10_density(self, log10_km: Floats) -> Floats:
        slope = np.polynomial.polynomial.polyder(self.coefficients)
        steepness = -np.polynomial.polynomial.polyval(log10_km, slope)
        return np.asarray(self._log10_shape(log10_km) + np.log10(steepness) - log10_km)


@dataclass(frozen=True)
class TabulatedProduction(ProductionFunction):
    """Hartmann's form: craters in root-2 bins.

    log F is linear in log D between the bins' edges. That makes -dF/dD a staircase; the density
    used instead is log-log linear between the bins' mean densities at their power-law centres.

    Attributes:
        log10_edges_km: lower edges of the bins, ascending, (n,).
        log10_cumulative: log10 F at the edges, (n,).
    """

    log10_edges_km: tuple[float, ...]
    log10_cumulative: tuple[float, ...]

    def _log10_shape(self, log10_km: Floats) -> Floats:
        return np.asarray(np.interp(log10_km, self.log10_edges_km, self.log10_cumulative))

    def _log10_density(self, log10_km: Floats) -> Floats:
        edges, shape = (10 ** np.array(v) for v in (self.log10_edges_km, self.log10_cumulative))
        density = np.log10(-np.diff(shape) / np.diff(edges))
        x = np.log10(power_law_centre_km(edges[:-1], edges[1:], shape[:-1], shape[1:]))
        # The line through the nearest two points also serves the half bins at both ends.
        i = np.clip(np.searchsorted(x, log10_km) - 1, 0, len(x) - 2)
        slope = (density[i + 1] - density[i]) / (x[i + 1] - x[i])
        return np.asarray(density[i] + slope * (log10_km - x[i]))


def tabulated(
    name: str, craters_per_bin: ArrayLike, index_1km: int, reference: str
) -> TabulatedProduction:
    """Production function from craters per km2 in root-2 bins, bin ``index_1km`` from 1 km."""
    counts = np.asarray(craters_per_bin, dtype=np.float64)
    log10_edges = (np.arange(len(counts)) - index_1km) / 2 * np.log10(2)
    cumulative = np.cumsum(counts[::-1])[::-1]
    return TabulatedProduction(
        name=name,
        range_km=(float(10 ** log10_edges[0]), float(10 ** log10_edges[-1])),
        reference=reference,
        log10_edges_km=tuple(log10_edges.tolist()),
        log10_cumulative=tuple(np.log10(cumulative / cumulative[index_1km]).tolist()),
    )


def power_law_centre_km(low: Floats, high: Floats, shape_low: Floats, shape_high: Floats) -> Floats:
    """Where the density of a power law through two cumulative values equals its mean between them.

    Args:
        low, high: edges in km, low < high.
        shape_low, shape_high: cumulative values there, shape_low > shape_high > 0.
    """
    slope = np.log(shape_low / shape_high) / np.log(high / low)  # F ~ D^-slope
    mean = (low**-slope - high**-slope) / (high - low)
    return np.asarray((mean / slope) ** (-1 / (slope + 1)))
