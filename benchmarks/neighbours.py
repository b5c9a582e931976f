"""How fast the catalogue answers: circles, nearest craters, a join, and densities by cell.

    python -m benchmarks.neighbours --craters 1000000 --format json

Craters of the benchmark planet, as suppression stores them; or a catalogue that is there
(--database, of the embedded cluster ``bench``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import click


def timed(action: Callable[[int], object], times: int) -> dict[str, float]:
    """Milliseconds of repeated calls: median and worst."""
    spent = []
    for k in range(times):
        started = time.perf_counter()
        action(k)
        spent.append((time.perf_counter() - started) * 1000)
    return {"median_ms": round(median(spent), 2), "worst_ms": round(max(spent), 2)}


def measure(conn: Any, run: Any, times: int, seed: int) -> dict[str, Any]:
    """Time the questions at random places of the sphere, both poles and +-180 among them."""
    import numpy as np

    from cda_db.neighbours import craters_near, craters_within, nearest_craters
    from cda_db.rollup import cell_counts, is_rolled_up

    rng = np.random.default_rng(seed)
    lon = rng.uniform(-180, 180, times)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, times)))
    lon[:3], lat[:3] = (0, 0, 180), (90, -90, 0)
    sizes = [len(craters_within(conn, run, lon[k], lat[k], 300_000.0)) for k in range(times)]
    found: dict[str, Any] = {
        "places": times,
        "craters within 300 km": {
            **timed(lambda k: craters_within(conn, run, lon[k], lat[k], 300_000.0), times),
            "median_rows": median(sizes), "most_rows": max(sizes),
        },
        "craters within 30 km": timed(
            lambda k: craters_within(conn, run, lon[k], lat[k], 30_000.0), times
        ),
        "10 nearest": timed(lambda k: nearest_craters(conn, run, lon[k], lat[k], 10), times),
        "join of 1000 places, 5 km": timed(
            lambda k: craters_near(
                conn, run, rng.uniform(-180, 180, 1000), rng.uniform(-90, 90, 1000), 5_000.0
            ),
            5,
        ),
    }  # fmt: skip
    if is_rolled_up(conn, run):
        for order in (5, 4, 3):
            rows = len(cell_counts(conn, run, order))
            found[f"density by cell, order {order}, {rows} rows"] = timed(
                partial(_cells, conn, run, order), 5
            )
    return found


def _cells(conn: Any, run: Any, order: int, _: int) -> None:
    from cda_db.rollup import cell_counts

    cell_counts(conn, run, order)


def store_planet(conn: Any, n: int, seed: int) -> Any:
    """A run whose catalogue is the benchmark planet's craters, in the order of the sphere."""
    import numpy as np

    from benchmarks.planet_craters import N_CELLS, Planet
    from benchmarks.planet_stages import make_planet_run
    from cda_db.bulk import copy_arrays

    run = make_planet_run(conn, "planet", [])
    planet, stored = Planet(n, seed), 0
    for start in range(0, N_CELLS, 1024):
        craters = planet.cells(np.arange(start, start + 1024))
        size = len(craters)
        columns: dict[str, Any] = {
            "run_id": np.full(size, run.run_id, dtype=np.int32),
            "cell": np.zeros(size, dtype=np.int32),
            "crater_id": np.arange(stored, stored + size, dtype=np.int64),
            "lon": craters.lon,
            "lat": craters.lat,
            "diameter_m": craters.diameter_m.astype(np.float32),
            "score": craters.quality.astype(np.float32),
        }
        stored += copy_arrays(conn, f"crater_r{run.run_id}", columns)
    for index in ("ids", "places"):
        conn.execute(f"SELECT cda.index_crater_{index}(%s)", [run.run_id])
    conn.execute(
        "INSERT INTO cda.catalogue (run_id, n_craters, n_suppressed, n_cut) VALUES (%s, %s, 0, 0)",
        [run.run_id, stored],
    )
    conn.commit()
    return run


@click.command()
@click.option("--craters", default=1_000_000, show_default=True)
@click.option("--database", help="A database of the cluster bench with a run 'planet'.")
@click.option("--times", default=50, show_default=True, help="Places to ask at.")
@click.option("--seed", default=1, show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(craters: int, database: str | None, times: int, seed: int, form: str) -> None:
    """Measure how fast the catalogue answers.

    \b
    python -m benchmarks.neighbours --craters 1000000 --format json
    """
    from benchmarks.planet_stages import bench_database
    from benchmarks.probe import machine
    from cda_db.connection import connect
    from cda_db.embedded import lease
    from cda_db.runs import get_run
    from cda_db.settings import embedded, find_cluster

    if database:
        cluster = find_cluster("bench")
        with lease(cluster), connect(embedded(cluster, database), role="cda_owner") as conn:
            report = measure(conn, get_run(conn, "planet"), times, seed)
    else:
        with bench_database("neighbours") as target, connect(target, role="cda_owner") as conn:
            report = measure(conn, store_planet(conn, craters, seed), times, seed)
    report = {"machine": machine(), **report}
    if form == "json":
        print(json.dumps(report))
        return
    for key, value in report.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
