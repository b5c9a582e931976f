"""The floor under any ingest: bare COPY BINARY of rows as wide into an unindexed table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.planet_boxes import load_boxes
from cda_db.bulk import copy_arrays
from cda_db.connection import Connection, connect

TABLE = "bench_floor"


def copy_floor(
    url: str, folder: Path, batches: Sequence[tuple[str, float]], workers: int
) -> tuple[float, float]:
    """COPY every batch's rows, as wide as ``cda.detection``'s, one commit a batch.

    Args:
        url: the database.
        folder: of the generated boxes.
        batches: scene and level.
        workers: processes at once.

    Returns:
        Seconds of wall clock, and processor seconds of the clients.
    """
    with connect(url, role="cda_owner") as conn:
        conn.execute(f"CREATE TABLE cda.{TABLE} (LIKE cda.detection)")
        conn.commit()
    started = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        shares = [batches[k::workers] for k in range(workers)]
        spent = list(pool.map(partial(_copy, url, folder), shares))
    with connect(url, role="cda_owner") as conn:
        conn.execute(f"DROP TABLE cda.{TABLE}")
        conn.commit()
    return max(wall for wall, _ in spent) or time.perf_counter() - started, sum(
        cpu for _, cpu in spent
    )


def _copy(url: str, folder: Path, batches: Sequence[tuple[str, float]]) -> tuple[float, float]:
    with connect(url, role="cda_owner") as conn:
        started, cpu = time.perf_counter(), time.process_time()
        for scene, factor in batches:
            _copy_one(conn, folder, scene, factor)
        return time.perf_counter() - started, time.process_time() - cpu


def _copy_one(conn: Connection, folder: Path, scene: str, factor: float) -> None:
    boxes = load_boxes(folder, scene, factor)
    n = len(boxes.score)
    copy_arrays(
        conn,
        TABLE,
        {
            "run_id": np.ones(n, dtype=np.int32),
            "detection_id": np.arange(n, dtype=np.int64),
            "lon": boxes.x0.astype(np.float64),
            "lat": boxes.y0.astype(np.float64),
            "diameter_m": boxes.x1,
            "cut": boxes.data_edge,
            **vars(boxes),
        },
    )
    conn.commit()
