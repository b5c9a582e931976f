"""The SQL reference, written from the comments that the database itself holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cda_db.connection import Connection
from cda_db.sqlfiles import sql_files

_RELATIONS = """
    SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c
    WHERE c.relnamespace = 'cda'::regnamespace AND NOT c.relispartition
      AND c.relkind = ANY(%s) AND c.relname <> 'alembic_version' ORDER BY c.relname"""
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           col_description(a.attrelid, a.attnum)
    FROM pg_attribute a WHERE a.attrelid = format('cda.%%I', %s::text)::regclass AND a.attnum > 0
      AND NOT a.attisdropped ORDER BY a.attnum"""
_FUNCTIONS = """
    SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
           obj_description(p.oid, 'pg_proc'),
           has_function_privilege('cda_reader', p.oid, 'EXECUTE'),
           has_function_privilege('cda_ingest', p.oid, 'EXECUTE')
    FROM pg_proc p WHERE p.pronamespace = 'cda'::regnamespace ORDER BY p.proname, 2"""
_MADE = re.compile(r"CREATE OR REPLACE (?:FUNCTION|VIEW) cda\.(\w+)")
_HEAD = """# SQL reference

Made from the comments in the database by `cda db docs --out docs/sql.md`; do not edit.
Connect with `psql "$(cda db url)"` or from QGIS or pandas, and `SET ROLE cda_reader` to be sure
that nothing changes. Longitudes are degrees east in [-180, 180), latitudes planetocentric,
lengths metres where a name ends in `_m`.
"""


def reference(conn: Connection) -> str:
    """Markdown of every table, view and function of schema ``cda``, with types and rights."""
    relations: dict[str, str] = dict(conn.execute(_RELATIONS, [["r", "p"]]).fetchall())
    views: dict[str, str] = dict(conn.execute(_RELATIONS, [["v"]]).fetchall())
    functions: dict[str, list[tuple[Any, ...]]] = {}
    for row in conn.execute(_FUNCTIONS):
        functions.setdefault(row[0], []).append(row[1:])
    lines = [_HEAD, "## Functions and views", ""]
    for title, names in _sections():
        lines += [f"### {title}", ""]
        for name in names:
            if name in views:
                lines += [f"#### view `cda.{name}`", "", *_sentence(views[name]), ""]
                lines += [*_columns(conn, name), ""]
            for overload in functions.get(name, ()):
                lines += _function(name, overload)
    lines += ["## Tables", ""]
    # the staging slots are all alike
    for name, comment in relations.items():
        if not name.startswith("staging_") or name == "staging_00":
            title = "cda.staging_00` to `cda.staging_15" if name == "staging_00" else f"cda.{name}"
            lines += [f"### `{title}`", "", *_sentence(comment), "", *_columns(conn, name), ""]
    return "\n".join(lines).rstrip() + "\n"


def _sections() -> Iterator[tuple[str, list[str]]]:
    """Each file's first words, and what it makes, in its order."""
    for file in sql_files():
        names = list(dict.fromkeys(_MADE.findall(file.text)))
        if names:
            first = file.text.splitlines()[0].removeprefix("--").strip().rstrip(".")
            yield f"{first} (`{file.name}`)", names


def _function(name: str, row: tuple[Any, ...]) -> list[str]:
    arguments, result, comment, reader, ingest = row
    who = ["owner", *(["reader"] if reader else []), *(["ingest"] if ingest else [])]
    words, _, example = comment.partition("Example: ")
    lines = [
        f"#### `cda.{name}({arguments})`", "",
        f"Returns `{result}`. For: {', '.join(who)}.", "", *_sentence(words), "",
    ]  # fmt: skip
    if example and not example.startswith("internal"):
        lines += ["```sql", " ".join(example.split()), "```", ""]
    return lines


def _sentence(words: str) -> list[str]:
    return [" ".join(words.split()).removesuffix(".") + "."] if words.split() else []


def _columns(conn: Connection, name: str) -> list[str]:
    rows = conn.execute(_COLUMNS, [name]).fetchall()
    if any(comment for *_, comment in rows):
        body = [
            f"| `{column}` | {kind}{'' if full else ', may be null'} | {comment} |"
            for column, kind, full, comment in rows
        ]
        return ["| column | type | meaning |", "| --- | --- | --- |", *body]
    return ["Columns: " + ", ".join(f"`{column}` {kind}" for column, kind, *_ in rows) + "."]
