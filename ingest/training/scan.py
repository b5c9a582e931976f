"""Craters of one picture in memory: levels, tiles, size windows, suppression, without a database.

The same rules as a run's (``ingest.tiling``: levels, windows, cut boxes), in the plane of the
picture, so that a model can be measured on labelled pictures that lie nowhere on a planet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cda_db.runs import Level
from ingest.detector import Detector
from ingest.light import Light, detect_lit
from ingest.radiometry import image_radiometry, limits_at, to_bytes
from ingest.tiling import TileGrid, default_levels
from ingest.training.matching import disc_pairs

Pixels = NDArray[np.uint8]
Detections = NDArray[np.float64]
EDGE_MARGIN_PX = 2.0


@dataclass(frozen=True)
class Scan:
    """How a picture is searched.

    Attributes:
        factors: down-sampling factors of the levels; below 1 they up-sample.
        tile, overlap: pixels of a level.
        iou: circles that overlap at least this much are one crater.
        light: over the pictures; None where it is not known.
    """

    factors: tuple[float, ...] = (0.5, 1.0, 4.0)
    tile: int = 416
    overlap: int = 96
    iou: float = 0.3
    light: Light | None = None

    def levels(self) -> tuple[Level, ...]:
        """Levels with their size windows, finest first."""
        return default_levels(self.factors, self.tile, self.overlap, EDGE_MARGIN_PX)


def stretch(pixels: Pixels) -> Pixels:
    """The stretch that a scene of these 8-bit values gets."""
    limits = limits_at(image_radiometry(pixels.astype(np.float32), "uint8"), 1.0)
    return to_bytes(pixels.astype(np.float32), limits)


def scan(detector: Detector, pixels: Pixels, how: Scan) -> Detections:
    """Craters of a picture.

    Args:
        detector: its threshold is the lowest score returned.
        pixels: uint8, shape (height, width).
        how: levels and tiles.

    Returns:
        shape (n, 5) float64: x0, y0, x1, y1 in pixels of the picture, score; best first.
    """
    grey = stretch(pixels)
    found = [_search_level(detector, grey, level, how) for level in how.levels()]
    return suppress_circles(np.concatenate(found), how.iou)


def suppress_circles(rows: Detections, iou: float) -> Detections:
    """Greedy suppression of boxes (n, 5) by the IoU of their circles; best first, larger first.

    A box's circle has the diameter sqrt(w h) and the box's centre.
    """
    size = rows[:, 2:4] - rows[:, :2]
    diameter = np.sqrt(np.prod(size, axis=1))
    keys = (rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0], -diameter, -rows[:, 4])
    order = np.lexsort(keys)
    rows, diameter = rows[order], diameter[order]
    discs = np.column_stack([(rows[:, :2] + rows[:, 2:4]) / 2, diameter])
    pairs = disc_pairs(discs, discs, iou)
    ahead = pairs.where(pairs.i < pairs.j)
    rivals: list[list[int]] = [[] for _ in rows]
    for better, worse in zip(ahead.i.tolist(), ahead.j.tolist(), strict=True):
        rivals[better].append(worse)
    kept = np.ones(len(rows), dtype=bool)
    for k, worse_ones in enumerate(rivals):
        if kept[k]:
            kept[worse_ones] = False
    return rows[kept]


def _search_level(detector: Detector, grey: Pixels, level: Level, how: Scan) -> Detections:
    """Boxes of one level inside its window and not cut by an inner tile edge."""
    grid, origins, tiles = level_tiles(grey, level, how.tile)
    found = [np.empty((0, 5))]
    for (x, y), rows in zip(origins, detect_lit(detector, tiles, how.light), strict=True):
        whole = rows[~_is_cut(rows, x, y, grid, how.tile)].astype(np.float64)
        side = np.sqrt(np.prod(whole[:, 2:4] - whole[:, :2], axis=1))
        whole = whole[(side >= level.min_px) & (side <= level.max_px)]
        whole[:, :4] = (whole[:, :4] + (x, y, x, y)) * level.factor
        found.append(whole)
    return np.concatenate(found)


def level_tiles(
    grey: Pixels, level: Level, tile: int
) -> tuple[TileGrid, list[tuple[int, int]], Pixels]:
    """A stretched picture's tiles at a level: their grid, origins and pixels (n, tile, tile)."""
    height, width = grey.shape
    grid = TileGrid(width, height, level.factor, tile, level.overlap_px)
    picture = _resample(grey, grid)
    origins = [grid.origin(r, c) for r in range(grid.n_rows) for c in range(grid.n_columns)]
    return grid, origins, np.stack([_window(picture, x, y, tile) for x, y in origins])


def _is_cut(
    rows: NDArray[np.float32], x: int, y: int, grid: TileGrid, tile: int
) -> NDArray[np.bool_]:
    """Boxes within the margin of a tile edge beyond which the picture goes on."""
    inner = tile - EDGE_MARGIN_PX
    cut = np.zeros(len(rows), dtype=bool)
    for axis, start, size in ((0, x, grid.level_width), (1, y, grid.level_height)):
        if start > 0:
            cut |= rows[:, axis] < EDGE_MARGIN_PX
        if start + tile < size:
            cut |= rows[:, axis + 2] > inner
    return cut


def _resample(grey: Pixels, grid: TileGrid) -> Pixels:
    """The level's picture: means when shrunk, bicubic when enlarged."""
    if grid.factor == 1:
        return grey
    size = grid.level_width, grid.level_height
    covered = (0.0, 0.0, size[0] * grid.factor, size[1] * grid.factor)
    padded = np.pad(
        grey,
        (
            (0, int(np.ceil(covered[3])) - grey.shape[0]),
            (0, int(np.ceil(covered[2])) - grey.shape[1]),
        ),
        mode="edge",
    )
    method = Image.Resampling.BOX if grid.factor > 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(padded).resize(size, method, covered), dtype=np.uint8)


def _window(picture: Pixels, x: int, y: int, tile: int) -> Pixels:
    """A tile; beyond the picture it holds the mean of what is in it."""
    part = picture[y : y + tile, x : x + tile]
    if part.shape == (tile, tile):
        return part
    full = np.full((tile, tile), np.uint8(part.mean()), dtype=np.uint8)
    full[: part.shape[0], : part.shape[1]] = part
    return full


def factors_of(text: str) -> tuple[float, ...]:
    """Levels as a person writes them: ``0.5,1,4``."""
    return tuple(float(part) for part in text.split(","))


def scan_all(detector: Detector, pictures: Sequence[Pixels], how: Scan) -> list[Detections]:
    """``scan`` of each picture."""
    return [scan(detector, pixels, how) for pixels in pictures]
