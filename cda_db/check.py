"""Audits of a run and its checksum over content."""

from __future__ import annotations

from cda_db.connection import Connection
from cda_db.runs import Run


def audit(conn: Connection, run: Run) -> dict[str, int]:
    """What must not be, counted: orphans, duplicates, rows without verdict. All 0 if sound."""
    rows = conn.execute("SELECT audit, n FROM cda.audit(%s)", [run.run_id]).fetchall()
    return {name: int(n) for name, n in rows}


def checksum(conn: Connection, run: Run) -> str:
    """Checksum of detections and verdicts by content: the same for any order and grouping."""
    row = conn.execute("SELECT cda.content_checksum(%s)", [run.run_id]).fetchone()
    assert row is not None  # a function without FROM gives one row
    return str(row[0])
