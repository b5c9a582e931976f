"""The density roll-up: counts and imaged areas by HEALPix cell, kept ready in the database."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from cda_db.catalogue import frame, imaged_layers, require_catalogue
from cda_db.cells import count_in_cells, refine
from cda_db.connection import Connection, connect
from cda_db.errors import InputError, StateError
from cda_db.runs import Run
from cda_db.settings import Target

FINEST_ORDER = 9
# Below this many craters one connection is as fast as several.
_WORTH_SHARING = 1_000_000


def roll_up(
    conn: Connection,
    run: Run,
    *,
    finest: int = FINEST_ORDER,
    target: Target | str | None = None,
    workers: int = 1,
) -> int:
    """Make the roll-up of a run anew, unless it is up to date; returns its number of craters.

    Args:
        conn: the owner's connection.
        run: the run.
        finest: HEALPix order of the finest counts.
        target: the database, where more connections are to help.
        workers: connections at once, over a million craters; without ``target`` one.

    Raises:
        StateError: the catalogue changed meanwhile; what was counted is not used.
    """
    require_catalogue(conn, run)
    fresh = conn.execute(
        "SELECT rolled_up_at IS NOT NULL, n_craters FROM cda.catalogue WHERE run_id = %s",
        [run.run_id],
    ).fetchone()
    assert fresh is not None  # a catalogue is required above
    up_to_date, n_craters = fresh
    if up_to_date:
        return int(n_craters)
    conn.execute("SELECT cda.roll_up_ground(%s)", [run.run_id])
    if target is None or workers < 2 or n_craters < _WORTH_SHARING:
        conn.execute("SELECT cda.roll_up_bins(%s, %s)", [run.run_id, finest])
    else:
        parts = _share_bins(conn, run, workers)
        conn.commit()
        _roll_up_parts(target, run, finest, parts)
    total = conn.execute("SELECT cda.roll_up_done(%s)", [run.run_id]).fetchone()
    if total is None or total[0] != n_craters:
        conn.rollback()
        raise StateError(
            f"The catalogue of run {run.name!r} changed while its craters were counted.",
            "Roll it up again when nobody changes it.",
        )
    conn.commit()
    return int(total[0])


def _share_bins(conn: Connection, run: Run, workers: int) -> list[list[int]]:
    """Diameter bins dealt out so that each part has about as many craters."""
    shares = conn.execute("SELECT bin, share FROM cda.roll_up_shares(%s)", [run.run_id]).fetchall()
    parts: list[tuple[float, list[int]]] = [(0.0, []) for _ in range(workers)]
    for k, share in sorted(shares, key=lambda row: (-row[1], row[0])):
        least = min(range(workers), key=lambda part: parts[part][0])
        parts[least] = (parts[least][0] + share, [*parts[least][1], k])
    return [bins for _, bins in parts]


def _roll_up_parts(
    target: Target | str, run: Run, finest: int, parts: Sequence[Sequence[int]]
) -> None:
    """Each part in a connection of its own; until all are done the roll-up is not up to date."""

    def count(bins: Sequence[int]) -> None:
        with connect(target, role="cda_owner", application_name="cda roll-up") as own:
            for setting in (
                "work_mem = '256MB'",
                "jit = on",
                "max_parallel_workers_per_gather = 0",
            ):
                own.execute(f"SET {setting}")
            own.execute("SELECT cda.roll_up_bins(%s, %s, %s)", [run.run_id, finest, list(bins)])
            own.commit()

    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        list(pool.map(count, parts))


def is_rolled_up(conn: Connection, run: Run) -> bool:
    """Whether the roll-up is that of the run's present catalogue."""
    row = conn.execute(
        "SELECT rolled_up_at IS NOT NULL FROM cda.catalogue WHERE run_id = %s", [run.run_id]
    ).fetchone()
    return bool(row and row[0])


def cell_counts(conn: Connection, run: Run, order: int) -> pd.DataFrame:
    """Craters by cell and bin: columns bin, cell (nested, of ``order``), n; no row means none."""
    _check_order(order)
    found = frame(
        conn,
        "SELECT bin, cell, n FROM cda.crater_count WHERE run_id = %s AND cell_order = %s"
        " ORDER BY bin, cell",
        [run.run_id, order],
    )
    return found.astype("int64")


def imaged_areas(conn: Connection, run: Run, order: int) -> pd.DataFrame:
    """Imaged area by cell and bin: columns bin, cell, area_km2; no row means not imaged."""
    _check_order(order)
    cell_km2 = run.body.area_km2 / (12 * 4**order)
    found = [pd.DataFrame({"bin": [], "cell": [], "area_km2": []})]
    for bins, at, ranges in imaged_layers(conn, run):
        fine = max(at, order)
        cell, n = count_in_cells(refine(ranges, at, fine), fine, order)
        area = n * (cell_km2 / 4 ** (fine - order))
        found += [pd.DataFrame({"bin": k, "cell": cell, "area_km2": area}) for k in bins]
    table = pd.concat(found, ignore_index=True).astype({"bin": "int64", "cell": "int64"})
    return table.sort_values(["bin", "cell"], ignore_index=True)


def _check_order(order: int) -> None:
    if not 0 <= order <= FINEST_ORDER:
        raise InputError(
            f"The roll-up has HEALPix orders 0 to {FINEST_ORDER}, not {order}.",
            "Give --nside a power of two from 1 to 512.",
        )
