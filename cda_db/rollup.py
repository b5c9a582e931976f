"""The density roll-up: counts and imaged areas by HEALPix cell, kept ready in the database."""

from __future__ import annotations

import pandas as pd

from cda_db.catalogue import frame, imaged_layers, require_catalogue
from cda_db.cells import count_in_cells, refine
from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run

FINEST_ORDER = 9


def roll_up(conn: Connection, run: Run, *, finest: int = FINEST_ORDER) -> int:
    """Make the roll-up of a run anew, unless it is up to date; returns its number of craters."""
    require_catalogue(conn, run)
    fresh = conn.execute(
        "SELECT rolled_up_at IS NOT NULL, n_craters FROM cda.catalogue WHERE run_id = %s",
        [run.run_id],
    ).fetchone()
    if fresh and fresh[0]:
        return int(fresh[1])
    conn.execute("SELECT cda.roll_up_ground(%s)", [run.run_id])
    total = conn.execute("SELECT cda.roll_up_counts(%s, %s)", [run.run_id, finest]).fetchone()
    conn.commit()
    return int(total[0]) if total else 0


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
