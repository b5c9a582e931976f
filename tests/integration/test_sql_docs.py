"""docs/sql.md is what the database says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from cda_db.connection import Connection

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sql.md"


def test_the_reference_is_up_to_date(cda: Callable[..., Result]) -> None:
    result = cda("db", "docs")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == PAGE.read_text(), "Run: cda db docs --out docs/sql.md"


def test_nothing_is_left_out(conn: Connection, cda: Callable[..., Result]) -> None:
    """Every function, view, table and column has its line."""
    text = cda("db", "docs").stdout
    rows = conn.execute(
        "SELECT format('`cda.%s(', proname) FROM pg_proc WHERE pronamespace = 'cda'::regnamespace"
        " UNION SELECT format('`cda.%s`', relname) FROM pg_class WHERE relkind IN ('r', 'p', 'v')"
        " AND relnamespace = 'cda'::regnamespace AND relname !~ '^(staging|alembic)'"
        " UNION SELECT format('| `%s` |', attname) FROM pg_attribute a JOIN pg_class c"
        " ON c.oid = attrelid WHERE relnamespace = 'cda'::regnamespace AND relkind IN ('r', 'p')"
        " AND attnum > 0 AND NOT attisdropped AND relname <> 'alembic_version'"
    ).fetchall()
    assert [row[0] for row in rows if row[0] not in text] == []


def test_a_file_may_be_written(cda: Callable[..., Result], tmp_path: Path) -> None:
    page = tmp_path / "sql.md"
    assert cda("db", "docs", "--out", page).exit_code == 0
    assert page.read_text() == cda("db", "docs").stdout
