"""SAHI's own NMS post-processing at IoU 0.3, on the same planar boxes; needs `pip install sahi`."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np

from benchmarks.shapely_nms import Rows


def sahi_nms(rows: Rows, threshold: float) -> dict[str, float | int | str]:
    """Seconds and number kept; or why it could not be run."""
    if find_spec("sahi") is None:
        return {"not run": "sahi is not installed (pip install crater-db[bench])"}
    from importlib.metadata import version

    from sahi.postprocess.combine import nms

    # SAHI takes float32: degrees would lose the small boxes, pixels of 5 m do not fit a planet
    shifted = rows.boxes - rows.boxes.min(axis=0)[[0, 1, 0, 1]]
    table = np.column_stack([shifted, rows.score, np.zeros(len(rows.ids))])
    started = time.perf_counter()
    kept = nms(table, "IOU", threshold)
    return {
        "version": version("sahi"),
        "seconds": round(time.perf_counter() - started, 3),
        "kept": len(kept),
    }
