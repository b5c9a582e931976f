"""Each audit notices the fault that it is for; the checksum sees content and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from click.testing import Result
from rows import Detections, batch_ids, make_run, store

from cda_db.check import audit, checksum
from cda_db.connection import Connection, connect
from cda_db.rollup import roll_up
from cda_db.runs import Run, add_scenes
from cda_db.settings import Target
from cda_db.suppression import suppress


def some(n: int = 60, seed: int = 9) -> Detections:
    """Crowded, so that a third is suppressed."""
    rng = np.random.default_rng(seed)
    return Detections(
        rng.uniform(0, 0.7, n), rng.uniform(0, 0.7, n),
        rng.uniform(5e3, 1e4, n).astype(np.float32), rng.uniform(0.1, 1, n).astype(np.float32),
        rng.integers(3, size=n),
    )  # fmt: skip


@pytest.fixture(scope="module")
def sound(module_database: Target) -> Run:
    """A run with catalogue and roll-up, in which nothing is wrong."""
    with connect(module_database) as conn:
        run = make_run(conn, "sound", 3)
        store(conn, run, some())
        suppress(module_database, run)
        roll_up(conn, run)
        counts = audit(conn, run)
        assert set(counts.values()) == {0}
        verdicts = conn.execute("SELECT n_craters, n_suppressed FROM cda.catalogue").fetchone()
        assert verdicts is not None and min(verdicts) >= 10
    return run


FAULTS = {
    "detections of no finished batch": [
        "UPDATE cda.detection SET detection_id = 999::bigint << 22"
        " WHERE detection_id = (SELECT min(detection_id) FROM cda.detection)",
        "UPDATE cda.batch SET state = 'open', n_detections = NULL, decided = false"
        " WHERE batch_id = (SELECT min(batch_id) FROM cda.batch)",
    ],
    "batches whose count differs from their rows": [
        "DELETE FROM cda.detection WHERE detection_id = (SELECT min(detection_id)"
        " FROM cda.detection)",
        "UPDATE cda.batch SET n_detections = n_detections + 1"
        " WHERE batch_id = (SELECT min(batch_id) FROM cda.batch)",
        "UPDATE cda.detection SET cut = true"
        " WHERE detection_id = (SELECT min(detection_id) FROM cda.detection)",
        # a batch that lost all of its rows
        "DELETE FROM cda.detection WHERE detection_id >> 22 = (SELECT min(batch_id)"
        " FROM cda.batch)",
    ],
    "duplicate detections": [
        "INSERT INTO cda.detection SELECT * FROM cda.detection ORDER BY detection_id LIMIT 1"
    ],
    "duplicate craters": ["INSERT INTO cda.crater SELECT * FROM cda.crater LIMIT 1"],
    "duplicate suppressions": ["INSERT INTO cda.suppression SELECT * FROM cda.suppression LIMIT 1"],
    "craters of no whole detection": [
        "UPDATE cda.crater SET crater_id = 999::bigint << 22 WHERE crater_id ="
        " (SELECT min(crater_id) FROM cda.crater)",
        "UPDATE cda.detection SET cut = true WHERE detection_id ="
        " (SELECT min(crater_id) FROM cda.crater)",
        # a crater that is no longer what was detected
        "UPDATE cda.crater SET diameter_m = diameter_m * 2 WHERE crater_id ="
        " (SELECT min(crater_id) FROM cda.crater)",
        "UPDATE cda.crater SET lon = lon + 1e-9 WHERE crater_id ="
        " (SELECT min(crater_id) FROM cda.crater)",
    ],
    "suppressions of no whole detection": [
        "UPDATE cda.suppression SET detection_id = 999::bigint << 22 WHERE detection_id ="
        " (SELECT min(detection_id) FROM cda.suppression)"
    ],
    "suppressions by no crater": [
        "DELETE FROM cda.crater WHERE crater_id = (SELECT min(crater_id) FROM cda.suppression)",
        "UPDATE cda.suppression SET crater_id = detection_id WHERE detection_id ="
        " (SELECT min(detection_id) FROM cda.suppression)",
    ],
    "detections both kept and suppressed": [
        "INSERT INTO cda.suppression SELECT run_id, 0.5, crater_id, crater_id FROM cda.crater"
        " LIMIT 1"
    ],
    "whole detections without verdict": [
        "DELETE FROM cda.suppression WHERE detection_id = (SELECT min(detection_id)"
        " FROM cda.suppression)"
    ],
    "catalogue counts that differ from rows": [
        "UPDATE cda.catalogue SET n_craters = n_craters + 1",
        "UPDATE cda.catalogue SET n_suppressed = n_suppressed - 1",
        "UPDATE cda.catalogue SET n_cut = n_cut + 1",
    ],
    "roll-ups that do not add up to the catalogue": [
        "DELETE FROM cda.crater_count WHERE cell_order = 5",
        "UPDATE cda.crater_count SET n = n + 1 WHERE (cell_order, bin, cell) ="
        " (SELECT cell_order, bin, cell FROM cda.crater_count LIMIT 1)",
        "DELETE FROM cda.crater_count",
    ],
}


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, faults in FAULTS.items() for fault in faults]
)
def test_every_fault_is_noticed(module_database: Target, sound: Run, name: str, fault: str) -> None:
    """Planted in a transaction that is rolled back."""
    with connect(module_database) as conn:
        for index in ("detection_r1_detection", "crater_r1_crater", "suppression_r1_detection"):
            conn.execute(f"DROP INDEX cda.{index}_id_key")
        done = conn.execute(fault)  # type: ignore[call-overload]
        assert done.rowcount >= 1
        assert audit(conn, sound)[name] >= 1
        conn.rollback()


def test_every_audit_has_its_fault(module_database: Target, sound: Run) -> None:
    """An audit that is added gets a planted fault of its own."""
    with connect(module_database) as conn:
        assert set(audit(conn, sound)) == set(FAULTS)


@pytest.mark.parametrize(
    ("table", "column"), [("detection", "detection_id"), ("crater", "crater_id"),
                          ("suppression", "detection_id")],
)  # fmt: skip
def test_the_indexes_refuse_duplicates_by_themselves(
    module_database: Target, sound: Run, table: str, column: str
) -> None:
    with connect(module_database) as conn:
        row = conn.execute(
            "SELECT count(*) FROM pg_indexes WHERE tablename = %s AND indexdef ~ %s",
            [f"{table}_r{sound.run_id}", rf"UNIQUE INDEX .*\({column}\)"],
        ).fetchone()
        assert row == (1,)


def test_what_is_still_to_be_decided_is_no_fault(database: Target, conn: Connection) -> None:
    """New batches, a repetition, no catalogue yet: work to do, not damage."""
    run = make_run(conn, "run", 3)
    store(conn, run, some(), only=[0, 1])
    assert set(audit(conn, run).values()) == {0}
    conn.rollback()  # else suppression waits for this transaction
    suppress(database, run)
    store(conn, run, some(), only=[2])
    assert set(audit(conn, run).values()) == {0}
    conn.rollback()
    suppress(database, run)
    conn.execute("SELECT cda.repeat_batch(%s)", [batch_ids(conn, run)[1]])
    conn.commit()
    assert set(audit(conn, run).values()) == {0}


def test_the_command_fails_where_the_audit_does(
    database: Target, conn: Connection, cda: Callable[..., Result]
) -> None:
    run = make_run(conn, "run", 3)
    store(conn, run, some())
    suppress(database, run)
    conn.commit()
    fine = cda("db", "check", "--run", "run", "--format", "json")
    assert fine.exit_code == 0, fine.stderr
    conn.execute("UPDATE cda.catalogue SET n_craters = 0")
    conn.commit()
    assert cda("db", "check").exit_code == 4


def test_the_checksum_is_of_content(database: Target, conn: Connection) -> None:
    """Another run, other ids, another order, other zones: the same checksum of the same content."""
    found, sums = some(), []
    first = make_run(conn, "one", 3)
    scenes = [row[0] for row in conn.execute("SELECT scene_id FROM cda.scene")]
    second = make_run(conn, "two", 0)
    add_scenes(conn, second, scenes[::-1])
    for run, order in ((first, [0, 1, 2]), (second, [2, 0, 1])):
        for batch in order:
            store(conn, run, found, only=[batch])
        suppress(database, run, rows_per_zone=10**6 if run is first else 20)
        sums.append(checksum(conn, run))
        conn.rollback()
    assert sums[0] == sums[1]
    assert sums[0].startswith("60-")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE cda.detection SET score = score / 2 WHERE detection_id = (SELECT"
        " min(detection_id) FROM cda.detection)",
        "UPDATE cda.detection SET lon = lon + 1e-12 WHERE detection_id = (SELECT"
        " min(detection_id) FROM cda.detection)",
        "UPDATE cda.detection SET data_edge = NOT data_edge WHERE detection_id = (SELECT"
        " min(detection_id) FROM cda.detection)",
        "DELETE FROM cda.detection WHERE detection_id = (SELECT max(detection_id) FROM"
        " cda.detection)",
        "DELETE FROM cda.crater WHERE crater_id = (SELECT min(crater_id) FROM cda.crater)",
        "UPDATE cda.suppression SET iou = iou / 2 WHERE detection_id = (SELECT"
        " min(detection_id) FROM cda.suppression)",
        "UPDATE cda.suppression s SET crater_id = (SELECT max(crater_id) FROM cda.crater)"
        " WHERE detection_id = (SELECT min(detection_id) FROM cda.suppression)",
        "UPDATE cda.scene SET sha256 = sha256(sha256) WHERE scene_id = (SELECT min(scene_id)"
        " FROM cda.scene)",
        # two equal changes, which an exclusive or of hashes would not see
        "INSERT INTO cda.detection SELECT d.* FROM cda.detection d, generate_series(1, 2)"
        " WHERE detection_id = (SELECT min(detection_id) FROM cda.detection)",
    ],
)
def test_one_change_of_content_changes_the_checksum(
    module_database: Target, sound: Run, change: str
) -> None:
    with connect(module_database) as conn:
        before = checksum(conn, sound)
        conn.execute("DROP INDEX IF EXISTS cda.detection_r1_detection_id_key")
        assert conn.execute(change).rowcount >= 1  # type: ignore[call-overload]
        assert checksum(conn, sound) != before
        conn.rollback()
        assert checksum(conn, sound) == before
