"""Rivals by PostGIS: planar boxes as geometry, a GiST index, a self-join on overlap."""

from __future__ import annotations

import time

from cda_db.connection import Connection
from cda_db.runs import Run


def gist_join(conn: Connection, run: Run) -> tuple[int, dict[str, float]]:
    """Pairs of overlapping boxes (degrees; wrong at the poles, blind across +-180), and seconds."""
    seconds = {}
    started = time.perf_counter()
    conn.execute(
        "CREATE TEMP TABLE bench_box AS SELECT detection_id AS id, public.ST_MakeEnvelope("
        " lon - half / c, lat - half, lon + half / c, lat + half) AS box FROM ("
        " SELECT detection_id, lon, lat, degrees(diameter_m / 2 / %s) AS half,"
        " greatest(cosd(lat), 1e-6) AS c FROM cda.detection WHERE run_id = %s AND NOT cut) AS d",
        [run.body.radius_m, run.run_id],
    )
    conn.execute("CREATE INDEX bench_box_idx ON bench_box USING gist (box)")
    conn.execute("ANALYZE bench_box")
    seconds["boxes and index"] = round(time.perf_counter() - started, 3)
    started = time.perf_counter()
    row = conn.execute(
        "SELECT count(*) FROM bench_box a JOIN bench_box b ON a.box && b.box AND a.id < b.id"
    ).fetchone()
    seconds["join"] = round(time.perf_counter() - started, 3)
    conn.rollback()
    return int(row[0]) if row else 0, seconds
