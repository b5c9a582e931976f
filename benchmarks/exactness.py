"""One catalogue, however it is made: workers, groupings, order of arrival, increments, an oracle.

    python -m benchmarks.exactness --detections 1000000 --format json

Compares content checksums of rebuilds by 1, 2 and 4 workers and three groupings, of a run pushed in
reversed order, and of increments (a scene deleted, a scene pushed again), each with a rebuild;
compares every verdict with an independent in-memory oracle. Any difference is an error.
With ``--only increments`` the increments alone, which is what 10^7 has time for.
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


def measure(
    detections: int, seed: int, folder: Path, oracle: bool, only_increments: bool = False
) -> dict[str, Any]:
    """Make the catalogue in every way; returns checksums and seconds."""
    from benchmarks.planet_boxes import ROWS_PER_CRATER
    from benchmarks.planet_craters import Planet
    from benchmarks.planet_push import generate, push
    from benchmarks.planet_scenes import choose_windows
    from benchmarks.planet_stages import bench_database, make_planet_run
    from cda_db.check import checksum
    from cda_db.connection import connect
    from cda_db.suppression import suppress

    planet = Planet(max(detections, 10**8) / ROWS_PER_CRATER, seed)
    windows = choose_windows(planet, detections / 10**8)
    generate(planet, windows, folder, 2)
    found: dict[str, Any] = {"checksums": {}, "seconds": {}}
    with bench_database(f"exact_{detections}") as target, connect(target, role="cda_owner") as conn:
        run = make_planet_run(conn, "planet", windows)
        found["detections"] = sum(tally.rows for tally in push(target.url, run.name, folder, 2))

        def made(name: str, **how: Any) -> None:
            started = time.perf_counter()
            mode = suppress(target, run, **how).mode
            found["seconds"][f"{name} ({mode})"] = round(time.perf_counter() - started, 2)
            found["checksums"][name] = checksum(conn, run)
            conn.rollback()
            print(name, found["checksums"][name], file=sys.stderr, flush=True)

        if only_increments:
            made("2 workers", workers=2, rebuild=True)
        else:
            for workers in (1, 2, 4):
                made(f"{workers} workers", workers=workers, rebuild=True)
            for rows in (detections // 3, detections // 20):
                made(f"zones of {rows}", workers=2, rows_per_zone=rows, rebuild=True)
        if oracle:
            found["oracle_differences"] = _oracle_differences(conn, run)
        _increments(target, conn, run, folder, made)
        made("rebuilt after the increments", workers=2, rebuild=True)
        if not only_increments:
            backwards = make_planet_run(conn, "backwards", windows)
            _push_backwards(target.url, backwards.name, folder)
            run = backwards
            made("reversed arrival", workers=2)
    without = {v for name, v in found["checksums"].items() if name.startswith("without")}
    whole = {v for name, v in found["checksums"].items() if not name.startswith("without")}
    found["one_checksum"] = len(whole) == len(without) == 1 and whole != without
    if not found["one_checksum"] or found.get("oracle_differences"):
        raise RuntimeError(f"catalogues differ: {found}")
    return found


def _increments(target: Any, conn: Any, run: Any, folder: Path, made: Any) -> None:
    """Delete one scene, then push it again."""
    from benchmarks.planet_push import push
    from cda_db.batches import repeat_batch

    (scene,) = conn.execute(
        "SELECT scene_id FROM cda.batch WHERE run_id = %s GROUP BY 1"
        " ORDER BY abs(sum(n_detections) - (SELECT avg(n) FROM (SELECT sum(n_detections) AS n"
        " FROM cda.batch WHERE run_id = %s GROUP BY scene_id) AS x)) LIMIT 1",
        [run.run_id, run.run_id],
    ).fetchone()
    ids = [
        row[0]
        for row in conn.execute(
            "SELECT batch_id FROM cda.batch WHERE run_id = %s AND scene_id = %s",
            [run.run_id, scene],
        )
    ]
    conn.rollback()
    started = time.perf_counter()
    rows = sum(repeat_batch(conn, batch_id) for batch_id in ids)
    print(f"deleted {rows} rows in {time.perf_counter() - started:.2f} s", file=sys.stderr)
    made("without one scene")
    made("without one scene, rebuilt", workers=2, rebuild=True)
    push(target.url, run.name, folder, 1)
    made("with it again")


def _push_backwards(url: str, run_name: str, folder: Path) -> None:
    from benchmarks.planet_boxes import load_boxes
    from cda_db.batches import claim_batch, finish_batch
    from cda_db.connection import connect
    from cda_db.runs import get_run

    with connect(url, role="cda_owner") as conn:
        rows = conn.execute(
            "SELECT batch_id FROM cda.batch WHERE run_id = %s ORDER BY batch_id DESC",
            [get_run(conn, run_name).run_id],
        ).fetchall()
        conn.commit()
        for (batch_id,) in rows:
            batch = claim_batch(conn, run_name, threads=1, batch_id=batch_id)
            assert batch is not None  # nobody else claims in this run
            boxes = load_boxes(folder, batch.scene.name, batch.level["factor"])
            finish_batch(conn, batch, boxes, n_tiles=1, n_empty=0, n_outside=0)


def _oracle_differences(conn: Any, run: Any) -> int:
    """How many verdicts differ from those of ``benchmarks.space_oracle``."""
    import numpy as np

    from benchmarks.space_oracle import suppress

    kinds = [("id", "i8"), ("lon", "f8"), ("lat", "f8"), ("d", "f8"), ("score", "f8")]
    with conn.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT detection_id, lon, lat, diameter_m::float8, score::float8 FROM cda.detection"
            " WHERE run_id = %s AND NOT cut",
            [run.run_id],
        )
        rows = np.array(cursor.fetchall(), dtype=kinds)
        cursor.execute(
            "SELECT b.batch_id, encode(s.sha256, 'hex'), b.factor, b.row_start FROM cda.batch b"
            " JOIN cda.scene s USING (scene_id) WHERE b.run_id = %s",
            [run.run_id],
        )
        content = sorted(cursor.fetchall(), key=lambda row: row[1:])
        cursor.execute(
            "SELECT detection_id, crater_id FROM cda.suppression WHERE run_id = %s", [run.run_id]
        )
        lost = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 2)
    conn.rollback()
    rank = {row[0]: k for k, row in enumerate(content)}
    batch, which = np.unique(rows["id"] >> 22, return_inverse=True)
    place = np.array([rank[b] for b in batch.tolist()])[which] << 22 | rows["id"] & (1 << 22) - 1
    verdict = suppress(
        rows["lon"], rows["lat"], rows["d"], rows["score"], place,
        run.body.radius_m, run.iou_threshold,
    )  # fmt: skip
    gone = verdict >= 0
    want = np.stack([rows["id"][gone], rows["id"][verdict[gone]]], axis=1)
    ours = lost[np.argsort(lost[:, 0])]
    want = want[np.argsort(want[:, 0])]
    if ours.shape != want.shape:
        return abs(len(ours) - len(want)) or 1
    return int((ours != want).any(axis=1).sum())


@click.command()
@click.option("--detections", default=1_000_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--oracle/--no-oracle", default=True, show_default=True)
@click.option("--only", type=click.Choice(["increments"]), help="This part alone.")
@click.option(
    "--boxes", type=click.Path(path_type=Path), help="Keep the generated boxes here for a next run."
)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(
    detections: int, seed: int, oracle: bool, only: str | None, boxes: Path | None, form: str
) -> None:
    """Check that every way leads to the same catalogue.

    \b
    python -m benchmarks.exactness --detections 1000000 --format json
    """
    folder = boxes / f"{detections}_{seed}" if boxes else Path(tempfile.mkdtemp(prefix="exact-"))
    try:
        report = measure(detections, seed, folder, oracle, only == "increments")
    finally:
        if boxes is None:
            shutil.rmtree(folder, ignore_errors=True)
    if form == "json":
        print(json.dumps(report))
        return
    for key, value in report.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
