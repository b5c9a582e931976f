"""From which side a picture is lit, by its labelled craters, and which finds are lit otherwise.

What the light tells of a find: ``ingest.light``. Here no one has said where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ingest.light import LEAST_PX, slopes
from ingest.training.folders import Boxes, LabelledImage, Pixels
from ingest.training.judging import sizes

Floats = NDArray[np.float64]
# Mean slope (2,) of a picture's craters; None where they do not agree on one.
Light = Floats | None

# Labels that a picture's light is taken from: large enough to have two sides, and some of them.
_LEAST_PX, _LEAST_CRATERS = 10.0, 3
# A mean slope shorter than this is no direction: craters of all sides, or none with a shadow.
_LEAST_LIGHT = 0.3


def light_of(pixels: Pixels, labels: Boxes) -> Light:
    """Mean slope (2,) of the labelled craters of 10 px and more; None where they do not agree."""
    return _mean(slopes(pixels, _large(labels)))


def light_of_all(images: Iterable[LabelledImage]) -> Light:
    """The same over the craters of many pictures, for those that have too few of their own."""
    parts = [slopes(one.pixels(), _large(one.boxes())) for one in images]
    return _mean(np.vstack(parts)) if parts else None


def lit_otherwise(pixels: Pixels, found: Boxes, light: Floats, limit: float) -> NDArray[np.bool_]:
    """Whether a box's slope against the light, in standard deviations, is more than ``limit``.

    At 0.3 that is said of 2 to 5 % of the THEMIS valid craters of 6 px and more, and of a third to
    a half of what a detector trained on mirrored pictures finds beside the labels from 10 px.
    """
    along = slopes(pixels, found) @ (light / np.linalg.norm(light))
    return np.asarray((along < -limit) & (sizes(found) >= LEAST_PX))  # never for NaN


def _large(labels: Boxes) -> Boxes:
    return np.asarray(labels[sizes(labels) >= _LEAST_PX])


def _mean(found: Floats) -> Light:
    known = found[np.isfinite(found).all(axis=1)]
    if len(known) < _LEAST_CRATERS:
        return None
    mean = np.asarray(known.mean(axis=0))
    return mean if np.linalg.norm(mean) >= _LEAST_LIGHT else None
