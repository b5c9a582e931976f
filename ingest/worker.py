"""A worker: claims batches of a run, reads their tiles, detects, and pushes what it found.

Kill it at any time: a batch's rows, counts and state commit together or not at all, and a batch
whose worker was lost is claimed again when its lease has run out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from cda_db.batches import (
    LEASE_S,
    Batch,
    LeaseKeeper,
    claim_batch,
    fail_batch,
    finish_batch,
    open_batches,
)
from cda_db.connection import Connection, connect
from cda_db.errors import InputError, LeaseLostError, ModelError, ServerError
from cda_db.settings import target as default_target
from ingest.batch_search import detect_batch
from ingest.detector import Detector, ModelFiles, find_model
from ingest.detector_torch import TorchDetector

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
        device: ``cpu`` for OpenVINO, ``cuda`` (``cuda:1``, ...) for torch on a GPU.
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
    device: str = "cpu"


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
    detectors = _Detectors(task)
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


class _Detectors:
    """The run's detector, loaded once and checked against the registered hash."""

    def __init__(self, task: Work) -> None:
        self._task = task
        self._loaded: dict[str, Detector | TorchDetector] = {}

    def get(self, batch: Batch) -> Detector | TorchDetector:
        name, sha256 = batch.model["name"], batch.model["sha256"]
        if sha256 not in self._loaded:
            files = find_model(name)
            if files.sha256.hex() != sha256:
                raise ModelError(
                    f"Model {name!r} here has sha256 {files.sha256.hex()[:12]}..., run"
                    f" {batch.run['name']!r} was made with {sha256[:12]}....",
                    "Install the version that the run was made with, or make a new run.",
                )
            self._loaded[sha256] = self._make(files, batch.run["config"])
        return self._loaded[sha256]

    def _make(self, files: ModelFiles, config: dict[str, Any]) -> Detector | TorchDetector:
        wanted = {"threshold": config["score_threshold"], "nms_iou": config["nms_iou"]}
        if self._task.device != "cpu":
            return TorchDetector(
                files, device=self._task.device, precision=config["precision"], **wanted
            )
        return Detector(
            files,
            threads=self._task.threads,
            precision=config["precision"],
            batch=config["detector_batch"],
            **wanted,
        )


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
