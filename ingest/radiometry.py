"""The stretch to 8 bits: linear between two values that the scene's record holds.

One pair of limits for a whole scene (for shaded elevations: one for each power of two of the
level, because slopes flatten with the baseline), so nothing changes at a tile's edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.source import Values

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5
# Measured on the shaded Moon: the detector knows soft pictures (THEMIS), and finds three times as
# many craters when the limits are this much wider than the brightness they come from.
SHADED_WIDENING = 2.0
_FULL_RANGE = 64.0  # an 8-bit picture that spans this many grey values is left as published


def image_radiometry(sample: Values, dtype: str) -> dict[str, Any]:
    """The record of an image's stretch: robust limits, or none for a well-spread 8-bit picture.

    Args:
        sample: values of valid pixels.
        dtype: sample type of the file.
    """
    low, high = (float(v) for v in np.percentile(sample, [LOW_PERCENT, HIGH_PERCENT]))
    if dtype == "uint8" and high - low >= _FULL_RANGE:
        low, high = 0.0, 255.0
    if high <= low:
        high = low + 1.0
    return {"stretch": "linear", "limits": [[1.0, low, high]]}


def shaded_radiometry(samples: dict[float, Values]) -> dict[str, Any]:
    """The record of a shaded elevation model's stretch, by level.

    Args:
        samples: brightness of valid pixels at some levels (factors).
    """
    limits = []
    for level, values in sorted(samples.items()):
        low, high = (float(v) for v in np.percentile(values, [LOW_PERCENT, HIGH_PERCENT]))
        middle, half = (low + high) / 2, max(high - low, 1e-4) / 2 * SHADED_WIDENING
        limits.append([float(level), middle - half, middle + half])
    return {"stretch": "linear", "limits": limits}


def limits_at(radiometry: dict[str, Any], level: float) -> tuple[float, float]:
    """The two limits for a level: those of the nearest recorded one at or below it."""
    rows = sorted(radiometry["limits"])
    chosen = rows[0]
    for row in rows:
        if row[0] <= level:
            chosen = row
    return float(chosen[1]), float(chosen[2])


def to_bytes(values: Values, limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Values as 0-255, rounded, clipped at the limits."""
    low, high = limits
    scaled = (values - np.float32(low)) * np.float32(255.0 / (high - low))
    return np.asarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
