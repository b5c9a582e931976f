"""Every pair of rivals, once, by its winner: against all pairs by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from clusters import MARS, N_BATCHES, cluster, joined, places, sites
from numpy.typing import NDArray
from oracles import circle_iou, distance_m
from rows import Detections, make_run, store

from cda_db.connection import Connection, connect
from cda_db.settings import Target


def pairs_of(conn: Connection, run_id: int) -> set[tuple[int, int]]:
    """(winner, loser) that the database finds among all rows."""
    conn.execute("UPDATE cda.batch SET decided = true WHERE state = 'done'")
    conn.execute("SELECT cda.index_detection_ids(%s)", [run_id])
    conn.execute("SELECT cda.suppress_begin(%s)", [run_id])
    conn.execute("SELECT cda.suppress_load(%s, -180, -90, 180, 90)", [run_id])
    conn.execute("SELECT cda.suppress_pairs(%s)", [run_id])
    rows = conn.execute("SELECT winner, loser FROM pair").fetchall()
    assert len(set(rows)) == len(rows)
    return set(rows)


def brute_force(
    found: Detections, ids: NDArray[np.int64], place: NDArray[np.int64], threshold: float
) -> set[tuple[int, int]]:
    """All n (n - 1) / 2 pairs, by the lens area and the rank of the design."""
    a, b = np.triu_indices(len(ids), 1)
    away = distance_m(found.lon[a], found.lat[a], found.lon[b], found.lat[b], MARS)
    r = found.diameter_m.astype(float) / 2
    rivals = circle_iou(away, r[a], r[b]) >= threshold
    rank = np.empty(len(ids), dtype=int)
    rank[np.lexsort((place, -found.diameter_m, -found.score))] = np.arange(len(ids))
    a, b = a[rivals], b[rivals]
    first = rank[a] < rank[b]
    winner, loser = np.where(first, a, b), np.where(first, b, a)
    return set(zip(ids[winner].tolist(), ids[loser].tolist(), strict=True))


@pytest.mark.parametrize("threshold", [0.15, 0.3, 0.6])
def test_all_pairs_and_no_other(database: Target, threshold: float) -> None:
    """Clusters everywhere, on both poles and on +-180, from 100 m to 500 km."""
    rng = np.random.default_rng([11, int(threshold * 100)])
    found = joined([cluster(rng, *site) for site in sites(rng, 120)])
    with connect(database) as conn:
        run = make_run(conn, "pairs", N_BATCHES, threshold=threshold)
        ids = store(conn, run, found)
        want = brute_force(found, ids, places(conn, run, ids), threshold)
        got = pairs_of(conn, run.run_id)
    assert len(want) > 100
    assert got == want


def test_a_reach_over_the_edges_of_its_cube(database: Target) -> None:
    """Rivals on both sides of each face, edge and corner of the cubes, along every axis."""
    rng = np.random.default_rng(5)
    side = 8 * 4.0**6  # the grid of radii from 1 to 4 km
    corner = np.round(rng.normal(size=(40, 3)) * MARS / side) * side  # corners of cubes ...
    corner *= (MARS / np.linalg.norm(corner, axis=1))[:, None]  # ... and near them on the sphere
    step = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * 300.0
    spots = (corner[:, None] + step[None]).reshape(-1, 3)
    lat = np.degrees(np.arcsin(spots[:, 2] / np.linalg.norm(spots, axis=1)))
    lon = np.degrees(np.arctan2(spots[:, 1], spots[:, 0]))
    n = len(spots)
    found = Detections(
        lon, lat, rng.uniform(3000, 5000, n).astype(np.float32),
        rng.uniform(0.1, 1, n).astype(np.float32), rng.integers(N_BATCHES, size=n),
    )  # fmt: skip
    with connect(database) as conn:
        run = make_run(conn, "corners", N_BATCHES)
        ids = store(conn, run, found)
        want = brute_force(found, ids, places(conn, run, ids), 0.3)
        assert pairs_of(conn, run.run_id) == want
