"""From the network's raw output to boxes: decode, threshold, greedy NMS; NumPy only, deterministic.

Boxes are float32 ``x0, y0, x1, y1, score`` in tile pixels, the tile's top left corner at (0, 0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def decode(raw: NDArray[np.float32], side: int, threshold: float) -> Rows:
    """Candidates of one tile, best first.

    Args:
        raw: the network's output for a tile, shape (5, n): centre x and y, width, height, score.
        side: the tile's side; boxes are clipped to it.
        threshold: smallest score kept.

    Returns:
        shape (k, 5), sorted by score descending, then by box, so that ties have one order.
    """
    found = raw[:, raw[4] >= np.float32(threshold)]
    half = found[2:4] / 2
    corners = np.clip(np.vstack([found[:2] - half, found[:2] + half]), 0, side)
    rows = np.ascontiguousarray(np.vstack([corners, found[4:]]).T, dtype=np.float32)
    rows = rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]
    order = np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0], -rows[:, 4]))
    return rows[order]


def suppress(rows: Rows, iou: float) -> Rows:
    """Greedy non-maximum suppression of rows that are sorted best first.

    A row goes when its box's IoU with a better kept one exceeds ``iou``. Circles are suppressed
    later, on the sphere and over all tiles; this only removes the network's repeats.
    """
    x0, y0, x1, y1 = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
    area = (x1 - x0) * (y1 - y0)
    alive = np.arange(len(rows))
    kept = []
    while len(alive):
        best, rest = alive[0], alive[1:]
        kept.append(best)
        width = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest])
        height = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        alive = rest[common <= np.float32(iou) * (area[best] + area[rest] - common)]
    return rows[kept]
