"""Suppression: from whole detections to one crater each, exactly (rule 1 of the design).

The SQL of ``060_suppress.sql`` decides zone by zone; this module cuts the sphere into zones,
drives several connections, and chooses between a rebuild and deciding again what changed.
The result is the same for any zones, any number of workers and any order of arrival.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cda_db.connection import Connection, connect
from cda_db.errors import StateError
from cda_db.runs import Run
from cda_db.settings import Target
from cda_db.zones import WHOLE_SPHERE, Extent, Zone, cut_zones

ROWS_PER_ZONE = 2_000_000
# Beyond this share of new detections a rebuild is cheaper than following components.
REBUILD_SHARE = 0.2
# Rows that are worth a zone of their own where a worker has none.
_LEAST_ZONE = 100_000
# Rows a zone from which on PostgreSQL's compiler saves more than it costs.
_WORTH_COMPILING = 400_000

Progress = Callable[[int, int], None]


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
                return _rebuild(target, conn, run, workers, rows_per_zone, progress)
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


def _rebuild(
    target: Target | str | None,
    conn: Connection,
    run: Run,
    workers: int,
    rows_per_zone: int,
    progress: Progress | None,
) -> Summary:
    """Everything from nothing; until it ends the run has no catalogue, and a crash leaves none."""
    clock = _Clock()
    conn.execute("SELECT cda.clear_catalogue(%s)", [run.run_id])
    conn.execute(
        "UPDATE cda.batch SET decided = true WHERE run_id = %s AND state = 'done' AND NOT decided",
        [run.run_id],
    )
    conn.commit()
    _build(target, run, 1, ["detection_ids"])
    clock.lap("ids")
    extents = _extents(conn, run)
    total = sum(extent.weight for extent in extents)
    zones = cut_zones(extents, min(rows_per_zone, max(_LEAST_ZONE, -(-total // workers))))
    # a zone's statements take seconds: compiling them pays, and does not for a small run
    compiled = total > _WORTH_COMPILING * len(zones)
    conn.rollback()
    n_decided = _decide_zones(target, run, zones, workers, compiled, progress)
    clock.lap("zones")
    # before the rest, which looks single craters up; the sphere index of the detections serves
    # later increments, not this rebuild
    _build(target, run, workers, ["craters", "detection_places", "suppressions"])
    clock.lap("indexes")
    n_waiting = _scalar(conn, "SELECT cda.suppress_rest(%s)", run)
    conn.commit()
    clock.lap("rest")
    conn.execute(
        "INSERT INTO cda.catalogue (run_id, n_craters, n_suppressed, n_cut)"
        " SELECT %(run)s, (SELECT count(*) FROM cda.crater WHERE run_id = %(run)s),"
        " (SELECT count(*) FROM cda.suppression WHERE run_id = %(run)s),"
        " (SELECT coalesce(sum(n_cut), 0) FROM cda.batch WHERE run_id = %(run)s AND decided)",
        {"run": run.run_id},
    )
    conn.commit()
    clock.lap("counts")
    return _summary(conn, run, "rebuild", n_decided, n_waiting, clock)


def _build(target: Target | str | None, run: Run, workers: int, indexes: Sequence[str]) -> None:
    """Build indexes of the run's rows, side by side where several workers are allowed."""

    def build(name: str) -> None:
        with connect(target, role="cda_owner", autocommit=True) as own:
            own.execute(f"SELECT cda.index_{name}(%s)", [run.run_id])

    with ThreadPoolExecutor(max_workers=workers) as pool:
        list(pool.map(build, indexes))


def _extents(conn: Connection, run: Run) -> list[Extent]:
    """Bounds and number of detections of every batch."""
    rows = conn.execute(
        "SELECT west, south, east, north, n_detections FROM cda.batch"
        " WHERE run_id = %s AND decided AND n_detections > 0",
        [run.run_id],
    )
    return [Extent(*row) for row in rows]


def _decide_zones(
    target: Target | str | None,
    run: Run,
    zones: Sequence[Zone],
    workers: int,
    compiled: bool,
    progress: Progress | None,
) -> int:
    queue = list(enumerate(zones))
    done = [0]

    def work() -> int:
        loaded = 0
        with connect(target, role="cda_owner", application_name="cda suppress zone") as own:
            _prepare_session(own, compiled)
            own.execute("SELECT cda.suppress_begin(%s)", [run.run_id])
            own.commit()
            while queue:
                try:
                    _, zone = queue.pop()
                except IndexError:  # another thread took the last one
                    break
                loaded += _decide(own, run, zone)
                own.commit()
                done[0] += 1
                if progress:
                    progress(done[0], len(zones))
        return loaded

    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(work) for _ in range(workers)]
        return sum(future.result() for future in futures)


def _prepare_session(conn: Connection, compiled: bool) -> None:
    """Room for a zone's scratch tables and hashes, before the session's first temporary table."""
    conn.execute("SET temp_buffers = '512MB'")
    conn.execute("SET work_mem = '256MB'")
    conn.execute("SET jit = on" if compiled else "SET jit = off")
    # a zone's seconds repay plain compilation, not the optimiser's
    conn.execute("SET jit_inline_above_cost = -1")
    conn.execute("SET jit_optimize_above_cost = -1")


def _decide(conn: Connection, run: Run, zone: Zone = WHOLE_SPHERE) -> int:
    row = conn.execute(
        "SELECT cda.suppress_load(%s, %s, %s, %s, %s)", [run.run_id, *zone]
    ).fetchone()
    conn.execute("SELECT cda.suppress_pairs(%s)", [run.run_id])
    conn.execute("SELECT cda.suppress_rounds()")
    conn.execute("SELECT cda.suppress_store(%s)", [run.run_id])
    return int(row[0]) if row else 0


def _update(conn: Connection, run: Run) -> Summary:
    """Decide again what changed, in one transaction with one snapshot."""
    clock = _Clock()
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
        return _summary(conn, run, "nothing", 0, 0, clock)
    clock.lap("closure")
    conn.execute("SELECT cda.suppress_pairs(%s)", [run.run_id])
    conn.execute("SELECT cda.suppress_rounds()")
    conn.execute(
        "WITH gone AS MATERIALIZED (SELECT * FROM cda.forget_verdicts(%(run)s))"
        " UPDATE cda.catalogue c SET n_craters = n_craters - craters,"
        " n_suppressed = n_suppressed - suppressed FROM gone WHERE c.run_id = %(run)s",
        {"run": run.run_id},
    )
    conn.execute("SELECT cda.suppress_store(%s)", [run.run_id])
    conn.execute("SELECT cda.count_verdicts(%s)", [run.run_id])
    conn.commit()
    clock.lap("decide")
    return _summary(conn, run, "incremental", n_decided, 0, clock)


def _scalar(conn: Connection, statement: str, run: Run, *more: object) -> int:
    row = conn.execute(statement, [run.run_id, *more]).fetchone()
    return int(row[0]) if row else 0


def _summary(
    conn: Connection, run: Run, mode: str, n_decided: int, n_waiting: int, clock: _Clock
) -> Summary:
    row = conn.execute(
        "SELECT n_craters, n_suppressed, n_cut FROM cda.catalogue WHERE run_id = %s", [run.run_id]
    ).fetchone()
    assert row is not None  # written above, or there before
    n_craters, n_suppressed, n_cut = row
    return Summary(mode, n_craters, n_suppressed, n_cut, n_decided, n_waiting, clock.seconds)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now
