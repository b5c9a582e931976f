"""Suppression equals greedy NMS by brute force: poles, +-180, nests, chains, ties, any grouping."""

from __future__ import annotations

import numpy as np
import pytest
from clusters import MARS, N_BATCHES, cluster, differences, expected, joined, sites, stored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import circle_iou
from rows import Detections, batch_ids, make_run, store

from cda_db.bodies import get_body
from cda_db.connection import Connection, connect
from cda_db.settings import Target
from cda_db.suppression import suppress


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rows_per_zone", [10**6, 150])
def test_equals_brute_force(database: Target, seed: int, rows_per_zone: int) -> None:
    """2,000 clusters of rivals (16 runs of 125), in one zone and in many, by two workers."""
    rng = np.random.default_rng([seed, rows_per_zone])
    found = joined([cluster(rng, *site) for site in sites(rng, 125)])
    with connect(database) as conn:
        run = make_run(conn, "cases", N_BATCHES)
        ids = store(conn, run, found)
        summary = suppress(database, run, workers=2, rows_per_zone=rows_per_zone)
        want = expected(conn, run, found, ids)
        assert differences(stored(conn, run), want) == []
        kept = sum(verdict is None for verdict in want.values())
        assert (summary.n_craters, summary.n_suppressed) == (kept, len(want) - kept)


@pytest.mark.parametrize("threshold", [0.1, 0.26, 0.5, 0.7])
def test_other_thresholds(database: Target, threshold: float) -> None:
    """The bounds of the search hold below and above IoU 0.2431, where they change."""
    rng = np.random.default_rng(7)
    found = joined([cluster(rng, *site) for site in sites(rng, 60)])
    with connect(database) as conn:
        run = make_run(conn, "cases", N_BATCHES, threshold=threshold)
        ids = store(conn, run, found)
        suppress(database, run, workers=2, rows_per_zone=200)
        assert differences(stored(conn, run), expected(conn, run, found, ids, threshold)) == []


def test_chains_that_leave_every_zone(database: Target) -> None:
    """A belt of overlapping circles round the planet: each zone hangs on its neighbours."""
    n = 600
    lon = np.linspace(-180, 180, n, endpoint=False)
    spacing_m = 2 * np.pi * MARS / n
    rng = np.random.default_rng(3)
    found = Detections(
        lon, np.zeros(n), np.full(n, spacing_m * 2.6, dtype=np.float32),
        # mostly falling eastward, so that verdicts depend on ones far to the west
        np.linspace(0.9, 0.1, n).astype(np.float32), rng.integers(N_BATCHES, size=n),
    )  # fmt: skip
    with connect(database) as conn:
        run = make_run(conn, "belt", N_BATCHES)
        ids = store(conn, run, found)
        summary = suppress(database, run, workers=2, rows_per_zone=60)
        assert summary.n_waiting > 0
        assert differences(stored(conn, run), expected(conn, run, found, ids)) == []


def test_nested_crater_survives(database: Target) -> None:
    """A small crater inside a large one has IoU 0.01: both stay (rule 1: IoU, never IoS)."""
    found = Detections(
        np.array([10.0, 10.0]), np.array([5.0, 5.0]), np.array([1e4, 1e3], dtype=np.float32),
        np.array([0.9, 0.8], dtype=np.float32), np.array([0, 1]),
    )  # fmt: skip
    with connect(database) as conn:
        run = make_run(conn, "nest", 2)
        store(conn, run, found)
        assert suppress(database, run).n_craters == 2


def test_places_apart_by_less_than_can_be_squared(database: Target) -> None:
    """A difference of 1e-160 degrees has a square too small for a float8: an error in SQL."""
    apart = np.array([0.0, 1e-140, 1e-160, -1e-200, 1e-250, 1e-290])
    found = Detections(
        apart, apart[::-1].copy(), np.full(6, 1e4, dtype=np.float32),
        np.linspace(0.9, 0.4, 6, dtype=np.float32), np.arange(6) % 2,
    )  # fmt: skip
    with connect(database) as conn:
        run = make_run(conn, "near", 2)
        store(conn, run, found)
        assert suppress(database, run).n_craters == 1
        overlap = conn.execute("SELECT cda.circle_iou(unnest(%s::float8[]), 1, 1)", [[*apart[2:]]])
        assert [row[0] for row in overlap] == [1.0] * 4


cases = st.lists(
    st.tuples(
        st.floats(-180, 179.99), st.floats(-3e4, 3e4), st.floats(-3e4, 3e4),
        st.sampled_from([3e3, 1e4, 2e4]), st.sampled_from([0.25, 0.5, 0.75]),
        st.integers(0, N_BATCHES - 1),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@given(cases, st.sampled_from([-90.0, -30.0, 0.0, 60.0, 89.99, 90.0]), st.booleans())
@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_property_any_layout(
    module_database: Target, rows: list[tuple[float, ...]], lat: float, at_seam: bool
) -> None:
    """Whatever hypothesis finds: equal to brute force."""
    east = np.array([row[1] for row in rows])
    north = np.array([row[2] for row in rows])
    geod = get_body("mars").geod()
    origin = np.full(len(rows), 180.0 if at_seam else rows[0][0])
    lon, lats, _ = geod.fwd(
        origin, np.full(len(rows), lat), np.degrees(np.arctan2(east, north)), np.hypot(east, north)
    )
    found = Detections(
        (np.asarray(lon) + 180) % 360 - 180, np.asarray(lats),
        np.array([row[3] for row in rows], dtype=np.float32),
        np.array([row[4] for row in rows], dtype=np.float32),
        np.array([int(row[5]) for row in rows]),
    )  # fmt: skip
    with connect(module_database) as conn:
        name = f"run{conn.execute('SELECT count(*) FROM cda.run').fetchone()[0]}"  # type: ignore[index]
        run = make_run(conn, name, N_BATCHES)
        ids = store(conn, run, found)
        suppress(module_database, run, rows_per_zone=8)
        assert differences(stored(conn, run), expected(conn, run, found, ids)) == []


def test_circle_iou_of_the_database(conn: Connection) -> None:
    """SQL and the oracle agree on the overlap of circles, nested and apart included."""
    rng = np.random.default_rng(1)
    d, a, b = rng.uniform(0, 3, 500), rng.uniform(0.1, 2, 500), rng.uniform(0.1, 2, 500)
    d[:10] = 0
    rows = conn.execute(
        "SELECT cda.circle_iou(d, a, b)"
        " FROM unnest(%s::float8[], %s::float8[], %s::float8[]) AS u (d, a, b)",
        [d.tolist(), a.tolist(), b.tolist()],
    ).fetchall()
    np.testing.assert_allclose([row[0] for row in rows], circle_iou(d, a, b), atol=1e-12)


def test_batch_ids_are_in_order(conn: Connection) -> None:
    """The helpers of these tests number batches as the oracle does."""
    run = make_run(conn, "order", 3)
    assert batch_ids(conn, run) == sorted(batch_ids(conn, run))
