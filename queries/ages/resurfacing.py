"""Resurfacing correction of a cumulative fit.

After Michael & Neukum (2010), Earth Planet. Sci. Lett. 294, 223-229: where an event erased the
small craters of a surface only, the larger ones of the old surface still stand in every N(>=D)
below them and make the young surface look too old. Their excess is what the largest bin of the
range holds more than the young isochron itself; it is subtracted from all bins, the isochron is
fitted anew, and so on until nothing moves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError

Floats = NDArray[np.float64]

_TOLERANCE_DEX = 1e-12
_MOST_ROUNDS = 10_000


def corrected_log10_n1(cumulative: Floats, shape: Floats, area_km2: float) -> float:
    """log10 N(>=1 km) of the isochron through the corrected cumulative counts.

    Args:
        cumulative: craters N(>= lower edge) of the bins with a crater, (n_bins,), descending.
        shape: production function at these edges, (n_bins,).
        area_km2: counted area.

    Raises:
        InputError: fewer than two bins, or no isochron satisfies the correction.
    """
    if len(cumulative) < 2:
        raise InputError(
            "The resurfacing correction needs at least two bins with craters.", "Widen the range."
        )
    log10_n1 = _fit(cumulative, shape, area_km2)
    for _ in range(_MOST_ROUNDS):
        young_tail = area_km2 * 10**log10_n1 * shape[-1]
        previous = log10_n1
        log10_n1 = _fit(cumulative - cumulative[-1] + young_tail, shape, area_km2)
        if abs(log10_n1 - previous) < _TOLERANCE_DEX:
            return log10_n1
    raise InputError(
        "The resurfacing correction found no isochron for these counts.",
        "Take a range in which the counts follow the production function.",
    )


def _fit(n: Floats, shape: Floats, area_km2: float) -> float:
    return float(np.average(np.log10(n / area_km2 / shape), weights=n))
