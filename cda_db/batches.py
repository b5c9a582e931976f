"""Batches as a worker meets them: claim, renew, finish, fail; and repeat, the owner's.

Delivery is at least once, effect exactly once: a claim commits at once with a lease, and results
commit only while the batch is still at the worker's attempt (rule 3 of the design).
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from cda_db import __version__
from cda_db.bulk import copy_arrays
from cda_db.connection import Connection
from cda_db.errors import InputError, LeaseLostError, NotFoundError
from cda_db.margins import Neighbour
from cda_db.scenes import Scene, scene_from_json

LEASE_S = 60.0


@dataclass(frozen=True)
class Batch:
    """A claimed batch: all that a worker needs to know."""

    batch_id: int
    attempt: int
    run: dict[str, Any]
    level: dict[str, Any]
    model: dict[str, Any]
    scene: Scene
    row_start: int
    row_stop: int
    neighbours: tuple[Neighbour, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Batch:
        """From the answer of ``cda.claim_batch``."""
        return cls(
            data["batch_id"], data["attempt"], data["run"], data["level"], data["model"],
            scene_from_json(data["scene"]), data["row_start"], data["row_stop"],
            tuple(Neighbour.from_json(item) for item in data["neighbours"]),
        )  # fmt: skip


@dataclass(frozen=True)
class Boxes:
    """Raw boxes of a batch; 1-D arrays of equal length, pixels of their tile.

    Attributes:
        tile_row, tile_col: int16.
        x0, y0, x1, y1, score: float32.
        data_edge: bool, the box touches nodata.
    """

    tile_row: NDArray[np.int16]
    tile_col: NDArray[np.int16]
    x0: NDArray[np.float32]
    y0: NDArray[np.float32]
    x1: NDArray[np.float32]
    y1: NDArray[np.float32]
    score: NDArray[np.float32]
    data_edge: NDArray[np.bool_]


def job_id() -> str | None:
    """The cluster's name of this job: Slurm's array task or job."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def claim_batch(
    conn: Connection,
    run_name: str,
    *,
    threads: int,
    lease_s: float = LEASE_S,
    batch_id: int | None = None,
    scenes: Sequence[str] | None = None,
) -> Batch | None:
    """Claim the next open batch and commit the claim; None when nothing is open.

    Args:
        threads: CPU threads of the detector, for the record.
        lease_s: how long the claim is good without renewal.
        batch_id: only this batch.
        scenes: only batches of the scenes of these names.

    Raises:
        NotFoundError: there is no such run.
    """
    try:
        row = conn.execute(
            "SELECT cda.claim_batch(%s, %s, %s, %s, %s, %s, make_interval(secs => %s), %s,"
            " only_scenes => %s)",
            [run_name, socket.gethostname(), os.getpid(), job_id(), threads,
             __version__, lease_s, batch_id, _names(scenes)],
        ).fetchone()  # fmt: skip
    except psycopg.errors.NoDataFound as error:
        conn.rollback()
        raise NotFoundError(
            f"There is no run {run_name!r}.", "See `cda ingest run list`."
        ) from error
    conn.commit()
    return Batch.from_json(row[0]) if row and row[0] else None


def finish_batch(
    conn: Connection, batch: Batch, boxes: Boxes, *, n_tiles: int, n_empty: int, n_outside: int
) -> int:
    """Push the boxes, put them on the sphere and close the batch, in one transaction.

    Returns:
        How many detections were stored.

    Raises:
        LeaseLostError: another worker holds the batch now; nothing was stored.
        InputError: the database refuses the boxes: they cannot be this batch's, or are too many.
    """
    try:
        with conn.transaction():
            slot = conn.execute("SELECT cda.take_staging_slot()").fetchone()
            assert slot is not None  # a function without FROM gives one row
            copy_arrays(conn, slot[0], vars(_in_order(boxes)))
            row = conn.execute(
                "SELECT cda.finish_batch(%s, %s, %s, %s, %s, %s)",
                [batch.batch_id, batch.attempt, slot[0], n_tiles, n_empty, n_outside],
            ).fetchone()
            if row is None or row[0] is None:
                raise LeaseLostError(
                    f"Batch {batch.batch_id} is no longer at attempt {batch.attempt}.",
                    "Another worker took it over; its results count.",
                )
    except (psycopg.errors.CheckViolation, psycopg.errors.ProgramLimitExceeded) as error:
        raise InputError(
            f"The database refuses the result: {error.diag.message_primary}.",
            error.diag.message_hint or "",
        ) from error
    return int(row[0])


def _in_order(boxes: Boxes) -> Boxes:
    """The boxes nearly in the order that ids follow: the server, which decides, then sorts cheaply.

    One number a box, of tile and x0, whose bits are in order where it is positive.
    """
    tile = boxes.tile_row.astype(np.int64) << 16 | boxes.tile_col
    x0 = (boxes.x0.astype(np.float32) + np.float32(2)).view(np.int32)
    order = np.argsort(tile << 32 | x0)
    return Boxes(*(values[order] for values in vars(boxes).values()))


def open_batches(conn: Connection, run_name: str, scenes: Sequence[str] | None = None) -> int:
    """How many batches of a run are open or claimed: 0 when there is nothing left to wait for.

    Args:
        scenes: count only batches of the scenes of these names.

    Raises:
        NotFoundError: one of them is no scene of the run.
    """
    try:
        row = conn.execute("SELECT cda.open_batches(%s, %s)", [run_name, _names(scenes)]).fetchone()
    except psycopg.errors.NoDataFound as error:
        conn.rollback()
        raise NotFoundError(
            f"{str(error.diag.message_primary).capitalize()}.", "See `cda ingest scenes --list`."
        ) from error
    conn.commit()
    return int(row[0]) if row else 0


def _names(scenes: Sequence[str] | None) -> list[str] | None:
    return None if scenes is None else list(scenes)


def fail_batch(conn: Connection, batch: Batch, error: str) -> None:
    """Give the batch up with a reason; it waits for `cda ingest repeat`."""
    conn.execute("SELECT cda.fail_batch(%s, %s, %s)", [batch.batch_id, batch.attempt, error])
    conn.commit()


def repeat_batch(conn: Connection, batch_id: int) -> int:
    """Delete a batch's rows and open it again (one transaction); returns the rows deleted."""
    try:
        row = conn.execute("SELECT cda.repeat_batch(%s)", [batch_id]).fetchone()
    except psycopg.errors.NoDataFound as error:
        conn.rollback()
        raise NotFoundError(f"There is no batch {batch_id}.", "See `cda ingest status`.") from error
    conn.commit()
    return int(row[0]) if row else 0


def batches_of(
    conn: Connection, run_id: int, *, scenes: Sequence[str] | None = None, failed: bool = False
) -> list[int]:
    """Ids of a run's batches: all, those of some scenes, those that failed."""
    rows = conn.execute(
        "SELECT b.batch_id FROM cda.batch b JOIN cda.scene s USING (scene_id)"
        " WHERE b.run_id = %(run)s AND (NOT %(failed)s OR b.state = 'failed')"
        " AND (%(scenes)s::text[] IS NULL OR s.name = ANY(%(scenes)s)) ORDER BY b.batch_id",
        {"run": run_id, "failed": failed, "scenes": _names(scenes)},
    )
    return [row[0] for row in rows]


class LeaseKeeper:
    """Renews the lease of a batch from a thread with a connection of its own.

    ``lost`` is set when another worker holds the batch; the worker may then stop early. A server
    that does not answer is asked again: the lease decides, not this thread.
    """

    def __init__(self, url: str, batch: Batch, lease_s: float = LEASE_S) -> None:
        self.lost = threading.Event()
        self._url, self._batch, self._lease_s = url, batch, lease_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="lease")

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(self._lease_s / 3):
            try:
                if not self._renew():
                    self.lost.set()
                    return
            except psycopg.OperationalError:
                continue  # the next round asks a server that may be back

    def _renew(self) -> bool:
        # a server that cannot be reached must not hold the thread longer than the lease
        wait = max(1, int(self._lease_s / 3))
        with psycopg.connect(self._url, autocommit=True, connect_timeout=wait) as conn:
            row = conn.execute(
                "SELECT cda.renew_batch(%s, %s, make_interval(secs => %s))",
                [self._batch.batch_id, self._batch.attempt, self._lease_s],
            ).fetchone()
        return bool(row and row[0])
