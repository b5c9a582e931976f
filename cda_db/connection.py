"""Connections to the database: psycopg for the work, SQLAlchemy for the migrations.

No ``search_path`` is set: every statement names its schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cda_db.errors import ServerError
from cda_db.settings import Target
from cda_db.settings import target as default_target

if TYPE_CHECKING:
    from sqlalchemy import Engine

Connection = psycopg.Connection[TupleRow]
ROLES = ("cda_owner", "cda_ingest", "cda_reader")


def connect(
    target: Target | str | None = None,
    *,
    autocommit: bool = False,
    role: str | None = None,
    application_name: str = "cda",
) -> Connection:
    """Open a connection.

    Args:
        target: a target or libpq URL; None takes ``cda_db.settings.target()``.
        autocommit: each statement commits by itself.
        role: group role to take on for the whole session (``SET ROLE``): one of ``ROLES``.
        application_name: shown in ``pg_stat_activity`` and the server's log.

    Raises:
        ServerError: the server does not answer, or refuses the login or the role.
    """
    goal = target or default_target()
    url = goal if isinstance(goal, str) else goal.url
    try:
        conn = psycopg.connect(url, autocommit=True, application_name=application_name)
    except psycopg.OperationalError as error:
        raise _explained(error, goal) from error
    if role is not None:
        _set_role(conn, role)
    conn.autocommit = autocommit
    return conn


def engine(target: Target | str | None = None, *, role: str | None = None) -> Engine:
    """SQLAlchemy engine (dialect ``postgresql+psycopg``) whose connections ``connect`` makes."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    return create_engine(
        "postgresql+psycopg://", creator=lambda: connect(target, role=role), poolclass=NullPool
    )


def _set_role(conn: Connection, role: str) -> None:
    # In autocommit, so that a later rollback does not give the role back.
    try:
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    except psycopg.Error as error:
        conn.close()
        raise ServerError(
            f"This login cannot act as {role}: {error.diag.message_primary}.",
            f"Ask an administrator for: GRANT {role} TO your login (see 'cda db login').",
        ) from error


def _explained(error: psycopg.OperationalError, goal: Target | str) -> ServerError:
    problem = str(error).strip().splitlines()[-1].strip()
    cluster = goal.cluster if isinstance(goal, Target) else None
    if cluster is None:
        return ServerError(f"No connection: {problem}", "Check CDA_DATABASE_URL and the server.")
    if not (cluster.socket_dir / f".s.PGSQL.{cluster.port}").exists():
        return ServerError(
            f"The embedded server '{cluster.name}' is not running.", "Start it: cda db start"
        )
    return ServerError(
        f"No connection to the embedded server '{cluster.name}': {problem}",
        "Make the database: cda db create && cda db migrate. Where that was done: cda db restart",
    )
