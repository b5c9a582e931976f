"""Rebuilding a run's catalogue: zone by zone, from several connections, from nothing.

The SQL of ``060_suppress.sql`` decides a zone; the result is the same for any zones, any number of
connections and any order of arrival.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from cda_db.connection import Connection, connect
from cda_db.runs import Run
from cda_db.settings import Target
from cda_db.zones import Extent, Zone, cut_zones, heaviest_last

# Rows that are worth a zone of their own where a worker has none.
_LEAST_ZONE = 100_000
# Where a worker gets one zone or two, they must be alike; where many, the cheapest cuts count.
_LEAST_SHARE_OF_FEW, _LEAST_SHARE_OF_MANY = 0.45, 0.35
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
    _build(target, run, 1, ["detection_ids"])
    clock.lap("ids")
    extents = _extents(conn, run)
    zones = _cut(extents, workers, rows_per_zone)
    # a zone's statements take seconds: compiling them pays, and does not for a small run
    compiled = sum(extent.weight for extent in extents) > _WORTH_COMPILING * len(zones)
    conn.rollback()
    done = _decide_zones(target, run, zones, workers, compiled, progress)
    clock.lap("zones")
    # before the rest, which looks single craters up
    _build(target, run, workers, ["crater_places", "crater_ids", "suppressions"])
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
    """Zones, the heaviest last (they are taken from the end), enough to keep all workers busy."""
    share = -(-sum(extent.weight for extent in extents) // workers)
    few = share < 2 * rows_per_zone
    zones = cut_zones(
        extents,
        min(rows_per_zone, max(_LEAST_ZONE, share)),
        least_share=_LEAST_SHARE_OF_FEW if few else _LEAST_SHARE_OF_MANY,
    )
    return heaviest_last(zones, extents)


def _build(target: Target | str | None, run: Run, workers: int, indexes: Sequence[str]) -> None:
    """Build indexes of the run's rows, side by side where several workers are allowed."""

    def build(name: str) -> None:
        with connect(target, role="cda_owner", autocommit=True) as own:
            if workers > 1:  # the other connections keep the machine busy
                own.execute("SET max_parallel_maintenance_workers = 0")
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


@dataclass
class _Done:
    """Sums over zones: detections looked at, craters and suppressions stored."""

    loaded: int = 0
    craters: int = 0
    suppressed: int = 0


def _decide_zones(
    target: Target | str | None,
    run: Run,
    zones: Sequence[Zone],
    workers: int,
    compiled: bool,
    progress: Progress | None,
) -> _Done:
    queue, sums, lock = list(zones), _Done(), Lock()
    n_done = 0

    def work() -> None:
        nonlocal n_done
        with connect(target, role="cda_owner", application_name="cda suppress zone") as own:
            _prepare_session(own, compiled)
            own.execute("SELECT cda.suppress_begin(%s)", [run.run_id])
            own.commit()
            while queue:
                try:
                    zone = queue.pop()
                except IndexError:  # another thread took the last one
                    break
                loaded, craters, suppressed = _decide(own, run, zone)
                own.commit()
                with lock:
                    sums.loaded += loaded
                    sums.craters += craters
                    sums.suppressed += suppressed
                    n_done += 1
                if progress:
                    progress(n_done, len(zones))

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()
    return sums


def _prepare_session(conn: Connection, compiled: bool) -> None:
    """Room for a zone's scratch tables and hashes, before the session's first temporary table."""
    conn.execute("SET temp_buffers = '512MB'")
    conn.execute("SET work_mem = '256MB'")
    conn.execute("SET jit = on" if compiled else "SET jit = off")
    # a zone's seconds repay plain compilation, not the optimiser's
    conn.execute("SET jit_inline_above_cost = -1")
    conn.execute("SET jit_optimize_above_cost = -1")


def _decide(conn: Connection, run: Run, zone: Zone) -> tuple[int, int, int]:
    """One zone: detections looked at, craters and suppressions stored."""
    row = conn.execute(
        "SELECT cda.suppress_load(%s, %s, %s, %s, %s)", [run.run_id, *zone]
    ).fetchone()
    conn.execute("SELECT cda.suppress_pairs(%s)", [run.run_id])
    conn.execute("SELECT cda.suppress_rounds()")
    stored = conn.execute("SELECT * FROM cda.suppress_store(%s)", [run.run_id]).fetchone()
    assert row is not None  # a function gives one row
    assert stored is not None
    return int(row[0]), int(stored[0]), int(stored[1])


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
