"""Generating the benchmark planet's boxes, and pushing them by the code that workers use."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.planet_boxes import box_file, load_boxes, scene_boxes
from benchmarks.planet_craters import Planet
from benchmarks.planet_scenes import Window
from cda_db.batches import claim_batch, finish_batch
from cda_db.connection import connect


@dataclass(frozen=True)
class Tally:
    """What one process did.

    Attributes:
        rows, batches: handled.
        seconds: wall clock.
        cpu_s: processor seconds of this process (the server's are its own).
        load_s: of the wall clock, reading the prepared boxes from disk.
        peak_bytes: largest resident memory.
    """

    rows: int
    batches: int
    seconds: float
    cpu_s: float
    load_s: float
    peak_bytes: int


def generate(planet: Planet, windows: Sequence[Window], folder: Path, workers: int) -> list[Tally]:
    """Write every scene's boxes to ``folder``, one file a level; what is there is not made again.

    Returns:
        One tally a process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbered = list(enumerate(windows))
    shares = [numbered[k::workers] for k in range(workers)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(_generate, planet, folder), shares))


def _generate(planet: Planet, folder: Path, share: Sequence[tuple[int, Window]]) -> Tally:
    started, cpu, rows, files = time.perf_counter(), time.process_time(), 0, 0
    for number, window in share:
        if all(box_file(folder, window.name, f).exists() for f in (1, 8, 32, 128)):
            continue
        for level in scene_boxes(planet, window, number):
            np.save(box_file(folder, window.name, level.factor), level.rows)
            rows, files = rows + len(level.rows), files + 1
    return _tally(rows, files, started, cpu, 0.0)


def push(url: str, run_name: str, folder: Path, workers: int) -> list[Tally]:
    """Claim and finish every open batch of the run from several processes.

    Returns:
        One tally a process.
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(_push, url, run_name), [folder] * workers))


def _push(url: str, run_name: str, folder: Path) -> Tally:
    rows = batches = 0
    load_s = 0.0
    with connect(url, role="cda_ingest", application_name="planet push") as conn:
        started, cpu = time.perf_counter(), time.process_time()
        while batch := claim_batch(conn, run_name, threads=1):
            before = time.perf_counter()
            boxes = load_boxes(folder, batch.scene.name, batch.level["factor"])
            load_s += time.perf_counter() - before
            n_tiles = int(batch.row_stop - batch.row_start)
            rows += finish_batch(conn, batch, boxes, n_tiles=n_tiles, n_empty=0, n_outside=0)
            batches += 1
    return _tally(rows, batches, started, cpu, load_s)


def _tally(rows: int, batches: int, started: float, cpu: float, load_s: float) -> Tally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Tally(
        rows, batches, time.perf_counter() - started, time.process_time() - cpu, load_s, peak
    )
