"""The threshold for shaded elevation models, from the part of the caps that training did not see.

Shaded relief scores lower than pictures do: at a threshold that is right for pictures its craters
are pure and few. The lowest threshold that keeps nine of ten detections true is taken instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ingest.detector import Detector, ModelFiles
from ingest.radiometry import SHADED_WIDENING
from ingest.shading import Shading
from ingest.training.caps import (
    CapRule,
    cap_boxes,
    cap_heights,
    cap_known,
    enlarge,
    read_craters,
    shade,
)
from ingest.training.dataset import Caps
from ingest.training.judging import Boxes, discs, sizes
from ingest.training.matching import disc_pairs, match
from ingest.training.scan import Scan, scan

PRECISION = 0.9
MIN_PX = 16.0
AZIMUTHS_DEG = (255.0, 270.0, 285.0, 90.0)
_THRESHOLDS = tuple(round(0.02 * k, 2) for k in range(2, 46))
_IOU = 0.3
_BORDER_DEG = 2.0  # craters nearer than this to the caps' edge may be cut by it


def choose_elevation_threshold(
    model: ModelFiles, caps: Caps, rule: CapRule, threads: int
) -> tuple[float, dict[str, Any]]:
    """The lowest threshold with a precision of ``PRECISION`` on the held-out part of both caps.

    The worker's shading (height of the light, smoothing, stretch) is used, lit from
    ``AZIMUTHS_DEG``; craters of at least ``MIN_PX`` count, circles match at IoU 0.3. Where no
    threshold is that precise, the most precise one is taken.

    Returns:
        the threshold, and a record with precision and recall at each.
    """
    inner = CapRule(rule.min_latitude_deg + _BORDER_DEG, held_lon_deg=rule.held_lon_deg)
    detector = Detector(model, threads=threads, batch=1, threshold=_THRESHOLDS[0], nms_iou=0.5)
    counts = np.zeros((len(_THRESHOLDS), 4), dtype=np.int64)
    craters, light = read_craters(caps.catalogue), Shading()
    for frame in ("north_polar", "south_polar"):
        heights, pixel_m = cap_heights(caps.dem, caps.body, frame, rule.min_latitude_deg)
        large, fine_m = enlarge(heights, rule.up, light.smooth_px), pixel_m / rule.up
        side = large.shape[0]
        labels = cap_boxes(craters, caps.body, frame, side, fine_m)
        shown = np.ones((side, side), dtype=bool)
        judged = cap_known(side, fine_m, caps.body, frame, inner, held=True)
        for azimuth in AZIMUTHS_DEG:
            grey = shade(large, shown, fine_m, azimuth, light.altitude_deg, SHADED_WIDENING)
            found = scan(detector, grey, Scan((1.0,), overlap=208))
            for k, threshold in enumerate(_THRESHOLDS):
                counts[k] += _count(labels, found[found[:, 4] >= threshold], judged)
    precision = counts[:, 1] / np.maximum(counts[:, 0], 1)
    recall = counts[:, 3] / np.maximum(counts[:, 2], 1)
    good = np.flatnonzero(precision >= PRECISION)
    best = int(good[0]) if len(good) else int(np.argmax(precision))
    curve = [
        {"threshold": t, "precision": round(float(p), 4), "recall": round(float(r), 4)}
        for t, p, r in zip(_THRESHOLDS, precision, recall, strict=True)
    ]
    return _THRESHOLDS[best], {
        "ground": f"caps beyond {inner.min_latitude_deg:g} degrees, "
        f"{rule.held_lon_deg[0]:g}-{rule.held_lon_deg[1]:g} E, not trained on",
        "azimuths_deg": list(AZIMUTHS_DEG),
        "min_px": MIN_PX,
        "precision_wanted": PRECISION,
        "listed": int(counts[best, 2]) // len(AZIMUTHS_DEG),
        "curve": curve,
    }


def _count(labels: Boxes, found: Boxes, judged: np.ndarray[Any, np.dtype[np.bool_]]) -> list[int]:
    """Detections, right ones, labels, found ones: large enough and centred on judged ground."""
    one, two = discs(labels), discs(found)
    i, j, _ = match(disc_pairs(one, two, _IOU), len(one), len(two))
    result = []
    for boxes, circles, hit in ((found, two, j), (labels, one, i)):
        place = np.clip(circles[:, :2].astype(int), 0, len(judged) - 1)
        counted = judged[place[:, 1], place[:, 0]] & (sizes(boxes) >= MIN_PX)
        matched = np.zeros(len(boxes), dtype=bool)
        matched[hit] = True
        result += [int(counted.sum()), int((counted & matched).sum())]
    return result
