"""Meteorite groups: ages of launch and of the rock, with the papers that say so.

Revision: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "meteorite_group",
        sa.Column("name", sa.Text(), nullable=False, comment="lower-case name, the key"),
        sa.Column("members", sa.Text(), nullable=False, comment="stones of the group"),
        sa.Column(
            "ejection_low_ma",
            sa.REAL(),
            nullable=False,
            comment="lowest age of launch (exposure + terrestrial), Ma",
        ),
        sa.Column(
            "ejection_high_ma", sa.REAL(), nullable=False, comment="highest age of launch, Ma"
        ),
        sa.Column(
            "crystallisation_low_ma",
            sa.REAL(),
            nullable=True,
            comment="lowest age of the rock, Ma; null: unknown",
        ),
        sa.Column(
            "crystallisation_high_ma",
            sa.REAL(),
            nullable=True,
            comment="highest age of the rock, Ma",
        ),
        sa.Column(
            "ejection_reference",
            sa.Text(),
            nullable=False,
            comment="papers that give the age of launch",
        ),
        sa.Column(
            "crystallisation_reference",
            sa.Text(),
            nullable=False,
            comment="papers that give the age of the rock",
        ),
        sa.CheckConstraint(
            "ejection_low_ma > 0 AND ejection_low_ma <= ejection_high_ma",
            name=op.f("meteorite_group_ejection_range_check"),
        ),
        sa.CheckConstraint(
            "(crystallisation_low_ma IS NULL) = (crystallisation_high_ma IS NULL)"
            " AND (crystallisation_low_ma IS NULL OR crystallisation_low_ma > 0"
            " AND crystallisation_low_ma <= crystallisation_high_ma)",
            name=op.f("meteorite_group_crystallisation_range_check"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("meteorite_group_pkey")),
        schema="cda",
        comment="Meteorites launched together, with their ages and the papers that say so",
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("meteorite_group", schema="cda")
