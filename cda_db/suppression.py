"""Suppression: from whole detections to one crater each, exactly (rule 1 of the design).

This module chooses between a rebuild (``cda_db.rebuild``) and deciding again what changed.
The result is the same for any zones, any number of workers and any order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass

from cda_db.connection import Connection, connect
from cda_db.errors import StateError
from cda_db.rebuild import Clock, Progress
from cda_db.rebuild import rebuild as rebuild_all
from cda_db.runs import Run
from cda_db.settings import Target

ROWS_PER_ZONE = 2_000_000
# Beyond this share of new detections a rebuild is cheaper than following components.
REBUILD_SHARE = 0.2


@dataclass(frozen=True)
class Summary:
    """What a suppression did.

    Attributes:
        mode: ``rebuild``, ``incremental`` or ``nothing`` (no batch had changed).
        n_decided: detections that it looked at.
        n_waiting: detections whose verdict hung on another zone.
        seconds: by stage.
    """

    mode: str
    n_craters: int
    n_suppressed: int
    n_cut: int
    n_decided: int
    n_waiting: int
    seconds: dict[str, float]


def suppress(
    target: Target | str | None,
    run: Run,
    *,
    workers: int = 1,
    rows_per_zone: int = ROWS_PER_ZONE,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Bring the catalogue of a run up to date with its finished batches.

    Args:
        target: the database; the login must be a member of the owner role.
        run: the run.
        workers: connections that work at once.
        rows_per_zone: size of the pieces of a rebuild; never changes the result.
        rebuild: decide everything again even if little changed.
        progress: called with (zones done, zones).

    Raises:
        StateError: another suppression of this run is at work.
    """
    with connect(target, role="cda_owner", application_name="cda suppress") as conn:
        _lock(conn, run)
        try:
            if rebuild or _wants_rebuild(conn, run):
                done = rebuild_all(target, conn, run, workers, rows_per_zone, progress)
                return _summary(conn, run, "rebuild", done.n_decided, done.n_waiting, done.seconds)
            return _update(conn, run)
        finally:
            conn.rollback()
            conn.execute("SELECT pg_advisory_unlock(hashtext('cda.catalogue'), %s)", [run.run_id])
            conn.commit()


def _lock(conn: Connection, run: Run) -> None:
    row = conn.execute(
        "SELECT pg_try_advisory_lock(hashtext('cda.catalogue'), %s)", [run.run_id]
    ).fetchone()
    conn.commit()
    if not (row and row[0]):
        raise StateError(
            f"The catalogue of run {run.name!r} is being made by another process.",
            "Wait for it; it will see every batch that is finished now.",
        )


def _wants_rebuild(conn: Connection, run: Run) -> bool:
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM cda.catalogue WHERE run_id = %(run)s),"
        " coalesce(sum(n_detections) FILTER (WHERE NOT decided), 0)"
        " + (SELECT count(*) FROM cda.redecide WHERE run_id = %(run)s),"
        " coalesce(sum(n_detections), 0)"
        " FROM cda.batch WHERE run_id = %(run)s AND state = 'done'",
        {"run": run.run_id},
    ).fetchone()
    assert row is not None  # an aggregate gives one row
    has_catalogue, fresh, total = row
    return not has_catalogue or fresh > REBUILD_SHARE * total


def _update(conn: Connection, run: Run) -> Summary:
    """Decide again what changed, in one transaction with one snapshot."""
    clock = Clock()
    conn.rollback()  # the level of isolation is set before a transaction's first query
    conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    fresh = [
        row[0]
        for row in conn.execute(
            "UPDATE cda.batch SET decided = true"
            " WHERE run_id = %s AND state = 'done' AND NOT decided RETURNING batch_id",
            [run.run_id],
        )
    ]
    conn.execute("SELECT cda.suppress_begin(%s)", [run.run_id])
    n_decided = _scalar(conn, "SELECT cda.suppress_closure(%s, %s)", run, fresh)
    if not fresh and not n_decided:
        conn.rollback()
        return _summary(conn, run, "nothing", 0, 0, clock.seconds)
    clock.lap("closure")
    conn.execute("SELECT cda.suppress_pairs(%s)", [run.run_id])
    conn.execute("SELECT cda.suppress_rounds()")
    conn.execute(
        "WITH gone AS MATERIALIZED (SELECT * FROM cda.forget_verdicts(%(run)s))"
        " UPDATE cda.catalogue c SET n_craters = n_craters - craters,"
        " n_suppressed = n_suppressed - suppressed FROM gone WHERE c.run_id = %(run)s",
        {"run": run.run_id},
    )
    conn.execute(
        "WITH stored AS MATERIALIZED (SELECT * FROM cda.suppress_store(%(run)s))"
        " UPDATE cda.catalogue c SET n_craters = n_craters + craters,"
        " n_suppressed = n_suppressed + suppressed FROM stored WHERE c.run_id = %(run)s",
        {"run": run.run_id},
    )
    conn.execute("SELECT cda.count_verdicts(%s)", [run.run_id])
    conn.commit()
    clock.lap("decide")
    return _summary(conn, run, "incremental", n_decided, 0, clock.seconds)


def _scalar(conn: Connection, statement: str, run: Run, *more: object) -> int:
    row = conn.execute(statement, [run.run_id, *more]).fetchone()
    return int(row[0]) if row else 0


def _summary(
    conn: Connection, run: Run, mode: str, n_decided: int, n_waiting: int, seconds: dict[str, float]
) -> Summary:
    row = conn.execute(
        "SELECT n_craters, n_suppressed, n_cut FROM cda.catalogue WHERE run_id = %s", [run.run_id]
    ).fetchone()
    assert row is not None  # written above, or there before
    n_craters, n_suppressed, n_cut = row
    return Summary(mode, n_craters, n_suppressed, n_cut, n_decided, n_waiting, seconds)
