"""Meteorite groups in the database: ages of launch and of the rock, and who says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import CheckConstraint, Table, Text
from sqlalchemy.dialects.postgresql import REAL

from cda_db.connection import Connection
from cda_db.schema import col, metadata

meteorite_group = Table(
    "meteorite_group",
    metadata,
    col("name", Text, "lower-case name, the key", primary_key=True),
    col("members", Text, "stones of the group"),
    col("ejection_low_ma", REAL, "lowest age of launch (exposure + terrestrial), Ma"),
    col("ejection_high_ma", REAL, "highest age of launch, Ma"),
    col("crystallisation_low_ma", REAL, "lowest age of the rock, Ma; null: unknown", nullable=True),
    col("crystallisation_high_ma", REAL, "highest age of the rock, Ma", nullable=True),
    col("ejection_reference", Text, "papers that give the age of launch"),
    col("crystallisation_reference", Text, "papers that give the age of the rock"),
    CheckConstraint(
        "ejection_low_ma > 0 AND ejection_low_ma <= ejection_high_ma", name="ejection_range"
    ),
    CheckConstraint(
        "(crystallisation_low_ma IS NULL) = (crystallisation_high_ma IS NULL)"
        " AND (crystallisation_low_ma IS NULL OR crystallisation_low_ma > 0"
        " AND crystallisation_low_ma <= crystallisation_high_ma)",
        name="crystallisation_range",
    ),
    comment="Meteorites launched together, with their ages and the papers that say so",
)


@dataclass(frozen=True)
class MeteoriteGroup:
    """Stones launched together.

    Attributes:
        name: key of the table.
        members: stones.
        ejection_ma: low and high age of launch (cosmic-ray exposure + terrestrial), Ma.
        crystallisation_ma: low and high age of the rock, Ma; None where unknown.
        ejection_reference, crystallisation_reference: papers.
    """

    name: str
    members: str
    ejection_ma: tuple[float, float]
    crystallisation_ma: tuple[float, float] | None
    ejection_reference: str
    crystallisation_reference: str


def store_groups(conn: Connection, groups: Sequence[MeteoriteGroup]) -> int:
    """Make these the database's groups, in the caller's transaction; returns their number."""
    conn.execute("DELETE FROM cda.meteorite_group")
    for group in groups:
        conn.execute(
            "INSERT INTO cda.meteorite_group VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                group.name, group.members, *group.ejection_ma,
                *(group.crystallisation_ma or (None, None)),
                group.ejection_reference, group.crystallisation_reference,
            ],
        )  # fmt: skip
    return len(groups)


def stored_groups(conn: Connection) -> list[MeteoriteGroup]:
    """The database's groups by name; none where nobody stored any."""
    rows = conn.execute(
        "SELECT name, members, ejection_low_ma, ejection_high_ma, crystallisation_low_ma,"
        " crystallisation_high_ma, ejection_reference, crystallisation_reference"
        " FROM cda.meteorite_group ORDER BY name"
    )
    return [
        MeteoriteGroup(
            name, members, (low, high), None if rock[0] is None else (rock[0], rock[1]), *papers
        )
        for name, members, low, high, *rock, papers in (
            (*row[:6], (row[6], row[7])) for row in rows
        )
    ]
