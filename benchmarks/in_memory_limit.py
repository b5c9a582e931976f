"""Does the in-memory path do 10^8? Fetch, polygons, tree: how far it comes in the memory there is.

    python -m benchmarks.planet --detections 100000000 --keep
    python -m benchmarks.in_memory_limit --database planet_100000000 --format json

The path of ``benchmarks.shapely_nms`` with the fastest fetch that we know, in a process of its own
that may take all the memory that is free, and no more: it then ends by an error, not by the
kernel's killing whom it likes.
"""

from __future__ import annotations

import json
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click


def attempt(url: str, limit_bytes: int) -> dict[str, Any]:
    """Run the path under a limit of address space: what was reached, where it ended."""
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    from shapely.errors import GEOSException

    from benchmarks.shapely_nms import fetch_copied, suppress_in_memory
    from cda_db.connection import connect
    from cda_db.runs import get_run

    report: dict[str, Any] = {"limit_bytes": limit_bytes, "ended in": "fetch"}
    started = time.perf_counter()
    try:
        with connect(url, role="cda_reader") as conn:
            run = get_run(conn, "planet")
            rows = fetch_copied(conn, run)
        report |= {"rows": len(rows.ids), "fetch_s": round(time.perf_counter() - started, 1)}
        report["ended in"] = "polygons, tree or query"
        verdict, seconds = suppress_in_memory(rows, run.iou_threshold)
        report |= {"ended in": "nothing: it went through", "kept": int((verdict < 0).sum())}
        report |= seconds
    except (MemoryError, GEOSException) as error:
        report["error"] = f"{type(error).__name__} {error}".strip()
    report["seconds"] = round(time.perf_counter() - started, 1)
    report["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return report


def free_bytes() -> int:
    """Memory that is free now, or held by nothing but cached files."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


@click.command()
@click.option("--database", required=True, help="Of the cluster bench, with a run 'planet'.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(database: str, form: str) -> None:
    """Try the in-memory path on a database that `benchmarks.planet --keep` has left.

    \b
    python -m benchmarks.in_memory_limit --database planet_100000000 --format json
    """
    from benchmarks.probe import machine
    from cda_db.embedded import lease
    from cda_db.settings import embedded, find_cluster

    cluster = find_cluster("bench")
    with lease(cluster), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        url = embedded(cluster, database).url
        report: dict[str, Any] = {"machine": machine()}
        try:
            report |= pool.submit(attempt, url, free_bytes()).result()
        except BrokenProcessPool:
            report |= {"ended in": "the death of its process (GEOS gives up without memory)"}
    if form == "json":
        print(json.dumps(report))
        return
    for key, value in report.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its buffers would count as address space
    main()
