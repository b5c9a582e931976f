"""A worker: claims batches of a run, reads their tiles, detects, and pushes what it found.

Kill it at any time: a batch's rows, counts and state commit together or not at all, and a batch
whose worker was lost is claimed again when its lease has run out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray

from cda_db.batches import (
    LEASE_S,
    Batch,
    Boxes,
    LeaseKeeper,
    claim_batch,
    fail_batch,
    finish_batch,
    open_batches,
)
from cda_db.connection import Connection, connect
from cda_db.errors import InputError, LeaseLostError, ModelError, ServerError
from cda_db.settings import target as default_target
from ingest.detector import Detector, find_model
from ingest.reader import TileReader
from ingest.tiling import TileGrid

# How long a worker waits for a server that went away, and between looks at others' claims.
RECONNECT_S = 120.0
POLL_S = 1.0

T = TypeVar("T")
Report = Callable[[str, int], object]


@dataclass(frozen=True)
class Work:
    """What one worker is to do.

    Attributes:
        run: name of the run.
        threads: CPU threads of the detector.
        batch_id: only this batch.
        lease_s: how long a claim is good without renewal.
        wait: stay while other workers hold batches, to take over those that are lost.
        scenes: only batches of the scenes of these names.
    """

    run: str
    threads: int = 1
    batch_id: int | None = None
    lease_s: float = LEASE_S
    wait: bool = True
    scenes: tuple[str, ...] | None = None


def work(task: Work, report: Report = lambda _event, _n: None) -> int:
    """Claim and finish batches until none is left; returns how many this worker finished.

    Args:
        task: what to do.
        report: called with ("done" | "failed" | "lost", detections) after each batch.

    Raises:
        NotFoundError: there is no such run.
        ModelError: the run's weights are not here, or are not the ones that were registered.
        ServerError: the server stayed away for RECONNECT_S.
    """
    finished = 0
    detectors = _Detectors(task.threads)
    with _Link() as link:
        while True:
            batch = link.call(lambda conn: _claim(conn, task))
            if batch is None:
                if not _must_wait(link, task):
                    return finished
                time.sleep(POLL_S)
                continue
            finished += _do(link, batch, detectors, task, report)


def _claim(conn: Connection, task: Work) -> Batch | None:
    return claim_batch(
        conn,
        task.run,
        threads=task.threads,
        lease_s=task.lease_s,
        batch_id=task.batch_id,
        scenes=task.scenes,
    )


def _must_wait(link: _Link, task: Work) -> bool:
    if not task.wait or task.batch_id is not None:
        return False
    return link.call(lambda conn: open_batches(conn, task.run, task.scenes)) > 0


def _do(link: _Link, batch: Batch, detectors: _Detectors, task: Work, report: Report) -> int:
    """One batch; 1 if its results count."""
    try:
        with LeaseKeeper(link.url, batch, task.lease_s) as keeper:
            found = detect_batch(batch, detectors.get(batch), keeper.lost.is_set)
            stored = link.call(lambda conn: finish_batch(conn, batch, **found))
    except LeaseLostError:
        report("lost", 0)
        return 0
    except ModelError:
        raise  # no batch of the run could be done here
    except InputError as error:
        message = f"{error.problem} {error.remedy}"
        link.call(lambda conn: fail_batch(conn, batch, message))
        report("failed", 0)
        return 0
    report("done", stored)
    return 1


def detect_batch(
    batch: Batch, detector: Detector, lost: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Read and detect a batch's tiles, the next row being read while one is detected.

    Returns:
        Arguments of ``cda_db.batches.finish_batch``: boxes, n_tiles, n_empty, n_outside.

    Raises:
        SceneError: the picture is gone, was replaced, or cannot be read.
        LeaseLostError: another worker took the batch over meanwhile.
    """
    level, tile = batch.level, batch.run["tile_px"]
    parts: list[tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.float32], NDArray[np.bool_]]]
    parts = []
    n_tiles = n_empty = n_outside = 0
    with TileReader(
        batch.scene,
        level["factor"],
        tile,
        level["overlap_px"],
        tile_margin(batch),
        batch.neighbours,
    ) as reader:
        for row, (columns, tiles, valid) in _ahead(reader, batch.row_start, batch.row_stop):
            if lost():
                raise LeaseLostError(
                    f"Batch {batch.batch_id} was taken over.", "The other worker's results count."
                )
            n_tiles += len(columns)
            n_empty += reader.grid.n_columns - len(columns)
            for column, boxes, mask in zip(columns, detector.detect(tiles), valid, strict=True):
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


def _ahead(reader: TileReader, start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """Rows of tiles, each read by a thread while the one before it is in use."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read") as pool:
        coming = pool.submit(reader.read_row, start)
        for row in range(start, stop):
            current = coming.result()
            if row + 1 < stop:
                coming = pool.submit(reader.read_row, row + 1)
            yield row, current


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


class _Detectors:
    """The run's detector, loaded once and checked against the registered hash."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._loaded: dict[str, Detector] = {}

    def get(self, batch: Batch) -> Detector:
        name, sha256 = batch.model["name"], batch.model["sha256"]
        if sha256 not in self._loaded:
            files = find_model(name)
            if files.sha256.hex() != sha256:
                raise ModelError(
                    f"Model {name!r} here has sha256 {files.sha256.hex()[:12]}..., run"
                    f" {batch.run['name']!r} was made with {sha256[:12]}....",
                    "Install the version that the run was made with, or make a new run.",
                )
            config = batch.run["config"]
            self._loaded[sha256] = Detector(
                files,
                threads=self._threads,
                precision=config["precision"],
                batch=config["detector_batch"],
                threshold=config["score_threshold"],
                nms_iou=config["nms_iou"],
            )
        return self._loaded[sha256]


class _Link:
    """A connection of the ingest role that comes back after the server was away."""

    def __init__(self) -> None:
        self.url = default_target().url
        self._conn: Connection | None = None

    def __enter__(self) -> _Link:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._conn is not None:
            self._conn.close()

    def call(self, action: Callable[[Connection], T]) -> T:
        """Run an action, again on a new connection while the server is away."""
        give_up = time.monotonic() + RECONNECT_S
        while True:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = connect(role="cda_ingest", application_name="cda worker")
                return action(self._conn)
            except (psycopg.OperationalError, ServerError):
                if self._conn is not None:
                    self._conn.close()
                if time.monotonic() > give_up:
                    raise
                time.sleep(POLL_S)
