"""What people do today: fetch all rows, NMS in memory with shapely's STRtree, write verdicts back.

Planar boxes in degrees (a degree of longitude shrunk by each box's own latitude), all rows at once;
wrong at the poles and blind across +-180, and the memory grows with the rows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from cda_db.bulk import copy_arrays, fetch_arrays
from cda_db.connection import Connection
from cda_db.runs import Run

Floats = NDArray[np.float64]
_CHUNK = 1_000_000
_QUERY = (
    "SELECT detection_id, lon, lat, diameter_m::float8, score::float8 FROM cda.detection"
    " WHERE run_id = %(run)s AND NOT cut"
)
ROW = [("id", "i8"), ("lon", "f8"), ("lat", "f8"), ("diameter_m", "f8"), ("score", "f8")]


@dataclass(frozen=True)
class Rows:
    """Whole detections: ids, and boxes west, south, east, north in degrees (n, 4)."""

    ids: NDArray[np.int64]
    boxes: Floats
    score: Floats


def fetch(conn: Connection, run: Run) -> Rows:
    """All whole detections of a run, as arrays: by psycopg's binary cursor, as one would today."""
    parts = []
    with conn.cursor(name="fetch", binary=True) as cursor:
        cursor.itersize = 50_000
        cursor.execute(_QUERY, {"run": run.run_id})
        while rows := cursor.fetchmany(_CHUNK):
            parts.append(np.array(rows, dtype=ROW))
    conn.rollback()
    return _rows(np.concatenate(parts), run)


def fetch_copied(conn: Connection, run: Run) -> Rows:
    """The same by this project's own reader of COPY BINARY: the fastest way that we know."""
    found = fetch_arrays(conn, _QUERY, dict(ROW), {"run": run.run_id})
    conn.rollback()
    return _rows(found, run)


def _rows(found: Any, run: Run) -> Rows:
    half_lat = np.degrees(found["diameter_m"] / 2 / run.body.radius_m)
    half_lon = half_lat / np.maximum(np.cos(np.radians(found["lat"])), 1e-6)
    lon, lat = found["lon"], found["lat"]
    boxes = np.stack([lon - half_lon, lat - half_lat, lon + half_lon, lat + half_lat], axis=1)
    return Rows(found["id"], boxes, found["score"])


def suppress_in_memory(rows: Rows, threshold: float) -> tuple[NDArray[np.int64], dict[str, float]]:
    """Greedy NMS: for each row -1 (kept) or the row that suppressed it; and seconds by stage."""
    clock, seconds = time.perf_counter(), {}

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[name], clock = round(now - clock, 3), now

    shapes = np.asarray(shapely.box(*rows.boxes.T))
    tree = shapely.STRtree(shapes)
    lap("tree")
    first, second = tree.query(shapes)
    once = first < second
    first, second = first[once], second[once]
    lap("query")
    rival = box_iou(rows.boxes[first], rows.boxes[second]) >= threshold
    first, second = first[rival], second[rival]
    lap("iou")
    verdict = greedy_rounds(first, second, rows.score)
    lap("rounds")
    return verdict, seconds


def box_iou(a: Floats, b: Floats) -> Floats:
    """IoU of boxes (n, 4), pair by pair."""
    wide = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    high = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    both = np.maximum(wide, 0) * np.maximum(high, 0)
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    iou: Floats = both / (area_a + area_b - both)
    return iou


def greedy_rounds(
    first: NDArray[np.int64], second: NDArray[np.int64], score: Floats
) -> NDArray[np.int64]:
    """Keep what outranks all its undecided rivals, drop its rivals; to the fixed point."""
    second_wins = score[second] > score[first]
    winner, loser = np.where(second_wins, second, first), np.where(second_wins, first, second)
    verdict = np.full(len(score), -1)
    while len(winner):
        beaten = np.zeros(len(score), dtype=bool)
        beaten[loser] = True
        sure = ~beaten[winner]
        gone = loser[sure]
        verdict[gone] = winner[sure]
        dropped = np.zeros(len(score), dtype=bool)
        dropped[gone] = True
        stay = ~dropped[winner] & ~dropped[loser]
        winner, loser = winner[stay], loser[stay]
    return verdict


def write_back(conn: Connection, rows: Rows, verdict: NDArray[np.int64]) -> None:
    """Verdicts into a table with a primary key, as a catalogue would need it."""
    conn.execute("CREATE TABLE cda.bench_verdict (id bigint, suppressed_by bigint)")
    by = np.where(verdict < 0, -1, rows.ids[verdict])
    copy_arrays(conn, "bench_verdict", {"id": rows.ids, "suppressed_by": by})
    conn.execute("ALTER TABLE cda.bench_verdict ADD PRIMARY KEY (id)")
    conn.commit()
    conn.execute("DROP TABLE cda.bench_verdict")
    conn.commit()
