"""One batch of a run: its tiles read, searched, and its boxes kept or left out.

A thread reads the next rows of tiles while the detector has the ones before; narrow scenes' rows
are handed over together, so that the detector's threads do not wait for each other at every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.batches import Batch, Boxes
from cda_db.errors import LeaseLostError
from ingest.detector import Detector
from ingest.detector_torch import TorchDetector
from ingest.light import detect_lit, scene_light
from ingest.reader import TileReader
from ingest.tiling import TileGrid

# Row and column of each tile, pictures and validity, uint8 and bool (n, tile, tile).
_Part = tuple[list[int], list[int], NDArray[np.uint8], NDArray[np.bool_]]


def detect_batch(
    batch: Batch, detector: Detector | TorchDetector, lost: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Read and detect a batch's tiles, the next row being read while one is detected.

    Returns:
        Arguments of ``cda_db.batches.finish_batch``: boxes, n_tiles, n_empty, n_outside.

    Raises:
        SceneError: the picture is gone, was replaced, or cannot be read.
        LeaseLostError: another worker took the batch over meanwhile.
    """
    level, tile = batch.level, batch.run["tile_px"]
    light = scene_light(batch.scene, batch.run["config"].get("against_light", 0.0))
    parts: list[tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.float32], NDArray[np.bool_]]]
    parts = []
    n_tiles = n_outside = 0
    with TileReader(
        batch.scene,
        level["factor"],
        tile,
        level["overlap_px"],
        tile_margin(batch),
        batch.neighbours,
    ) as reader:
        rows_of_tiles = range(batch.row_start, batch.row_stop)
        for rows, columns, tiles, valid in _ahead(
            _together(reader, rows_of_tiles, detector.at_once)
        ):
            if lost():
                raise LeaseLostError(
                    f"Batch {batch.batch_id} was taken over.", "The other worker's results count."
                )
            n_tiles += len(tiles)
            found = detect_lit(detector, tiles, light)
            for row, column, boxes, mask in zip(rows, columns, found, valid, strict=True):
                share = invalid_share(boxes, mask)
                size = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
                # mostly over ground that was never imaged: an artefact of the fill
                good = (size >= level["min_px"]) & (size <= level["max_px"]) & (share <= 0.5)
                good &= _on_scene(boxes, reader.grid, row, column)
                n_outside += int((~good).sum())
                n = int(good.sum())
                parts.append(
                    (np.full(n, row, np.int16), np.full(n, column, np.int16), boxes[good],
                     share[good] > 0)
                )  # fmt: skip
        n_empty = (batch.row_stop - batch.row_start) * reader.grid.n_columns - n_tiles
    return {
        "boxes": _join(parts),
        "n_tiles": n_tiles,
        "n_empty": n_empty,
        "n_outside": n_outside,
    }


def tile_margin(batch: Batch) -> int:
    """Pixels of the level by which the tiles go on past the scene's edges (``cda.tile_margin``)."""
    as_is = (batch.scene.view or {}).get("name", "as_is") == "as_is"
    wanted = batch.run["config"].get("neighbours", False)
    return int(batch.level["overlap_px"]) if wanted and as_is else 0


def _on_scene(
    boxes: NDArray[np.float32], grid: TileGrid, row: int, column: int
) -> NDArray[np.bool_]:
    """Which boxes reach into the scene; those wholly in the margin are its neighbours' to find."""
    x, y = grid.origin(row, column)
    wide, high = (n - 2 * grid.margin for n in (grid.level_width, grid.level_height))
    across = (boxes[:, 2] + x > 0) & (boxes[:, 0] + x < wide)
    return np.asarray(across & (boxes[:, 3] + y > 0) & (boxes[:, 1] + y < high))


def _together(reader: TileReader, rows: range, at_once: int) -> Iterator[_Part]:
    """Tiles of narrow scenes' rows taken together, so that no detector thread waits for a row.

    Yields:
        rows and columns of about ``at_once`` tiles, or of one longer row; pictures and validity.
    """
    waiting: list[tuple[int, list[int], Any, Any]] = []
    for row in rows:
        waiting.append((row, *reader.read_row(row)))
        if sum(len(entry[1]) for entry in waiting) >= at_once:
            yield _joined(waiting)
            waiting = []
    if any(entry[1] for entry in waiting):
        yield _joined(waiting)


def _joined(waiting: list[tuple[int, list[int], Any, Any]]) -> _Part:
    rows = [row for row, columns, _, _ in waiting for _ in columns]
    columns = [column for _, entry, _, _ in waiting for column in entry]
    if len(waiting) == 1:
        return rows, columns, *waiting[0][2:]
    tiles, valid = (np.concatenate([entry[k] for entry in waiting]) for k in (2, 3))
    return rows, columns, tiles, valid


def _ahead(parts: Iterator[_Part]) -> Iterator[_Part]:
    """Parts, each read by a thread while the one before it is in use."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read") as pool:
        coming = pool.submit(next, parts, None)
        while (current := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield current


def invalid_share(boxes: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of each box's pixels that are not imaged.

    Args:
        boxes: (k, 5) x0, y0, x1, y1, score in pixels.
        valid: (side, side).
    """
    if valid.all():
        return np.zeros(len(boxes))
    sums = np.zeros(np.add(valid.shape, 1), dtype=np.int64)
    sums[1:, 1:] = np.cumsum(np.cumsum(~valid, axis=0), axis=1)
    side = valid.shape[0]
    x0, y0 = (np.clip(np.floor(boxes[:, i]).astype(int), 0, side - 1) for i in (0, 1))
    x1, y1 = (np.clip(np.ceil(boxes[:, i]).astype(int), 1, side) for i in (2, 3))
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return np.asarray(inside / np.maximum((x1 - x0) * (y1 - y0), 1))


def _join(parts: list[Any]) -> Boxes:
    if not parts:
        empty = np.empty(0, np.float32)
        none = np.empty(0, np.int16)
        return Boxes(none, none, empty, empty, empty, empty, empty, np.empty(0, bool))
    row, column, boxes, edge = (np.concatenate(column) for column in zip(*parts, strict=True))
    x0, y0, x1, y1, score = boxes.astype(np.float32).T
    return Boxes(row, column, x0, y0, x1, y1, np.minimum(score, np.float32(1)), edge)
