"""The ray statistic: how far one azimuth stands out from its flanks, summed over annuli.

H is the count in a window of two neighbouring sectors; k, its expectation, is twice the mean of
six flank sectors, those centred 20, 25 and 30 degrees beyond the window's outer sectors on either
side; z = (H - k) / sqrt(k (1 + 1/3) + (s k)^2 + 1), clipped to [-2, 4] so that one dense cluster
in one annulus is not a ray; T is the largest sum of z over the six annuli, over sqrt(6).

s is the *dispersion* of an annulus: how far window and flanks differ, relative to k, on the
controls beyond counting noise. With s = 0 the outer annuli of large counts saturate on any patchy
ground and drown the rays; with s from the controls every annulus counts by what it can tell.

Where ground is missing, k is scaled by the imaged shares of window and flanks, and an annulus
whose window or flanks are less than half and a quarter imaged counts as z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.rays.field import ANNULI
from queries.sphere import Floats

WINDOW = (0, 1)
FLANKS = (-6, -5, -4, 5, 6, 7)
Z_LOW, Z_HIGH = -2.0, 4.0
_LEAST_WINDOW = 0.5 * len(WINDOW)
_LEAST_FLANKS = 0.25 * len(FLANKS)
_BLOCK = 2000  # sites at a time
_TRIM = 0.02  # of the sites, those of the largest differences: a ray crater is no control


@dataclass(frozen=True)
class Contrast:
    """Window counts and their expectation, each of shape (..., 6, 72).

    Window w covers the sectors w and w + 1; its middle lies at 5 w + 5 degrees of azimuth.

    Attributes:
        count: craters in the window.
        expected: k, what the flanks foretell.
        flank_count: craters in the six flank sectors.
        flank_weight: expected / flank_count: 1/3 on wholly imaged ground.
        z: clipped contrast, 0 where too little is imaged.
        known: enough ground is imaged.
    """

    count: Floats
    expected: Floats
    flank_count: Floats
    flank_weight: Floats
    z: Floats
    known: NDArray[np.bool_]


def window_contrast(
    counts: NDArray[np.int32],
    exposure: NDArray[np.float32] | None = None,
    dispersion: Floats | None = None,
) -> Contrast:
    """Contrasts of every window; counts and exposure of shape (..., 6, 72), dispersion (6,)."""
    seen = np.ones(counts.shape) if exposure is None else exposure.astype(float)
    count, flank = _ring_sum(counts, WINDOW), _ring_sum(counts, FLANKS)
    seen_window, seen_flank = _ring_sum(seen, WINDOW), _ring_sum(seen, FLANKS)
    known = (seen_window >= _LEAST_WINDOW) & (seen_flank >= _LEAST_FLANKS)
    weight = np.where(known, seen_window / np.where(known, seen_flank, 1.0), 0.0)
    expected = flank * weight
    spread = np.zeros(ANNULI) if dispersion is None else dispersion
    variance = expected * (1.0 + weight) + (spread[:, None] * expected) ** 2 + 1.0
    z = (count - expected) / np.sqrt(variance)
    z = np.where(known, np.clip(z, Z_LOW, Z_HIGH), 0.0)
    return Contrast(count, expected, flank, weight, z, known)


def _ring_sum(values: NDArray[np.number], offsets: tuple[int, ...]) -> Floats:
    """Sum over the sectors w + offset for every window w, around the circle."""
    total = np.zeros(values.shape)
    for offset in offsets:
        total += np.roll(values, -offset, axis=-1)
    return total


def profile(contrast: Contrast) -> Floats:
    """Sum of z over the annuli over sqrt(6), for every window: shape (..., 72)."""
    return np.asarray(contrast.z.sum(axis=-2) / np.sqrt(ANNULI))


def ray_statistic(
    counts: NDArray[np.int32],
    exposure: NDArray[np.float32] | None = None,
    dispersion: Floats | None = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """T and its window for each site; counts of shape (n, 6, 72)."""
    t, window = np.empty(len(counts)), np.empty(len(counts), np.int64)
    for start in range(0, len(counts), _BLOCK):
        part = slice(start, start + _BLOCK)
        seen = None if exposure is None else exposure[part]
        along = profile(window_contrast(counts[part], seen, dispersion))
        window[part] = along.argmax(axis=-1)
        t[part] = along.max(axis=-1)
    return t, window


def measure_dispersion(
    counts: NDArray[np.int32], exposure: NDArray[np.float32] | None = None
) -> Floats:
    """Dispersion of each annulus on control sites, shape (6,), relative to the expectation.

    The mean of (H - k)^2 less its counting part, over the mean of k^2; the 2 % of sites of the
    largest sums are left out of it.
    """
    extra, square = np.empty((len(counts), ANNULI)), np.empty((len(counts), ANNULI))
    for start in range(0, len(counts), _BLOCK):
        part = slice(start, start + _BLOCK)
        c = window_contrast(counts[part], None if exposure is None else exposure[part])
        counting = c.expected * (1.0 + c.flank_weight)
        residual = np.where(c.known, (c.count - c.expected) ** 2 - counting, 0.0)
        extra[part] = residual.mean(axis=-1)
        square[part] = (c.expected**2).mean(axis=-1)
    keep = np.argsort(extra, axis=0)[: max(round(len(counts) * (1.0 - _TRIM)), 1)]
    numerator = np.take_along_axis(extra, keep, axis=0).sum(axis=0)
    denominator = np.take_along_axis(square, keep, axis=0).sum(axis=0)
    ratio = numerator / np.where(denominator > 0.0, denominator, 1.0)
    return np.asarray(np.sqrt(np.maximum(ratio, 0.0)))
