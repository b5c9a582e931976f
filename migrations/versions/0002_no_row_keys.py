"""The roll-up's counts are rows of a planet: no foreign key a row (20 million of them at 10^8).

Revision: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A key checked a row made the roll-up three times slower; deleting a run is the owner's."""
    op.drop_constraint("crater_count_run_id_fkey", "crater_count", schema="cda")


def downgrade() -> None:
    """Put the key back."""
    op.create_foreign_key(
        "crater_count_run_id_fkey",
        "crater_count",
        "run",
        ["run_id"],
        ["run_id"],
        source_schema="cda",
        referent_schema="cda",
        ondelete="CASCADE",
    )
