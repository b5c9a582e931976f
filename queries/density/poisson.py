"""Exact intervals for counts: Garwood (1936) for Poisson means, Clopper-Pearson (1934) for shares.

Only the counting error is in them. Crater populations are clustered (secondaries), hence
over-dispersed: the true spread of a density is wider than these intervals, never narrower.

References: Garwood, Biometrika 28, 437 (1936); Clopper & Pearson, Biometrika 26, 404 (1934).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from cda_db.errors import InputError

Floats = NDArray[np.float64]


def garwood_interval(n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Exact central interval of a Poisson mean from a count.

    Args:
        n: counts, any shape, whole numbers >= 0.
        confidence: share of the distribution between the bounds, in (0, 1).

    Returns:
        lower and upper bound of the mean, of the shape of ``n``; the lower bound of n = 0 is 0.

    Raises:
        InputError: a count is negative or not whole, or ``confidence`` is not in (0, 1).
    """
    count = _whole(n, "count")
    tail = _tail(confidence)
    # chi2.ppf(a, 2 n) / 2 is the inverse of the regularised incomplete gamma function.
    lower = np.where(count > 0, special.gammaincinv(np.maximum(count, 1), tail), 0.0)
    upper = special.gammainccinv(count + 1, tail)
    return np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)


def garwood_coverage(mu: float, confidence: float = 0.95) -> float:
    """Exact probability that the interval of a count drawn with mean ``mu`` holds ``mu``.

    The bounds grow with n, so the counts whose interval holds ``mu`` are consecutive and the
    probability is a sum over Poisson terms; it is never below ``confidence``.
    """
    if not mu > 0:
        raise InputError(f"The mean {mu} is not above 0.", "Give a positive mean.")
    spread = 12 * np.sqrt(mu) + 40
    n = np.arange(max(0, int(mu - spread)), int(mu + spread) + 1)
    lower, upper = garwood_interval(n, confidence)
    held = n[(lower <= mu) & (mu <= upper)].astype(np.float64)
    return float(np.exp(held * np.log(mu) - mu - special.gammaln(held + 1)).sum())


def clopper_pearson_interval(
    k: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Exact central interval of a share from ``k`` successes in ``n`` trials.

    Args:
        k: successes, 0 <= k <= n.
        n: trials; ``k`` and ``n`` broadcast together.
        confidence: share of the distribution between the bounds, in (0, 1).

    Returns:
        lower and upper bound in [0, 1]; (0, 1) where n = 0.

    Raises:
        InputError: a number is negative or not whole, or k > n.
    """
    success, trials = np.broadcast_arrays(_whole(k, "count"), _whole(n, "count"))
    if np.any(success > trials):
        raise InputError("More successes than trials.", "Give k <= n.")
    tail = _tail(confidence)
    failure = trials - success
    lower = special.betaincinv(np.maximum(success, 1), failure + 1, tail)
    upper = special.betaincinv(success + 1, np.maximum(failure, 1), 1 - tail)
    return (
        np.asarray(np.where(success > 0, lower, 0.0), dtype=np.float64),
        np.asarray(np.where(failure > 0, upper, 1.0), dtype=np.float64),
    )


def density_interval(
    n: ArrayLike, area_km2: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Density n / area with its Garwood interval, in craters a km2.

    Args:
        n: counts.
        area_km2: imaged area of the same shape (or broadcastable), >= 0.
        confidence: of the interval.

    Returns:
        density, lower, upper; NaN where the area is 0: nothing imaged is not nothing found.
    """
    count, area = np.broadcast_arrays(_whole(n, "count"), np.asarray(area_km2, dtype=np.float64))
    if np.any(~np.isfinite(area) | (area < 0)):
        raise InputError("An imaged area is negative or not finite.", "Give areas >= 0 in km2.")
    # Few distinct counts occur in a map of millions of cells: invert each once.
    distinct, place = np.unique(count, return_inverse=True)
    bounds = garwood_interval(distinct, confidence)
    low, high = (bound[place.reshape(count.shape)] for bound in bounds)
    imaged = area > 0
    safe = np.where(imaged, area, 1.0)
    density, lower, upper = (
        np.asarray(np.where(imaged, x / safe, np.nan), dtype=np.float64) for x in (count, low, high)
    )
    return density, lower, upper


def _whole(values: ArrayLike, what: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(array) & (array >= 0) & (array == np.floor(array))):
        raise InputError(f"A {what} is negative or not a whole number.", "Give counts >= 0.")
    return array


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(f"Confidence {confidence} is not between 0 and 1.", "Give e.g. 0.95.")
    return (1 - confidence) / 2
