"""Suppression equals greedy NMS by brute force: poles, +-180, nests, chains, ties, any grouping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import circle_iou, greedy_nms
from rows import Detections, batch_ids, content_order, make_run, store

from cda_db.bodies import get_body
from cda_db.connection import Connection, connect
from cda_db.runs import Run
from cda_db.settings import Target
from cda_db.suppression import suppress

MARS = get_body("mars").radius_m
N_BATCHES = 6


def place_near(
    rng: np.random.Generator, lon: float, lat: float, metres: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points at given distances from a place, in random directions."""
    azimuth = rng.uniform(0, 360, len(metres))
    geod = get_body("mars").geod()
    lons, lats, _ = geod.fwd(np.full(len(metres), lon), np.full(len(metres), lat), azimuth, metres)
    return (np.asarray(lons) + 180) % 360 - 180, np.asarray(lats)


def cluster(rng: np.random.Generator, lon: float, lat: float) -> Detections:
    """One case: rivals, nests, a chain of overlaps, and ties of score and diameter."""
    n = int(rng.integers(2, 14))
    base = 10 ** rng.uniform(2.5, 5.2)
    kind = rng.integers(4)
    if kind == 0:  # repeats of one crater
        diameter = base * rng.uniform(0.8, 1.25, n)
        spread = base * rng.uniform(0, 0.7, n)
    elif kind == 1:  # nested craters
        diameter = base * rng.choice([1.0, 0.55, 0.5, 0.3], n)
        spread = base * rng.uniform(0, 0.5, n)
    elif kind == 2:  # a chain, each overlapping the next
        diameter = np.full(n, base)
        spread = np.arange(n) * base * rng.uniform(0.3, 0.5)
    else:
        diameter = base * 10 ** rng.uniform(-0.5, 0.2, n)
        spread = base * rng.uniform(0, 2, n)
    if kind == 2:
        lons, lats, _ = (
            get_body("mars")
            .geod()
            .fwd(np.full(n, lon), np.full(n, lat), np.full(n, rng.uniform(0, 360)), spread)
        )
        lons, lats = (np.asarray(lons) + 180) % 360 - 180, np.asarray(lats)
    else:
        lons, lats = place_near(rng, lon, lat, spread)
    score = rng.uniform(0.1, 1, n)
    if rng.random() < 0.5:  # ties, decided by diameter, then by place of content
        score = rng.choice([0.25, 0.5], n)
        diameter = base * rng.choice([1.0, 0.75], n)
    return Detections(
        lons, lats, diameter.astype(np.float32), score.astype(np.float32),
        rng.integers(N_BATCHES, size=n),
    )  # fmt: skip


def sites(rng: np.random.Generator, n: int) -> list[tuple[float, float]]:
    """Places on the sphere: everywhere, on both poles and on +-180."""
    lon = rng.uniform(-180, 180, n)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    special = rng.random(n)
    lat = np.where(special < 0.1, 90 - rng.exponential(0.3, n), lat)
    lat = np.where((special > 0.1) & (special < 0.2), rng.exponential(0.3, n) - 90, lat)
    lon = np.where((special > 0.2) & (special < 0.4), -180 + rng.normal(0, 0.3, n) % 360, lon)
    lon = (lon + 180) % 360 - 180
    return [(float(a), float(b)) for a, b in zip(lon, np.clip(lat, -90, 90), strict=True)]


def joined(parts: list[Detections]) -> Detections:
    """All cases in one run."""
    return Detections(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("lon", "lat", "diameter_m", "score", "batch"))
    )  # fmt: skip


def expected(conn: Connection, run: Run, found: Detections, ids: NDArray[np.int64],
             threshold: float = 0.3) -> dict[int, tuple[int, float] | None]:  # fmt: skip
    """detection_id -> None (kept) or (crater_id, iou), by brute force."""
    rank = content_order(conn, run)
    place = np.array([(rank[i >> 22] << 22) + (i & (1 << 22) - 1) for i in ids.tolist()])
    verdicts = greedy_nms(
        found.lon, found.lat, found.diameter_m.astype(float), found.score.astype(float), place,
        radius_m=MARS, threshold=threshold,
    )  # fmt: skip
    return {
        int(ids[i]): None if by < 0 else (int(ids[by]), float(iou))
        for i, (by, iou) in enumerate(zip(verdicts.suppressor, verdicts.iou, strict=True))
    }


def stored(conn: Connection, run: Run) -> dict[int, tuple[int, float] | None]:
    """The same from the database."""
    conn.rollback()
    rows: dict[int, tuple[int, float] | None] = {
        row[0]: None
        for row in conn.execute("SELECT crater_id FROM cda.crater WHERE run_id = %s", [run.run_id])
    }
    for loser, crater, iou in conn.execute(
        "SELECT detection_id, crater_id, iou FROM cda.suppression WHERE run_id = %s", [run.run_id]
    ):
        assert loser not in rows
        rows[loser] = (crater, iou)
    return rows


def differences(got: dict[int, tuple[int, float] | None],
                want: dict[int, tuple[int, float] | None]) -> list[int]:  # fmt: skip
    """Detections whose verdict differs (IoU to the precision of float4)."""

    def same(a: tuple[int, float] | None, b: tuple[int, float] | None) -> bool:
        if a is None or b is None:
            return a is b
        return a[0] == b[0] and abs(a[1] - b[1]) < 1e-6

    return [
        key for key in got.keys() | want.keys()
        if key not in got or key not in want or not same(got[key], want[key])
    ]  # fmt: skip


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
