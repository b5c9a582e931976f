"""The SQL files of ``cda_db/sql``: functions, views and grants, the only source of their text.

Every file can be applied again at any time. ``migrations/env.py`` applies them, in number order
and in its transaction, when the sha256 of one differs from what table ``cda.sql_file`` remembers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class SqlFile:
    """One numbered file: its name, its text and the sha256 of that text."""

    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        """Digest by which a database knows that it holds this text."""
        return hashlib.sha256(self.text.encode()).digest()


def sql_files() -> list[SqlFile]:
    """All files in the order of their numbers."""
    folder = files("cda_db") / "sql"
    found = [
        SqlFile(entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(found, key=lambda file: file.name)


# What the files made: triggers, functions and views of schema cda, dropped in an order that their
# dependencies allow. What somebody else built on them is never dropped along: it is an error.
_DROP = """
DO $do$
DECLARE
    thing record;
    left_over int := -1;
    before int;
    why text;
BEGIN
    LOOP
        before := left_over;
        left_over := 0;
        FOR thing IN
            SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) AS statement
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = 'cda'::regnamespace AND NOT t.tgisinternal
              AND t.tgparentid = 0 AND {which_t}
            UNION ALL
            SELECT format('DROP ROUTINE %s', p.oid::regprocedure) FROM pg_proc p
            WHERE p.pronamespace = 'cda'::regnamespace AND {which_p}
            UNION ALL
            SELECT format('DROP VIEW %s', c.oid::regclass) FROM pg_class c
            JOIN pg_rewrite r ON r.ev_class = c.oid
            WHERE c.relnamespace = 'cda'::regnamespace AND c.relkind = 'v' AND {which_r}
        LOOP
            BEGIN
                EXECUTE thing.statement;
            EXCEPTION WHEN dependent_objects_still_exist THEN
                GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
                left_over := left_over + 1;
            END;
        END LOOP;
        EXIT WHEN left_over = 0;
        IF left_over = before THEN
            RAISE EXCEPTION 'functions of schema cda must be made anew, but are in use: %', why
                USING errcode = 'dependent_objects_still_exist',
                      hint = 'Drop what depends on them, migrate, and make it again.';
        END IF;
    END LOOP;
END $do$
"""

# Whatever the files make was written by this transaction just now. Not so a function's own row,
# which every GRANT writes: its dependency on the schema is what CREATE writes anew.
_NOT_NOW = "{}.xmin <> pg_current_xact_id()::xid"
_STALE = {
    "which_t": _NOT_NOW.format("t"),
    "which_p": "EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass"
    " AND d.objid = p.oid AND d.refclassid = 'pg_namespace'::regclass"
    f" AND {_NOT_NOW.format('d')})",
    "which_r": _NOT_NOW.format("r"),
}


def drop_all(connection: Connection) -> None:
    """Drop every function, view and trigger of the files, so that a revision may change tables."""
    every = dict.fromkeys(("which_t", "which_p", "which_r"), "true")
    _execute(connection, _DROP.format(**every))
    if connection.execute(text("SELECT to_regclass('cda.sql_file')")).scalar() is not None:
        connection.execute(text("DELETE FROM cda.sql_file"))


def apply_changed(connection: Connection) -> list[str]:
    """Apply the files unless this database holds the very text of all; returns their names.

    When one changed, all are applied: files build on each other, and what none of them makes any
    more (a function that was renamed, an old list of parameters) is recognised and dropped.
    """
    if not pending(connection):
        return []
    for file in sql_files():
        _execute(connection, file.text)
        connection.execute(
            text(
                "INSERT INTO cda.sql_file (name, sha256) VALUES (:name, :digest) ON CONFLICT (name)"
                " DO UPDATE SET sha256 = excluded.sha256, applied_at = clock_timestamp()"
            ),
            {"name": file.name, "digest": file.sha256},
        )
    names = [file.name for file in sql_files()]
    connection.execute(text("DELETE FROM cda.sql_file WHERE name <> ALL(:names)"), {"names": names})
    _execute(connection, _DROP.format(**_STALE))
    return names


def _execute(connection: Connection, statements: str) -> None:
    # exec_driver_sql without parameters lets psycopg send several statements as they are
    connection.exec_driver_sql(statements.replace("%", "%%"))


def pending(connection: Connection) -> list[str]:
    """Names of files whose text the database does not hold, or holds though the code has none."""
    rows = connection.execute(text("SELECT name, sha256 FROM cda.sql_file")).all()
    known = {name: bytes(digest) for name, digest in rows}
    wanted = {file.name: file.sha256 for file in sql_files()}
    return sorted(name for name in known | wanted if known.get(name) != wanted.get(name))
