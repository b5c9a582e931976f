"""A planet of raw detections, end to end: COPY, untiling, exact suppression, density roll-up.

    python -m benchmarks.planet --detections 1000000 --format json

Generates what workers would push for Mars (timed apart), pushes it with the code that workers use
into a server of its own (fsync and full_page_writes on, commits synchronous), makes the catalogue
and its roll-up, and prints stages, settings, memory, disk, log bytes and what became of the rows.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


def measure(
    detections: int, *, workers: int, seed: int, folder: Path, keep: bool = False
) -> dict[str, Any]:
    """Run all stages; returns the report."""
    from benchmarks.planet_boxes import ROWS_PER_CRATER
    from benchmarks.planet_craters import Planet
    from benchmarks.planet_push import generate, push
    from benchmarks.planet_scenes import choose_windows
    from benchmarks.planet_stages import (
        Log,
        bench_database,
        make_planet_run,
        own_peak_bytes,
        shares,
        table_sizes,
    )  # fmt: skip
    from benchmarks.probe import Probe, machine, server_settings
    from cda_db.connection import connect
    from cda_db.rollup import roll_up
    from cda_db.suppression import suppress

    planet = Planet(max(detections, 10**8) / ROWS_PER_CRATER, seed)
    windows = choose_windows(planet, detections / 10**8)
    started = time.perf_counter()
    made = generate(planet, windows, folder, workers)
    generation_s = time.perf_counter() - started
    _say(f"generated {sum(t.rows for t in made):,} boxes in {generation_s:.1f} s")
    with bench_database(f"planet_{detections}", keep=keep) as target:
        assert target.cluster is not None  # bench_database made it embedded
        with connect(target, role="cda_owner") as conn, Probe(target.cluster) as probe:
            log = Log(probe, conn)
            with log.stage("scenes"):
                run = make_planet_run(conn, "planet", windows)
            with log.stage("push"):
                pushed = push(target.url, run.name, folder, workers)
            _say(f"pushed in {log.stages[-1].seconds} s")
            with log.stage("suppress"):
                summary = suppress(target, run, workers=workers, progress=_progress)
            _say(f"suppressed in {log.stages[-1].seconds} s: {summary.seconds}")
            with log.stage("roll_up"):
                rolled = roll_up(conn, run, target=target, workers=workers)
            rows = shares(conn, run)
            if rolled != rows["craters"] or rows["detections"] != sum(t.rows for t in pushed):
                raise RuntimeError("the roll-up, the catalogue and the push differ in their sums")
            sizes = table_sizes(conn, run)
            settings = server_settings(conn)
            conn.rollback()
    total_s = sum(stage.seconds for stage in log.stages)
    n = int(rows["detections"])
    return {
        "machine": machine(), "settings": settings, "workers": workers, "seed": seed,
        "scenes": len(windows), "rows": rows, "generation_s": round(generation_s, 2),
        "stages": log.as_json(), "suppress_seconds": summary.seconds,
        "detections_waiting_on_other_zones": summary.n_waiting,
        "total_s": round(total_s, 2),
        "server_cpu_s": round(sum(s.server_cpu_s for s in log.stages), 2),
        "rows_per_s": round(n / total_s),
        "push": [asdict(tally) for tally in pushed],
        "push_rows_per_s": round(n / log.stages[1].seconds),
        "wal_bytes": sum(stage.wal_bytes for stage in log.stages),
        "spilled_bytes": sum(stage.temp_bytes for stage in log.stages),
        "peak_backend_bytes": probe.peak_backend_bytes,
        "peak_backends_bytes": probe.peak_backends_bytes,
        "peak_client_bytes": max([own_peak_bytes(), *(t.peak_bytes for t in pushed)]),
        "peak_disk_bytes": probe.peak_disk_bytes,
        "sizes": sizes, "disk_bytes_a_detection": round(sum(sizes.values()) / n, 1),
    }  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _progress(done: int, total: int) -> None:
    if done % max(total // 10, 1) == 0:
        _say(f"zone {done} of {total}")


@click.command()
@click.option("--detections", default=1_000_000, show_default=True, help="Raw detections, about.")
@click.option("--workers", default=2, show_default=True, help="Processes and connections at once.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--boxes", type=click.Path(path_type=Path), help="Keep the generated boxes here for a next run."
)
@click.option("--keep", is_flag=True, help="Keep the database.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(
    detections: int, workers: int, seed: int, boxes: Path | None, keep: bool, form: str
) -> None:
    """Measure the whole way from pushed boxes to a density roll-up.

    \b
    python -m benchmarks.planet --detections 1000000 --format json
    """
    folder = boxes / f"{detections}_{seed}" if boxes else Path(tempfile.mkdtemp(prefix="planet-"))
    try:
        report = measure(detections, workers=workers, seed=seed, folder=folder, keep=keep)
    finally:
        if boxes is None:
            shutil.rmtree(folder, ignore_errors=True)
    if form == "json":
        print(json.dumps(report))
        return
    for stage in report["stages"]:
        print("  ".join(f"{key} {value}" for key, value in stage.items()))
    for key, value in report.items():
        if key != "stages":
            print(f"{key}: {value}")


if __name__ == "__main__":
    main()
