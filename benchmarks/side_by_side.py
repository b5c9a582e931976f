"""Ours beside what people do today, on the same rows in one run: ratios first.

    python -m benchmarks.side_by_side --detections 100000 --detections 1000000 --format json

Ingest against bare COPY BINARY into an unindexed table; suppression (exact, stored, traceable)
against fetch + shapely's STRtree in memory + write-back (by arrays, and as geopandas does it), a
PostGIS GiST box join and SAHI's NMS.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

# Rows whose polygons and tree are held at once: beyond, the in-memory paths are left out.
MEMORY_LIMIT = 12_000_000


def compare(detections: int, *, workers: int, seed: int, folder: Path) -> dict[str, Any]:
    """All contenders on one set of rows; returns seconds, rates and ratios."""
    from benchmarks.copy_floor import copy_floor
    from benchmarks.planet_boxes import ROWS_PER_CRATER
    from benchmarks.planet_craters import Planet
    from benchmarks.planet_push import generate, push
    from benchmarks.planet_scenes import LEVELS, choose_windows
    from benchmarks.planet_stages import bench_database, make_planet_run
    from benchmarks.probe import Probe, machine
    from cda_db.connection import connect
    from cda_db.suppression import suppress

    planet = Planet(max(detections, 10**8) / ROWS_PER_CRATER, seed)
    windows = choose_windows(planet, detections / 10**8)
    generate(planet, windows, folder, workers)
    batches = [(window.name, level.factor) for window in windows for level in LEVELS]
    with bench_database(f"side_{detections}") as target, connect(target, role="cda_owner") as conn:
        assert target.cluster is not None  # bench_database made it embedded
        probe = Probe(target.cluster)
        run = make_planet_run(conn, "planet", windows)
        before = probe.read(conn)
        pushed = push(target.url, run.name, folder, workers)
        middle = probe.read(conn)
        n = sum(tally.rows for tally in pushed)
        push_s = max(tally.seconds for tally in pushed)
        floor_s, floor_cpu_s = copy_floor(target.url, folder, batches, workers)
        # the first reader after a load marks rows as committed: neither side is to pay for it
        conn.execute("SELECT count(*) FROM cda.detection WHERE run_id = %s", [run.run_id])
        conn.commit()
        after = probe.read(conn)
        started = time.perf_counter()
        ours = suppress(target, run, workers=workers)
        suppress_s = time.perf_counter() - started
        suppress_cpu_s = probe.read(conn).server_cpu_s - after.server_cpu_s
        rivals = _rivals(target, conn, run, n)
    cpu_ours = middle.server_cpu_s - before.server_cpu_s + sum(t.cpu_s for t in pushed)
    cpu_floor = after.server_cpu_s - middle.server_cpu_s + floor_cpu_s
    report: dict[str, Any] = {
        "machine": machine(), "detections": n, "workers": workers,
        "ratios": {
            "ingest rate / bare COPY": round(floor_s / push_s, 3),
            "ingest rate / bare COPY, by processor seconds": round(cpu_floor / cpu_ours, 3),
        },
        "ingest": {"seconds": round(push_s, 2), "rows_per_s": round(n / push_s),
                   "cpu_s": round(cpu_ours, 2)},
        "bare COPY": {"seconds": round(floor_s, 2), "rows_per_s": round(n / floor_s),
                      "cpu_s": round(cpu_floor, 2)},
        "suppression": {"seconds": round(suppress_s, 2), "rows_per_s": round(n / suppress_s),
                        "cpu_s": round(suppress_cpu_s, 2), "kept": ours.n_craters,
                        **ours.seconds},
        **rivals,
    }  # fmt: skip
    report["ratios"] |= _ratios(rivals, suppress_s, suppress_cpu_s)
    return report


def _ratios(rivals: dict[str, Any], ours_s: float, ours_cpu_s: float) -> dict[str, float]:
    """Seconds of the others' suppression over ours."""
    found = {}
    if "shapely" in rivals:
        shapely = rivals["shapely"]
        total = shapely["seconds"]
        copied = total - shapely["fetch"] + shapely["fetch by our COPY reader"]
        geopandas = rivals["geopandas"]["seconds"]
        found = {
            "geopandas with read_postgis and to_postgis / suppression": geopandas / ours_s,
            "shapely with fetch and write-back / suppression": total / ours_s,
            "the same by processor seconds": shapely["cpu_s"] / ours_cpu_s,
            "the same with our COPY reader for its fetch": copied / ours_s,
            "GiST box join alone / suppression": sum(rivals["gist"]["stages"].values()) / ours_s,
        }
    if "seconds" in rivals.get("sahi", {}):
        found["SAHI's NMS alone / suppression"] = rivals["sahi"]["seconds"] / ours_s
    return {name: round(ratio, 3) for name, ratio in found.items()}


def _rivals(target: Any, conn: Any, run: Any, n: int) -> dict[str, Any]:
    """The others, one after the other, each with the machine as free as we had it."""
    from benchmarks.geopandas_nms import geopandas_nms
    from benchmarks.gist_join import gist_join
    from benchmarks.planet_stages import own_peak_bytes
    from benchmarks.sahi_nms import sahi_nms
    from benchmarks.shapely_nms import fetch, fetch_copied, suppress_in_memory, write_back
    from cda_db.connection import engine

    if n > MEMORY_LIMIT:
        return {"not run": f"{n} rows do not fit the memory of the in-memory paths"}
    started, cpu = time.perf_counter(), time.process_time()
    rows = fetch(conn, run)
    fetched = time.perf_counter()
    verdict, stages = suppress_in_memory(rows, run.iou_threshold)
    written = time.perf_counter()
    write_back(conn, rows, verdict)
    done, cpu_done, peak = time.perf_counter(), time.process_time(), own_peak_bytes()
    fetch_copied(conn, run)
    copied_s = time.perf_counter() - done
    found: dict[str, Any] = {
        "shapely": {
            "seconds": round(done - started, 2), "cpu_s": round(cpu_done - cpu, 2),
            "kept": int((verdict < 0).sum()), "fetch": round(fetched - started, 2),
            "fetch by our COPY reader": round(copied_s, 2), **stages,
            "write back": round(done - written, 2), "peak_bytes": peak,
        },
        "geopandas": geopandas_nms(engine(target), run, run.iou_threshold),
        "sahi": sahi_nms(rows, run.iou_threshold),
    }  # fmt: skip
    pairs, seconds = gist_join(conn, run)
    found["gist"] = {"pairs": pairs, "stages": seconds}
    return found


@click.command()
@click.option(
    "--detections", "sizes", multiple=True, type=int, default=[100_000, 1_000_000, 10_000_000]
)
@click.option("--workers", default=2, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(sizes: tuple[int, ...], workers: int, seed: int, form: str) -> None:
    """Compare at one or more sizes.

    \b
    python -m benchmarks.side_by_side --detections 1000000 --format json
    """
    reports = []
    for size in sizes:
        folder = Path(tempfile.mkdtemp(prefix="side-"))
        try:
            reports.append(compare(size, workers=workers, seed=seed, folder=folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{size:,} done", file=sys.stderr, flush=True)
    if form == "json":
        print(json.dumps(reports))
        return
    for report in reports:
        for key, value in report.items():
            print(f"{key}: {value}")
        print()


if __name__ == "__main__":
    main()
