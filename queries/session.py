"""A connection for queries: read-only, and one moment of the catalogue from start to end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from cda_db.connection import Connection, connect
from cda_db.settings import Target


@contextmanager
def reading(target: Target | str | None = None) -> Iterator[Connection]:
    """Open a connection that cannot write and whose statements all see the same snapshot.

    Counts, areas and craters of one answer then belong together, whatever is ingested meanwhile.
    """
    with connect(target, application_name="cda query") as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        yield conn
