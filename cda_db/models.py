"""Detector weights that may run, known by their sha256."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from cda_db.connection import Connection
from cda_db.errors import NotFoundError


def register_model(conn: Connection, name: str, sha256: bytes, card: dict[str, Any]) -> int:
    """Store a model once and return its id.

    Args:
        name: name for people.
        sha256: digest of the weights that run (32 bytes).
        card: the model card; must hold ``architecture`` and ``diameter_factor``.
    """
    row = conn.execute(
        "INSERT INTO cda.model (name, sha256, architecture, diameter_factor, card)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (sha256) DO NOTHING RETURNING model_id",
        [name, sha256, card["architecture"], card["diameter_factor"], Jsonb(card)],
    ).fetchone()
    if row is None:
        row = conn.execute("SELECT model_id FROM cda.model WHERE sha256 = %s", [sha256]).fetchone()
    if row is None:
        raise NotFoundError(f"Model {name!r} was not stored.", "Look at the server's log.")
    return int(row[0])


def model_of(conn: Connection, model_id: int) -> tuple[str, bytes]:
    """Name and sha256 of a registered model. Raises NotFoundError."""
    row = conn.execute(
        "SELECT name, sha256 FROM cda.model WHERE model_id = %s", [model_id]
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no model {model_id}.", "See `cda model list`.")
    return str(row[0]), bytes(row[1])
