"""At-least-once work, exactly-once effect: claims, leases, late workers, repetition."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest
from batch_steps import boxes, claim, expire, finish
from rows import Detections, batch_ids, make_run, store

from cda_db.batches import (
    Batch,
    LeaseKeeper,
    claim_batch,
    fail_batch,
    open_batches,
    repeat_batch,
)
from cda_db.connection import Connection, connect
from cda_db.errors import LeaseLostError, NotFoundError
from cda_db.settings import Target
from cda_db.suppression import suppress


def state(conn: Connection, batch: Batch) -> tuple[object, ...]:
    row = conn.execute(
        "SELECT state, attempt, n_detections, (SELECT count(*) FROM cda.detection d"
        " WHERE d.detection_id >> 22 = b.batch_id) FROM cda.batch b WHERE batch_id = %s",
        [batch.batch_id],
    ).fetchone()
    conn.rollback()
    assert row is not None
    return tuple(row)


@contextmanager
def two_workers(database: Target) -> Iterator[tuple[Connection, Connection]]:
    """Two connections of the ingest role."""
    with connect(database, role="cda_ingest") as one, connect(database, role="cda_ingest") as two:
        yield one, two


def test_many_at_once_get_each_batch_once(database: Target, conn: Connection) -> None:
    """Eight connections, 40 batches: every batch claimed and finished exactly once."""
    run = make_run(conn, "run", 40)
    start = threading.Barrier(8)

    def worker() -> list[tuple[int, int]]:
        mine = []
        with connect(database, role="cda_ingest") as own:
            start.wait()
            while batch := claim_batch(own, "run", threads=1):
                assert finish(own, batch, boxes()) == 3
                mine.append((batch.batch_id, batch.attempt))
        return mine

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(worker) for _ in range(8)]
        claims = Counter(claim for future in futures for claim in future.result())
    assert claims == Counter((batch_id, 1) for batch_id in batch_ids(conn, run))
    assert conn.execute("SELECT count(*) FROM cda.detection").fetchone() == (120,)
    assert conn.execute("SELECT count(*) FROM cda.attempt WHERE outcome = 'done'").fetchone() == (
        40,
    )


def test_a_claim_holds_all_that_a_worker_needs(conn: Connection) -> None:
    run = make_run(conn, "run")
    batch = claim(conn)
    assert batch.attempt == 1
    assert (batch.row_start, batch.row_stop) == (0, 1)
    assert batch.run["name"] == "run" and batch.run["config"] == run.config
    assert batch.level["factor"] == 1 and batch.level["overlap_px"] == 96
    assert batch.model["name"] == "rows"
    assert batch.scene.path == "/nowhere/run-0.tif"
    assert batch.scene.transform == (100.0, 0.0, 0.0, 0.0, -100.0, 0.0)
    row = conn.execute("SELECT host, pid, threads, precision, ended_at FROM cda.attempt").fetchone()
    assert row is not None and row[2:] == (1, "f32", None)


def test_only_the_batch_that_was_asked_for(conn: Connection) -> None:
    first, second = batch_ids(conn, make_run(conn, "run", 2))
    assert claim(conn, batch_id=second).batch_id == second
    assert claim_batch(conn, "run", threads=1, batch_id=second) is None
    assert claim(conn).batch_id == first


def test_an_unknown_run_is_named(conn: Connection) -> None:
    with pytest.raises(NotFoundError, match="no run 'nothing'"):
        claim_batch(conn, "nothing", threads=1)


def test_a_late_worker_cannot_finish_after_a_takeover(database: Target, conn: Connection) -> None:
    make_run(conn, "run")
    with two_workers(database) as (one, two):
        late = claim(one)
        assert claim_batch(two, "run", threads=1) is None
        expire(conn, late)
        taken = claim(two)
        assert (taken.batch_id, taken.attempt) == (late.batch_id, 2)
        with pytest.raises(LeaseLostError, match="no longer at attempt 1"):
            finish(one, late, boxes(5))
        fail_batch(one, late, "too late")
        assert state(conn, late) == ("claimed", 2, None, 0)
        assert finish(two, taken, boxes(2)) == 2
        with pytest.raises(LeaseLostError):
            finish(one, late, boxes(5))
    assert state(conn, late) == ("done", 2, 2, 2)


def test_an_expired_lease_that_nobody_reclaimed_may_finish(conn: Connection) -> None:
    make_run(conn, "run")
    batch = claim(conn)
    expire(conn, batch)
    assert finish(conn, batch, boxes()) == 3
    assert state(conn, batch) == ("done", 1, 3, 3)
    assert claim_batch(conn, "run", threads=1) is None


def test_a_finish_in_flight_is_not_taken_over(database: Target, conn: Connection) -> None:
    """Its row is locked: another claim passes it by, and finds it done afterwards."""
    make_run(conn, "run")
    with two_workers(database) as (one, two):
        batch = claim(one)
        expire(conn, batch)
        with one.transaction():
            one.execute("SELECT cda.finish_batch(%s, 1, 'staging_00', 1, 0, 0)", [batch.batch_id])
            assert claim_batch(two, "run", threads=1) is None
        assert claim_batch(two, "run", threads=1) is None
    assert state(conn, batch) == ("done", 1, 0, 0)


def test_two_finishes_of_one_attempt_store_once(database: Target, conn: Connection) -> None:
    """A worker that finishes again after it lost the server's answer, at the same moment."""
    make_run(conn, "run")
    batch = claim(conn)
    start = threading.Barrier(4)

    def again() -> bool:
        with connect(database, role="cda_ingest") as own:
            start.wait()
            try:
                return finish(own, batch, boxes()) == 3
            except LeaseLostError:
                return False

    with ThreadPoolExecutor(4) as pool:
        stored = [future.result() for future in [pool.submit(again) for _ in range(4)]]
    assert sorted(stored) == [False, False, False, True]
    assert state(conn, batch) == ("done", 1, 3, 3)


def test_the_lease_counts_from_the_servers_clock_not_the_transaction(conn: Connection) -> None:
    """now() stands still in a transaction; a lease by it would be born old."""
    make_run(conn, "run")
    conn.execute("SELECT pg_sleep(0.5)")
    row = conn.execute("SELECT cda.claim_batch('run', 'h', 1, NULL, 1, '0', '10 s')").fetchone()
    left = conn.execute(
        "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM cda.batch"
    ).fetchone()
    assert row is not None and left is not None
    assert 9.6 < left[0] <= 10


def test_renewal_prolongs_and_ends_with_the_takeover(conn: Connection) -> None:
    make_run(conn, "run")
    batch = claim(conn, lease_s=5.0)
    renew = "SELECT cda.renew_batch(%s, %s, '1 hour')"
    assert conn.execute(renew, [batch.batch_id, 1]).fetchone() == (True,)
    assert conn.execute("SELECT lease_until > now() + interval '59 min' FROM cda.batch"
                        ).fetchone() == (True,)  # fmt: skip
    assert conn.execute(renew, [batch.batch_id, 2]).fetchone() == (False,)
    expire(conn, batch)
    assert conn.execute(renew, [batch.batch_id, 1]).fetchone() == (True,)
    expire(conn, batch)
    claim(conn)
    assert conn.execute(renew, [batch.batch_id, 1]).fetchone() == (False,)


def test_the_keeper_holds_a_lease_and_sees_that_it_was_lost(
    database: Target, conn: Connection
) -> None:
    make_run(conn, "run")
    batch = claim(conn, lease_s=1.5)
    with LeaseKeeper(database.url, batch, 1.5) as keeper:
        time.sleep(3)
        assert claim_batch(conn, "run", threads=1) is None
        assert not keeper.lost.is_set()
        conn.execute("UPDATE cda.batch SET attempt = 2")  # as a takeover does
        conn.commit()
        assert keeper.lost.wait(10)


def test_a_failed_batch_waits_for_a_person(conn: Connection) -> None:
    make_run(conn, "run")
    batch = claim(conn)
    assert open_batches(conn, "run") == 1
    fail_batch(conn, batch, "the file is gone")
    assert open_batches(conn, "run") == 0
    assert claim_batch(conn, "run", threads=1) is None
    row = conn.execute(
        "SELECT b.state, b.error, t.outcome, t.error, t.ended_at IS NOT NULL FROM cda.batch b"
        " JOIN cda.attempt t USING (batch_id)"
    ).fetchone()
    assert row == ("failed", "the file is gone", "failed", "the file is gone", True)
    with pytest.raises(LeaseLostError):
        finish(conn, batch, boxes())
    repeat_batch(conn, batch.batch_id)
    again = claim(conn)
    assert again.attempt == 2
    assert finish(conn, again, boxes()) == 3
    assert conn.execute("SELECT error FROM cda.batch").fetchone() == (None,)


def test_a_batch_that_kills_its_workers_is_given_up(conn: Connection) -> None:
    """Five lost workers are enough; a person's repetition gives it five more, not none."""
    make_run(conn, "run")
    for _round in range(2):
        for _ in range(5):
            expire(conn, claim(conn))
        assert claim_batch(conn, "run", threads=1) is None
        assert conn.execute("SELECT state, error FROM cda.batch").fetchone() == (
            "failed", "5 workers were lost on it",
        )  # fmt: skip
        row = conn.execute("SELECT batch_id FROM cda.batch").fetchone()
        assert row is not None
        repeat_batch(conn, row[0])
    assert claim(conn).attempt == 11


def test_many_repetitions_do_not_use_up_the_attempts(conn: Connection) -> None:
    make_run(conn, "run")
    for attempt in range(1, 9):
        batch = claim(conn)
        assert batch.attempt == attempt
        assert finish(conn, batch, boxes()) == 3
        assert repeat_batch(conn, batch.batch_id) == 3


def test_repetition_forgets_everything_of_the_batch(database: Target, conn: Connection) -> None:
    """Rows, verdicts and counts go; what it had suppressed is marked to be decided again."""
    run = make_run(conn, "run", 2)
    found = Detections(
        np.array([10.0, 10.0, 40.0]), np.zeros(3), np.full(3, 1e4, np.float32),
        np.array([0.9, 0.5, 0.7], np.float32), np.array([0, 1, 1]),
    )  # fmt: skip
    ids = store(conn, run, found)
    suppress(database, run)
    assert repeat_batch(conn, int(ids[0]) >> 22) == 1
    assert conn.execute("SELECT crater_id FROM cda.crater").fetchall() == [(ids[2],)]
    assert conn.execute("SELECT count(*) FROM cda.suppression").fetchone() == (0,)
    assert conn.execute("SELECT detection_id FROM cda.redecide").fetchall() == [(ids[1],)]
    assert conn.execute("SELECT n_craters, n_suppressed FROM cda.catalogue").fetchone() == (1, 0)
    conn.commit()
    suppress(database, run)
    assert conn.execute("SELECT crater_id FROM cda.crater ORDER BY 1").fetchall() == [
        (ids[1],), (ids[2],),
    ]  # fmt: skip


def test_a_worker_at_a_repeated_batch_cannot_finish(conn: Connection) -> None:
    make_run(conn, "run")
    batch = claim(conn)
    repeat_batch(conn, batch.batch_id)
    with pytest.raises(LeaseLostError):
        finish(conn, batch, boxes())
    assert state(conn, batch) == ("open", 1, None, 0)
    assert claim(conn).attempt == 2


def test_repetition_of_nothing_and_during_suppression(database: Target, conn: Connection) -> None:
    run = make_run(conn, "run")
    with pytest.raises(NotFoundError, match="no batch 999"):
        repeat_batch(conn, 999)
    with connect(database) as other:
        other.execute("SELECT cda.lock_catalogue(%s)", [run.run_id])
        with pytest.raises(psycopg.errors.LockNotAvailable, match="is being made"):
            repeat_batch(conn, batch_ids(conn, run)[0])


def test_staging_slots_are_one_transactions_alone(database: Target) -> None:
    """Sixteen transactions hold sixteen slots; one more waits until a slot is free."""
    take = "SELECT cda.take_staging_slot()"
    holders = [connect(database, role="cda_ingest") for _ in range(16)]
    try:
        slots = {holder.execute(take).fetchone() for holder in holders}
        assert len(slots) == 16
        with connect(database, role="cda_ingest") as late:
            late.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                late.execute(take)
            late.rollback()
            holders[0].rollback()
            holders[1].rollback()
            assert late.execute(take).fetchone() in slots
    finally:
        for holder in holders:
            holder.close()


def test_rows_left_in_staging_are_not_the_next_workers(database: Target, conn: Connection) -> None:
    make_run(conn, "run")
    with connect(database, role="cda_ingest") as hostile:
        for slot in range(16):
            hostile.execute(
                f"INSERT INTO cda.staging_{slot:02d} VALUES (0, 0, 50, 50, 70, 70, 0.9, false)"
            )
    batch = claim(conn)
    assert finish(conn, batch, boxes(2)) == 2
