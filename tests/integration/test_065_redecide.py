"""Incremental suppression equals a rebuild and brute force, whatever came, went or came again."""

from __future__ import annotations

import numpy as np
from clusters import cluster, differences, expected, joined, sites, stored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rows import Detections, batch_ids, make_run, store

from cda_db.batches import repeat_batch
from cda_db.check import audit, checksum
from cda_db.connection import Connection, connect
from cda_db.runs import Run
from cda_db.settings import Target
from cda_db.suppression import suppress

N = 12


def cases(seed: int, n: int) -> Detections:
    """Clusters of rivals spread over N batches, so that one batch is a small share."""
    rng = np.random.default_rng(seed)
    found = joined([cluster(rng, *site) for site in sites(rng, n)])
    batch = rng.integers(N, size=len(found))
    return Detections(found.lon, found.lat, found.diameter_m, found.score, batch)


def part(found: Detections, rows: NDArray[np.bool_]) -> Detections:
    """Some of the rows."""
    return Detections(*(values[rows] for values in vars(found).values()))


def agrees(
    conn: Connection, run: Run, found: Detections, ids: NDArray[np.int64], present: set[int]
) -> None:
    """The catalogue is that of the rows of these batches, by brute force; and it is sound."""
    there = np.isin(found.batch, sorted(present))
    want = expected(conn, run, part(found, there), ids[there])
    assert differences(stored(conn, run), want) == []
    assert {name: n for name, n in audit(conn, run).items() if n} == {}


def equals_rebuild(database: Target, conn: Connection, run: Run) -> None:
    before = checksum(conn, run)
    conn.rollback()
    assert suppress(database, run, rebuild=True, rows_per_zone=100).mode == "rebuild"
    assert checksum(conn, run) == before
    conn.rollback()


def test_insert_repeat_delete(database: Target) -> None:
    """Batches come, go and come again; after each step the catalogue is what it must be."""
    found = cases(1, 120)
    with connect(database) as conn:
        run = make_run(conn, "steps", N)
        batches = batch_ids(conn, run)
        present = set(range(N - 1))
        ids = store(conn, run, found, sorted(present))
        assert suppress(database, run).mode == "rebuild"
        agrees(conn, run, found, ids, present)
        for number, comes in [(11, True), (3, False), (3, True), (0, False), (5, False), (0, True)]:
            if comes:
                store(conn, run, found, [number])
                present.add(number)
            else:
                repeat_batch(conn, batches[number])
                present.discard(number)
            assert suppress(database, run).mode == "incremental"
            agrees(conn, run, found, ids, present)
        assert suppress(database, run).mode == "nothing"
        equals_rebuild(database, conn, run)
        agrees(conn, run, found, ids, present)


def filler(n: int) -> Detections:
    """Detections without rivals, in batches 3 and up."""
    lon = np.linspace(-170, 170, n)
    return Detections(
        lon, np.full(n, 40.0), np.full(n, 1e3, dtype=np.float32),
        np.full(n, 0.5, dtype=np.float32), np.arange(n) % (N - 3) + 3,
    )  # fmt: skip


def test_a_rival_suppressed_twice_revives(database: Target) -> None:
    """C loses to A and to B, which leave each other alone: it returns when both are gone."""
    offset = np.degrees(4_000 / 3_396_190)
    three = Detections(
        np.array([-offset, offset, 0.0]), np.zeros(3), np.full(3, 1e4, dtype=np.float32),
        np.array([0.9, 0.8, 0.3], dtype=np.float32), np.array([0, 1, 2]),
    )  # fmt: skip
    found = joined([three, filler(90)])
    with connect(database) as conn:
        run = make_run(conn, "revival", N)
        a, b, _ = batch_ids(conn, run)[:3]
        ids = store(conn, run, found)
        suppress(database, run)

        def fate() -> int | None:
            verdict = stored(conn, run)[int(ids[2])]
            return None if verdict is None else verdict[0]

        assert fate() == ids[0]
        repeat_batch(conn, a)
        assert suppress(database, run).mode == "incremental"
        assert fate() == ids[1]
        repeat_batch(conn, b)
        assert suppress(database, run).mode == "incremental"
        assert fate() is None
        store(conn, run, found, [1])
        suppress(database, run)
        assert fate() == ids[1]
        store(conn, run, found, [0])
        suppress(database, run)
        assert fate() == ids[0]


def test_only_the_touched_components(database: Target) -> None:
    """A new batch of one lone detection decides one row, not the catalogue."""
    lone = Detections(
        np.array([100.0]), np.array([-70.0]), np.array([1e3], dtype=np.float32),
        np.array([0.9], dtype=np.float32), np.array([0]),
    )  # fmt: skip
    found = joined([lone, filler(900)])
    with connect(database) as conn:
        run = make_run(conn, "lone", N)
        store(conn, run, found, range(1, N))
        assert suppress(database, run).n_decided == 900
        store(conn, run, found, [0])
        summary = suppress(database, run)
        assert (summary.mode, summary.n_decided, summary.n_craters) == ("incremental", 1, 901)


def test_basins_as_wide_as_the_planet(database: Target) -> None:
    """Circles whose rivals' craters may lie beyond what the sphere index can be asked for."""
    rng = np.random.default_rng(8)
    n = 240
    found = Detections(
        rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
        (10 ** rng.uniform(5.6, 6.6, n)).astype(np.float32),
        rng.uniform(0.1, 1, n).astype(np.float32), rng.integers(N, size=n),
    )  # fmt: skip
    with connect(database) as conn:
        run = make_run(conn, "basins", N)
        batches, present = batch_ids(conn, run), set(range(N))
        ids = store(conn, run, found)
        suppress(database, run)
        for number in (3, 7, 3, 0, 7):
            if number in present:
                repeat_batch(conn, batches[number])
            else:
                store(conn, run, found, [number])
            present ^= {number}
            assert suppress(database, run).mode == "incremental"
            agrees(conn, run, found, ids, present)
        equals_rebuild(database, conn, run)


@given(st.integers(0, 10**6), st.lists(st.integers(0, N - 1), min_size=1, max_size=4))
@settings(max_examples=12, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_property_any_history(module_database: Target, seed: int, toggles: list[int]) -> None:
    """Whatever batches go and come again: equal to brute force after every step."""
    found = cases(seed, 25)
    with connect(module_database) as conn:
        row = conn.execute("SELECT count(*) FROM cda.run").fetchone()
        run = make_run(conn, f"run{row[0] if row else 0}", N)
        batches, present = batch_ids(conn, run), set(range(N))
        ids = store(conn, run, found)
        suppress(module_database, run)
        for number in toggles:
            if number in present:
                repeat_batch(conn, batches[number])
            else:
                store(conn, run, found, [number])
            present ^= {number}
            suppress(module_database, run)
            agrees(conn, run, found, ids, present)
