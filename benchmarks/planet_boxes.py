"""What a detector would report of the benchmark planet: boxes of tiles, repeated, cut and false.

A crater is seen in every tile of every level that holds at least half of its box, each time a
little elsewhere, with another score, and now and then not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.planet_craters import Planet
from benchmarks.planet_scenes import LEVELS, PIXEL_M, TILE_PX, Window
from cda_db.batches import Boxes
from cda_db.runs import Level
from ingest.tiling import TileGrid

Floats = NDArray[np.float64]

SCORE_THRESHOLD = 0.25
# Measured with this generator: rows a crater of the planet, cut and false ones included.
ROWS_PER_CRATER = 1.835
_SEEN = 0.95
_FALSE_SHARE = 0.04
_LEAST_VISIBLE = 0.5

ROW = np.dtype(
    [("tile_row", "i2"), ("tile_col", "i2")]
    + [(name, "f4") for name in ("x0", "y0", "x1", "y1", "score")]
    + [("data_edge", "?")]
)


@dataclass(frozen=True)
class LevelBoxes:
    """Boxes of one level of a scene: an array of ``ROW``, and the numbers a worker reports."""

    factor: float
    rows: NDArray[np.void]
    n_tiles: int


def scene_boxes(planet: Planet, window: Window, number: int) -> list[LevelBoxes]:
    """Boxes of one scene, level by level."""
    rng = np.random.default_rng([planet.seed, 2, number])
    craters = planet.cells(window.cells())
    x, y, scale_x, scale_y = window.project(craters.lon, craters.lat)
    inside = np.flatnonzero(window.holds(x, y))
    seen = _Seen(
        (x[inside] - window.left) / PIXEL_M,
        (window.top - y[inside]) / PIXEL_M,
        craters.diameter_m[inside] * scale_x[inside] / PIXEL_M,
        craters.diameter_m[inside] * scale_y[inside] / PIXEL_M,
        craters.quality[inside],
    )
    return [_level_boxes(rng, seen, window, level) for level in LEVELS]


@dataclass(frozen=True)
class _Seen:
    """Centre and size in pixels."""

    x: Floats
    y: Floats
    w: Floats
    h: Floats
    quality: Floats

    def at(self, level: Level) -> _Seen:
        size = np.sqrt(self.w * self.h) / level.factor
        pick = np.flatnonzero((size >= level.min_px * 0.9) & (size <= level.max_px * 1.1))
        f = level.factor
        return _Seen(
            self.x[pick] / f, self.y[pick] / f, self.w[pick] / f, self.h[pick] / f,
            self.quality[pick],
        )  # fmt: skip

    def take(self, rows: NDArray[np.int64]) -> _Seen:
        return _Seen(*(getattr(self, field.name)[rows] for field in fields(self)))


def _level_boxes(rng: np.random.Generator, seen: _Seen, window: Window, level: Level) -> LevelBoxes:
    grid = TileGrid(window.width, window.height, level.factor, TILE_PX, level.overlap_px)
    seen = seen.at(level)
    across = _tiles(seen.x, seen.w, grid.level_width, grid.n_columns, grid.stride)
    down = _tiles(seen.y, seen.h, grid.level_height, grid.n_rows, grid.stride)
    parts = []
    for col, ok_x in across:
        for row, ok_y in down:
            pick = np.flatnonzero(ok_x & ok_y)
            pick = pick[rng.random(len(pick)) < _SEEN]
            parts.append(_reported(rng, seen.take(pick), row[pick], col[pick], grid, level))
    parts.append(_false(rng, int(_FALSE_SHARE * sum(map(len, parts))), grid, level))
    rows = np.concatenate(parts)
    # a worker goes through its tiles in order; within a tile the order is the detector's
    order = np.argsort(rows["tile_row"].astype("i4") * 32768 + rows["tile_col"], kind="stable")
    return LevelBoxes(level.factor, rows[order], grid.n_rows * grid.n_columns)


def _tiles(
    centre: Floats, size: Floats, level_px: int, n: int, stride: int
) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Along one axis: the up to three tiles that a box may touch, and where it is half visible."""
    last = np.clip(((centre + size / 2) // stride).astype(np.int64), 0, n - 1)
    found = []
    for back in range(3):
        tile = last - back
        origin = np.minimum(tile * stride, max(level_px - TILE_PX, 0))
        end = np.minimum(origin + TILE_PX, level_px)
        visible = np.minimum(centre + size / 2, end) - np.maximum(centre - size / 2, origin)
        found.append((tile, (tile >= 0) & (visible >= _LEAST_VISIBLE * size)))
    return found


def _reported(
    rng: np.random.Generator, seen: _Seen, row: NDArray[np.int64], col: NDArray[np.int64],
    grid: TileGrid, level: Level,
) -> NDArray[np.void]:  # fmt: skip
    """Boxes of these craters in these tiles, with the detector's scatter, inside the tile."""
    n = len(row)
    origin_x = np.minimum(col * grid.stride, max(grid.level_width - TILE_PX, 0))
    origin_y = np.minimum(row * grid.stride, max(grid.level_height - TILE_PX, 0))
    size = np.sqrt(seen.w * seen.h)
    noise = rng.standard_normal((4, n), dtype=np.float32)
    x = seen.x - origin_x + noise[0] * (0.02 * size + 0.2)
    y = seen.y - origin_y + noise[1] * (0.02 * size + 0.2)
    grow = 1 + 0.05 * noise[2]
    score = np.clip(seen.quality + 0.06 * noise[3], SCORE_THRESHOLD, 1)
    return _rows(x, y, seen.w * grow, seen.h * grow, score, row, col, grid, level)


def _false(rng: np.random.Generator, n: int, grid: TileGrid, level: Level) -> NDArray[np.void]:
    """Boxes of nothing: small, of low score, anywhere."""
    row, col = rng.integers(0, grid.n_rows, n), rng.integers(0, grid.n_columns, n)
    wide, high = min(TILE_PX, grid.level_width), min(TILE_PX, grid.level_height)
    size = rng.uniform(level.min_px, 3 * level.min_px, n)
    score = rng.uniform(SCORE_THRESHOLD, 0.5, n)
    x, y = rng.uniform(0, wide, n), rng.uniform(0, high, n)
    return _rows(x, y, size, size, score, row, col, grid, level)


def _rows(
    x: Floats, y: Floats, w: Floats, h: Floats, score: Floats,
    row: NDArray[np.int64], col: NDArray[np.int64], grid: TileGrid, level: Level,
) -> NDArray[np.void]:  # fmt: skip
    wide, high = min(TILE_PX, grid.level_width), min(TILE_PX, grid.level_height)
    rows = np.zeros(len(x), dtype=ROW)
    rows["tile_row"], rows["tile_col"], rows["score"] = row, col, score
    rows["x0"], rows["x1"] = np.clip(x - w / 2, 0, wide), np.clip(x + w / 2, 0, wide)
    rows["y0"], rows["y1"] = np.clip(y - h / 2, 0, high), np.clip(y + h / 2, 0, high)
    size = np.sqrt((rows["x1"] - rows["x0"]) * (rows["y1"] - rows["y0"]))
    kept: NDArray[np.void] = rows[(size >= level.min_px) & (size <= level.max_px)]
    return kept


def box_file(folder: Path, scene: str, factor: float) -> Path:
    """Where the boxes of a scene's level lie."""
    return folder / f"{scene}_{factor:g}.npy"


def load_boxes(folder: Path, scene: str, factor: float) -> Boxes:
    """Boxes of a batch as a worker hands them over."""
    rows = np.load(box_file(folder, scene, factor))
    return Boxes(**{name: np.ascontiguousarray(rows[name]) for name in ROW.names or ()})
