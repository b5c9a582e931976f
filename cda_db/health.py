"""Where a database is and whether it can be used, in figures."""

from __future__ import annotations

from typing import Any, LiteralString

from cda_db import embedded
from cda_db.binaries import EXTENSIONS
from cda_db.connection import Connection, connect
from cda_db.create import database_name
from cda_db.errors import ServerError
from cda_db.settings import Target

_SIZE = "SELECT pg_database_size(current_database())"
_REVISION = "SELECT version_num FROM cda.alembic_version"


def report(target: Target) -> dict[str, Any]:
    """State of the server and the database; never an error because something is not there yet.

    Keys: ``database``, ``server`` (``embedded`` or ``external``), ``running``, ``problem`` (None
    where it can be used), for an embedded server its ``pid`` and places, and where it answers
    ``postgresql``, ``postgis``, ``q3c``, ``revision`` and ``size_bytes``.
    """
    figures: dict[str, Any] = {"database": database_name(target)}
    figures |= _place(target)
    try:
        with connect(target) as conn:
            figures |= {"running": True, "problem": None, **_inside(conn)}
    except ServerError as error:
        figures["problem"] = str(error)
    return figures


def _place(target: Target) -> dict[str, Any]:
    cluster = target.cluster
    if cluster is None:
        return {"server": "external", "running": False}
    state = embedded.status(cluster)
    return {
        "server": "embedded",
        "running": state.running,
        "pid": state.pid,
        "data_dir": cluster.data_dir,
        "socket_dir": cluster.socket_dir,
        "log_file": cluster.log_file,
    }


def _inside(conn: Connection) -> dict[str, Any]:
    version = conn.info.server_version
    rows = conn.execute(
        "SELECT extname, extversion FROM pg_extension WHERE extname = ANY(%s)", [list(EXTENSIONS)]
    ).fetchall()
    made: dict[str, str] = dict(rows)
    return {
        "postgresql": f"{version // 10_000}.{version % 10_000}",
        **{name: made.get(name) for name in EXTENSIONS},
        "revision": _revision(conn),
        "size_bytes": _one(conn, _SIZE),
    }


def _revision(conn: Connection) -> Any:
    there = _one(conn, "SELECT to_regclass('cda.alembic_version') IS NOT NULL")
    return _one(conn, _REVISION) if there else None


def _one(conn: Connection, question: LiteralString) -> Any:
    row = conn.execute(question).fetchone()
    return row[0] if row else None
