"""The SQL files of ``cda_db/sql``: functions, views and grants, the only source of their text.

Every file can be applied again at any time. ``migrations/env.py`` applies those whose sha256
differs from the one that table ``cda.sql_file`` remembers, in number order, in its transaction.
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


def apply_changed(connection: Connection) -> list[str]:
    """Apply the files whose text this database does not hold yet; returns their names.

    When one file changed, all that follow it are applied too: later files may build on it.
    """
    rows = connection.execute(text("SELECT name, sha256 FROM cda.sql_file")).all()
    known = {name: bytes(digest) for name, digest in rows}
    applied: list[str] = []
    for file in sql_files():
        if not applied and known.get(file.name) == file.sha256:
            continue
        # exec_driver_sql without parameters lets psycopg send several statements as they are
        connection.exec_driver_sql(file.text.replace("%", "%%"))
        connection.execute(
            text(
                "INSERT INTO cda.sql_file (name, sha256) VALUES (:name, :digest) ON CONFLICT (name)"
                " DO UPDATE SET sha256 = excluded.sha256, applied_at = clock_timestamp()"
            ),
            {"name": file.name, "digest": file.sha256},
        )
        applied.append(file.name)
    return applied


def pending(connection: Connection) -> list[str]:
    """Names of files whose text the database does not hold."""
    rows = connection.execute(text("SELECT name, sha256 FROM cda.sql_file")).all()
    known = {name: bytes(digest) for name, digest in rows}
    return [file.name for file in sql_files() if known.get(file.name) != file.sha256]
