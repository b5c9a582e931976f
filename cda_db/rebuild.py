"""Rebuilding a run's catalogue: zone by zone, from several connections, from nothing.

The SQL of ``060_suppress.sql`` decides a zone; the result is the same for any zones, any number of
connections and any order of arrival.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import NamedTuple

from cda_db.connection import Connection, connect
from cda_db.runs import Run
from cda_db.settings import Target
from cda_db.zones import Extent, Zone, cut_zones, heaviest_first

# Rows that are worth a zone of their own where a worker has none.
_LEAST_ZONE = 100_000
# Where a worker gets one zone or two, they must be alike; where many, the cheapest cuts count.
_LEAST_SHARE_OF_FEW, _LEAST_SHARE_OF_MANY = 0.45, 0.35
# A zone may hold that much more than a worker's share, rather than be cut again.
_SLACK = 1.03
# So many zones a worker, of so many rows, are sooner decided by reading all rows for each than by
# the index of ids, which is then built beside them; more rows might come from disk each time.
_FEW_ZONES, _FEW_ROWS = 2, 10_000_000
# Rows a zone from which on PostgreSQL's compiler saves more than it costs.
_WORTH_COMPILING = 400_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did: detections looked at, those that waited on others, seconds by stage."""

    n_decided: int
    n_waiting: int
    seconds: dict[str, float]


def rebuild(
    target: Target | str | None,
    conn: Connection,
    run: Run,
    workers: int,
    rows_per_zone: int,
    progress: Progress | None,
) -> Rebuilt:
    """Everything from nothing; until it ends the run has no catalogue, and a crash leaves none.

    Args:
        target: the database, for the connections of the workers.
        conn: the owner's connection, which holds the run's lock.
        run: the run.
        workers: connections that work at once.
        rows_per_zone: largest number of detections of a zone, about.
        progress: called with (zones done, zones).
    """
    clock = Clock()
    conn.execute("SELECT cda.clear_catalogue(%s)", [run.run_id])
    conn.execute(
        "UPDATE cda.batch SET decided = true WHERE run_id = %s AND state = 'done' AND NOT decided",
        [run.run_id],
    )
    conn.commit()
    extents = _extents(conn, run)
    zones = _cut(extents, workers, rows_per_zone)
    n_rows = sum(extent.weight for extent in extents)
    # a zone's statements take seconds: compiling them pays, and does not for a small run
    compiled = n_rows > _WORTH_COMPILING * len(zones)
    conn.rollback()
    if len(zones) <= _FEW_ZONES * workers and n_rows <= _FEW_ROWS:
        beside = ["detection_ids"]
    else:
        beside = []
        _build(target, run, "detection_ids", alone=True)
        clock.lap("ids")
    with _Crew(target, run, compiled, workers) as crew:
        done = crew.decide(zones, beside, progress)
        clock.lap("zones")
        # before the rest, which looks single craters up
        crew.build(["crater_places", "crater_ids", "suppressions"])
    conn.execute("SELECT cda.end_load('crater', %s)", [run.run_id])
    conn.commit()
    clock.lap("indexes")
    rest = conn.execute("SELECT * FROM cda.suppress_rest(%s)", [run.run_id]).fetchone()
    assert rest is not None  # a function with OUT parameters gives one row
    n_waiting, craters, suppressed = rest
    conn.execute(
        "INSERT INTO cda.catalogue (run_id, n_craters, n_suppressed, n_cut)"
        " SELECT %(run)s, %(craters)s, %(suppressed)s, coalesce(sum(n_cut), 0)"
        " FROM cda.batch WHERE run_id = %(run)s AND decided",
        {
            "run": run.run_id,
            "craters": done.craters + craters,
            "suppressed": done.suppressed + suppressed,
        },
    )
    conn.commit()
    clock.lap("rest")
    return Rebuilt(done.loaded, n_waiting, clock.seconds)


def _cut(extents: Sequence[Extent], workers: int, rows_per_zone: int) -> list[Zone]:
    """Zones, the heaviest first, enough to keep all workers busy."""
    share = -(-sum(extent.weight for extent in extents) // workers)
    few = share < 2 * rows_per_zone
    zones = cut_zones(
        extents,
        min(rows_per_zone, max(_LEAST_ZONE, int(share * _SLACK))),
        least_share=_LEAST_SHARE_OF_FEW if few else _LEAST_SHARE_OF_MANY,
    )
    return heaviest_first(zones, extents)


def _build(target: Target | str | None, run: Run, index: str, alone: bool) -> None:
    """Build an index of the run's rows; what builds it alone may use the whole machine."""
    with connect(target, role="cda_owner", autocommit=True) as own:
        if not alone:  # the other connections keep the machine busy
            own.execute("SET max_parallel_maintenance_workers = 0")
        own.execute(f"SELECT cda.index_{index}(%s)", [run.run_id])


def _extents(conn: Connection, run: Run) -> list[Extent]:
    """Bounds and number of detections of every batch."""
    rows = conn.execute(
        "SELECT west, south, east, north, n_detections FROM cda.batch"
        " WHERE run_id = %s AND decided AND n_detections > 0",
        [run.run_id],
    )
    return [Extent(*row) for row in rows]


class _Done(NamedTuple):
    """Detections looked at, craters and suppressions stored."""

    loaded: int
    craters: int
    suppressed: int


class _Crew:
    """Connections that decide zones and build indexes side by side, whatever is next."""

    def __init__(self, target: Target | str | None, run: Run, compiled: bool, workers: int) -> None:
        self._target, self._run, self._compiled, self._workers = target, run, compiled, workers
        self._pool = ThreadPoolExecutor(max_workers=workers)
        self._sessions: SimpleQueue[Connection] = SimpleQueue()
        self._late: list[Future[None]] = []

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._close_sessions()

    def decide(
        self, zones: Sequence[Zone], beside: Sequence[str], progress: Progress | None
    ) -> _Done:
        """All zones, in the given order; then ``beside``, indexes that may be built meanwhile."""
        futures = [self._pool.submit(self._decide, zone) for zone in zones]
        self._late += [self._pool.submit(self._build, index) for index in beside]
        for n_done, future in enumerate(as_completed(futures), 1):
            future.result()
            if progress:
                progress(n_done, len(zones))
        self._close_sessions()
        return _Done(*(sum(column) for column in zip(*(f.result() for f in futures), strict=True)))

    def build(self, indexes: Sequence[str]) -> None:
        """Build indexes, and see those to their end that were begun beside the zones."""
        self._late += [self._pool.submit(self._build, index) for index in indexes]
        for future in self._late:
            future.result()

    def _build(self, index: str) -> None:
        _build(self._target, self._run, index, alone=self._workers == 1)

    def _decide(self, zone: Zone) -> _Done:
        try:
            session = self._sessions.get_nowait()
        except Empty:
            session = self._open_session()
        try:
            return _decide(session, self._run, zone)
        finally:
            self._sessions.put(session)

    def _open_session(self) -> Connection:
        session = connect(self._target, role="cda_owner", application_name="cda suppress zone")
        _prepare_session(session, self._compiled)
        session.execute("SELECT cda.suppress_begin(%s)", [self._run.run_id])
        session.commit()
        return session

    def _close_sessions(self) -> None:
        while not self._sessions.empty():
            self._sessions.get_nowait().close()


def _prepare_session(conn: Connection, compiled: bool) -> None:
    """Room for a zone's scratch tables and hashes, before the session's first temporary table."""
    conn.execute("SET temp_buffers = '512MB'")
    conn.execute("SET work_mem = '256MB'")
    # the catalogue's row, committed last, brings the log of all zones to disk
    conn.execute("SET synchronous_commit = off")
    conn.execute("SET max_parallel_workers_per_gather = 0")  # the crew is what works side by side
    conn.execute("SET jit = on" if compiled else "SET jit = off")
    # a zone's seconds repay plain compilation, not the optimiser's; the planner, which takes a
    # zone's rows for a few thousand, would leave reading them out
    conn.execute("SET jit_above_cost = 10000")
    conn.execute("SET jit_inline_above_cost = -1")
    conn.execute("SET jit_optimize_above_cost = -1")


def _decide(session: Connection, run: Run, zone: Zone) -> _Done:
    loaded = session.execute(
        "SELECT cda.suppress_load(%s, %s, %s, %s, %s)", [run.run_id, *zone]
    ).fetchone()
    session.execute("SELECT cda.suppress_pairs(%s)", [run.run_id])
    session.execute("SELECT cda.suppress_rounds()")
    stored = session.execute("SELECT * FROM cda.suppress_store(%s)", [run.run_id]).fetchone()
    session.commit()
    assert loaded is not None and stored is not None  # a function gives one row
    return _Done(*loaded, *stored)


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """A stage ends."""
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now
