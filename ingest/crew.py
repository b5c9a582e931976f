"""Several workers on one machine, each a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.queues import Queue
from typing import Any

from cda_db.errors import CdaError, StateError
from ingest.worker import Work, work

_GONE = "gone"


def run_crew(task: Work, workers: int, report: Callable[[str], object]) -> dict[str, int]:
    """Run workers until the run is done; returns counts of batches and detections.

    One worker runs in this process. Of several, one that dies is not replaced: the others take
    its batch over when the lease has run out.

    Args:
        task: what each of them does.
        workers: how many processes.
        report: called with done, failed or lost after each batch.

    Raises:
        CdaError: the first error that stopped a worker, when all have ended.
        StateError: every one of several workers died.
    """
    counts = {"done": 0, "failed": 0, "lost": 0, "detections": 0}

    def count(event: str, detections: int) -> None:
        counts[event] += 1
        counts["detections"] += detections
        report(event)

    if workers == 1 or task.batch_id is not None:
        work(task, count)
    else:
        _run_processes(task, workers, count)
    return counts


def _run_processes(task: Work, workers: int, count: Callable[[str, int], None]) -> None:
    # Spawned, because OpenVINO, GDAL and psycopg do not survive a fork.
    context = multiprocessing.get_context("spawn")
    events: Queue[Any] = context.Queue()
    crew = [context.Process(target=_member, args=(task, events)) for _ in range(workers)]
    for member in crew:
        member.start()
    errors: list[CdaError] = []
    while any(member.is_alive() for member in crew) or not events.empty():
        try:
            event, value = events.get(timeout=0.2)
        except queue.Empty:
            continue
        if event == _GONE:
            errors.append(CdaError(*value))
        else:
            count(event, value)
    for member in crew:
        member.join()
        if member.exitcode:
            sys.stderr.write(f"Worker {member.pid} ended with status {member.exitcode}.\n")
    if errors:
        raise errors[0]
    if all(member.exitcode for member in crew):
        raise StateError(
            f"All {len(crew)} workers ended before the run was done.",
            "Their words are above; `cda ingest work` again goes on where they stopped.",
        )


def _member(task: Work, events: Queue[Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True, name="parent").start()
    try:
        work(task, lambda event, detections: events.put((event, detections)))
    except CdaError as error:
        traceback.print_exc()
        events.put((_GONE, (error.problem, error.remedy)))


def _end_with_parent() -> None:
    # A killed crew must not work on unseen; a worker may end at any moment.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
