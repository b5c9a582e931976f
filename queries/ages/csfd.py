"""Crater size-frequency distributions: bins, cumulative, differential, incremental and R values.

References: Neukum (1983) for pseudo-log bins; Crater Analysis Techniques Working Group (1979),
Icarus 37, 467, for root-2 bins and the R-plot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError

Floats = NDArray[np.float64]

# Neukum's 18 steps a decade, each with at most two significant digits.
_PSEUDO_LOG = (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)
_FIRST_DECADE, _LAST_DECADE = -7, 5  # 0.1 mm to 10^5 km: wider than any crater
_PRESENTATIONS = ("cumulative", "differential", "incremental", "r")
_ROUNDING = 1e-9


def all_edges(binning: str) -> Floats:
    """Every edge of a binning in km, ascending.

    Args:
        binning: ``pseudo-log`` (18 a decade), ``root-2``, or ``N/decade`` with whole N.

    Raises:
        InputError: another name.
    """
    if binning == "pseudo-log":
        # Parsed, not multiplied: 1.5 x 10^-1 rounds above 0.15 and would lose a crater of 0.15 km.
        return np.array(
            [float(f"{m}e{k}") for k in range(_FIRST_DECADE, _LAST_DECADE) for m in _PSEUDO_LOG]
        )
    if binning == "root-2":
        return np.exp2(np.arange(-40, 34) / 2)
    per_decade = re.fullmatch(r"([1-9]\d{0,2})/decade", binning)
    if per_decade is None:
        raise InputError(
            f"Unknown binning {binning!r}.", "Use pseudo-log, root-2 or N/decade, as 10/decade."
        )
    n = int(per_decade[1])
    return np.asarray(10.0 ** (np.arange(_FIRST_DECADE * n, _LAST_DECADE * n) / n))


def edges_inside(binning: str, range_km: tuple[float, float]) -> Floats:
    """Edges of the bins that lie wholly inside ``range_km``, (n_bins + 1,).

    Raises:
        InputError: no whole bin lies inside.
    """
    low, high = check_range(range_km)
    edges = all_edges(binning)
    inside = edges[(edges >= low * (1 - _ROUNDING)) & (edges <= high * (1 + _ROUNDING))]
    if len(inside) < 2:
        raise InputError(
            f"No whole {binning} bin lies in {low:g} to {high:g} km.", "Widen the range."
        )
    return inside


def snap(binning: str, range_km: tuple[float, float]) -> tuple[float, float]:
    """The range widened to the next bin edges on both sides, as Craterstats does by default."""
    low, high = check_range(range_km)
    edges = all_edges(binning)
    lower = edges[edges <= low * (1 + _ROUNDING)][-1]
    upper = edges[edges >= high * (1 - _ROUNDING)][0]
    return float(lower), float(upper)


@dataclass(frozen=True)
class Csfd:
    """A binned size-frequency distribution; all arrays are (n_bins,), one value a bin.

    Attributes:
        edges_km: (n_bins + 1,).
        counts: craters with edge[i] <= D < edge[i + 1].
        larger: craters with D >= the last edge.
        area_km2: counted area.
    """

    edges_km: Floats
    counts: NDArray[np.int64]
    larger: int
    area_km2: float

    @property
    def width_km(self) -> Floats:
        """Width of each bin."""
        return np.diff(self.edges_km)

    @property
    def centre_km(self) -> Floats:
        """Geometric mean of each bin's edges."""
        return np.asarray(np.sqrt(self.edges_km[:-1] * self.edges_km[1:]))

    @property
    def cumulative_counts(self) -> NDArray[np.int64]:
        """Craters with D >= the lower edge of each bin, those beyond the last bin included."""
        return np.asarray(np.cumsum(self.counts[::-1])[::-1] + self.larger, dtype=np.int64)

    def n(self, presentation: str) -> NDArray[np.int64]:
        """Craters behind each value of a presentation: its error is value / sqrt(n)."""
        _check_presentation(presentation)
        return self.cumulative_counts if presentation == "cumulative" else self.counts

    def values(self, presentation: str) -> Floats:
        """The distribution in one of the field's presentations.

        Args:
            presentation: ``cumulative`` N(>=D) in km-2 at the lower edges; at ``centre_km``:
                ``differential`` dN/dD in km-3, ``incremental`` craters a bin in km-2, or ``r``
                D^3 dN/dD without a unit.
        """
        return np.asarray(self.n(presentation) * self.values_of_one(presentation))

    def values_of_one(self, presentation: str) -> Floats:
        """What one crater adds to the value of each bin, in the units of ``values``."""
        _check_presentation(presentation)
        one = np.full(len(self.counts), 1 / self.area_km2)
        if presentation == "differential":
            return np.asarray(one / self.width_km)
        if presentation == "r":
            return np.asarray(one * self.centre_km**3 / self.width_km)
        return one

    def positions_km(self, presentation: str) -> Floats:
        """Diameter at which a presentation's values stand."""
        _check_presentation(presentation)
        return self.edges_km[:-1] if presentation == "cumulative" else self.centre_km


def csfd(
    diameters_km: ArrayLike,
    area_km2: float,
    binning: str = "pseudo-log",
    range_km: tuple[float, float] | None = None,
) -> Csfd:
    """Bin craters by diameter.

    Args:
        diameters_km: all craters counted on the area, (n,).
        area_km2: the area, > 0.
        binning: as in ``all_edges``.
        range_km: only bins wholly inside it; without it, all bins from the smallest to the largest
            crater.

    Raises:
        InputError: no crater and no range, a bad diameter, area, binning or range.
    """
    d = check_craters(diameters_km, area_km2)
    if range_km is None:
        if d.size == 0:
            raise InputError("There is no crater to bin.", "Give a diameter range.")
        low, high = float(d.min()), float(np.nextafter(d.max(), np.inf))
        edges = edges_inside(binning, snap(binning, (low, high * (1 + 2 * _ROUNDING))))
    else:
        edges = edges_inside(binning, range_km)
    # np.histogram closes the last bin; here every bin is half open.
    at = np.searchsorted(np.sort(d), edges, side="left")
    return Csfd(edges, np.diff(at).astype(np.int64), int(d.size - at[-1]), float(area_km2))


def check_craters(diameters_km: ArrayLike, area_km2: float) -> Floats:
    """Diameters as float64 (n,). Raises InputError if one, or the area, is not above 0."""
    d = check_diameters(diameters_km)
    if not (np.isfinite(area_km2) and area_km2 > 0):
        raise InputError(
            f"The area {area_km2} km2 is not above 0.", "Give the counted area in km2."
        )
    return d


def check_diameters(diameters_km: ArrayLike) -> Floats:
    """Diameters as float64 (n,). Raises InputError if one is not above 0."""
    d = np.asarray(diameters_km, dtype=np.float64).ravel()
    if not np.all(np.isfinite(d) & (d > 0)):
        raise InputError("A crater's diameter is not above 0.", "Give diameters in km.")
    return d


def check_range(range_km: tuple[float, float]) -> tuple[float, float]:
    """The range as floats. Raises InputError unless 0 < low < high."""
    low, high = float(range_km[0]), float(range_km[1])
    if not (0 < low < high < np.inf):
        raise InputError(
            f"The diameter range {low:g} to {high:g} km is empty.", "Give 0 < low < high in km."
        )
    return low, high


def _check_presentation(presentation: str) -> None:
    if presentation not in _PRESENTATIONS:
        raise InputError(
            f"Unknown presentation {presentation!r}.", f"Use one of {', '.join(_PRESENTATIONS)}."
        )
