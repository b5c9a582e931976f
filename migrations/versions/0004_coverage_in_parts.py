"""Imaged ground in parts of a cell and by level; neighbours that fill a scene's margin.

Revision: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Whole cells stay what they were; borders in parts come with scenes registered from now on."""
    op.create_table(
        "scene_coverage",
        sa.Column("scene_id", sa.Integer(), nullable=False, comment="the scene"),
        sa.Column(
            "factor",
            sa.REAL(),
            nullable=False,
            comment="from this level on, to the next row's: what its pixels can show",
        ),
        sa.Column(
            "ranges",
            postgresql.INT8MULTIRANGE(),
            nullable=False,
            comment="cells that are imaged whole, nested, of coverage_order",
        ),
        sa.Column(
            "border_cells",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="cells that are imaged in part, ascending",
        ),
        sa.Column(
            "border_masks",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="bit i: sub-cell i (three orders finer) is imaged",
        ),
        sa.CheckConstraint("factor >= 1", name=op.f("scene_coverage_factor_check")),
        sa.CheckConstraint(
            "cardinality(border_cells) = cardinality(border_masks)",
            name=op.f("scene_coverage_border_check"),
        ),
        sa.ForeignKeyConstraint(
            ["scene_id"],
            ["cda.scene.scene_id"],
            name=op.f("scene_coverage_scene_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("scene_id", "factor", name=op.f("scene_coverage_pkey")),
        schema="cda",
        comment="Imaged ground of a scene: HEALPix cells, at the border in 64ths",
    )
    op.execute(
        "INSERT INTO cda.scene_coverage SELECT scene_id, 1, coverage, '{}', '{}' FROM cda.scene"
    )
    op.drop_column("scene", "coverage", schema="cda")
    _coverage_order(26, "HEALPix order of the cells in scene_coverage")
    _imaged_ground_in_parts()
    op.create_table(
        "run_neighbour",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column(
            "scene_id", sa.Integer(), nullable=False, comment="the scene whose margin is filled"
        ),
        sa.Column("neighbour_id", sa.Integer(), nullable=False, comment="the scene that fills it"),
        sa.Column(
            "x_px",
            sa.Integer(),
            nullable=False,
            comment="the neighbour's left edge in the scene's pixels",
        ),
        sa.Column("y_px", sa.Integer(), nullable=False, comment="its top edge"),
        *(
            sa.ForeignKeyConstraint(
                ["run_id", column],
                ["cda.run_scene.run_id", "cda.run_scene.scene_id"],
                name=op.f(f"run_neighbour_run_id_{column}_fkey"),
                ondelete="CASCADE",
            )
            for column in ("scene_id", "neighbour_id")
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "scene_id", "neighbour_id", name=op.f("run_neighbour_pkey")
        ),
        schema="cda",
        comment="Scenes of one pixel grid that fill each other's margins, in runs with neighbours",
    )


def _coverage_order(most: int, comment: str) -> None:
    op.drop_constraint(op.f("scene_coverage_order_check"), "scene", schema="cda")
    op.create_check_constraint(
        op.f("scene_coverage_order_check"),
        "scene",
        f"coverage_order BETWEEN 0 AND {most}",
        schema="cda",
    )
    op.alter_column("scene", "coverage_order", comment=comment, schema="cda")


def _imaged_ground_in_parts() -> None:
    op.drop_constraint("imaged_ground_pkey", "imaged_ground", schema="cda")
    op.create_primary_key(
        "imaged_ground_pkey", "imaged_ground", ["run_id", "layer", "cell_order"], schema="cda"
    )
    for name, comment in (
        ("border_cells", "cells that are imaged in part, ascending"),
        ("border_masks", "bit i: sub-cell i (three orders finer) is imaged"),
    ):
        column = sa.Column(
            name,
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            server_default="{}",
            comment=comment,
        )
        op.add_column("imaged_ground", column, schema="cda")
        op.alter_column("imaged_ground", name, server_default=None, schema="cda")
    op.alter_column(
        "imaged_ground", "cell_order", comment="HEALPix order of the cells", schema="cda"
    )
    op.alter_column(
        "imaged_ground",
        "ranges",
        comment="cells that are imaged whole, overlaps counted once",
        schema="cda",
    )
    op.create_table_comment(
        "imaged_ground",
        "Roll-up: the ground that a bin could be seen on, by layer; a row a HEALPix order",
        schema="cda",
    )


def downgrade() -> None:
    """Back to whole cells: a border cell counts where half of it is imaged."""
    op.drop_table("run_neighbour", schema="cda")
    column = sa.Column(
        "coverage",
        postgresql.INT8MULTIRANGE(),
        nullable=False,
        server_default="{}",
        comment="imaged ground: nested HEALPix cells of coverage_order",
    )
    op.add_column("scene", column, schema="cda")
    op.alter_column("scene", "coverage", server_default=None, schema="cda")
    op.execute(
        """
        UPDATE cda.scene s SET coverage = c.ranges + coalesce((
            SELECT range_agg(int8range(cell, cell + 1))
            FROM unnest(c.border_cells, c.border_masks) AS b (cell, mask)
            WHERE bit_count(mask::bit(64)) >= 32), '{}')
        FROM cda.scene_coverage c WHERE c.scene_id = s.scene_id AND c.factor = 1
        """
    )
    op.execute(
        """
        UPDATE cda.scene s SET coverage_order = 14, coverage = coalesce((
            SELECT range_agg(int8range(lower(r) >> 2 * (coverage_order - 14),
                                       ((upper(r) - 1) >> 2 * (coverage_order - 14)) + 1))
            FROM unnest(coverage) AS r), '{}')
        WHERE coverage_order > 14
        """
    )
    op.drop_table("scene_coverage", schema="cda")
    _coverage_order(14, "HEALPix order of coverage")
    # a roll-up of the old kind has one row a layer: it is made anew when it is asked for
    op.execute("DELETE FROM cda.imaged_layer")
    op.execute("DELETE FROM cda.imaged_ground")
    op.execute("UPDATE cda.catalogue SET rolled_up_at = NULL")
    op.drop_column("imaged_ground", "border_masks", schema="cda")
    op.drop_column("imaged_ground", "border_cells", schema="cda")
    op.drop_constraint("imaged_ground_pkey", "imaged_ground", schema="cda")
    op.create_primary_key("imaged_ground_pkey", "imaged_ground", ["run_id", "layer"], schema="cda")
    op.alter_column("imaged_ground", "cell_order", comment="HEALPix order of ranges", schema="cda")
    op.alter_column(
        "imaged_ground",
        "ranges",
        comment="imaged nested HEALPix cells, overlaps counted once",
        schema="cda",
    )
    op.create_table_comment(
        "imaged_ground",
        "Roll-up: the ground that a diameter bin could be seen on, by layer",
        schema="cda",
    )
