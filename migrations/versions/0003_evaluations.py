"""Evaluations: what is known of a detector, by size of crater.

Revision: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evaluation",
        sa.Column(
            "evaluation_id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="surrogate key",
        ),
        sa.Column("model_id", sa.Integer(), nullable=False, comment="the detector"),
        sa.Column("name", sa.Text(), nullable=False, comment="name of the labelled data"),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="kind of scenes: instrument or free name"
        ),
        sa.Column("body", sa.Text(), nullable=True, comment="their planet; null: none or several"),
        sa.Column(
            "data_sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="sha256 of pictures and labels, or of the catalogue",
        ),
        sa.Column(
            "rules_sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="sha256 of the canonical JSON of rules",
        ),
        sa.Column(
            "rules",
            postgresql.JSONB(),
            nullable=False,
            comment="matching and ignore rules, search, threshold, arithmetic",
        ),
        sa.Column(
            "threshold", sa.REAL(), nullable=False, comment="score from which detections count"
        ),
        sa.Column(
            "size_unit",
            sa.Text(),
            nullable=False,
            comment="unit of evaluation_bin's sizes: px of the scene, or m",
        ),
        sa.Column(
            "n_truth", sa.BigInteger(), nullable=False, comment="independent craters that count"
        ),
        sa.Column("n_found", sa.BigInteger(), nullable=False, comment="of these, found"),
        sa.Column(
            "n_detections",
            sa.BigInteger(),
            nullable=True,
            comment="detections that count; null: the list is not complete",
        ),
        sa.Column("n_right", sa.BigInteger(), nullable=True, comment="of these, craters"),
        sa.Column("recall", sa.Double(), nullable=True, comment="n_found / n_truth"),
        sa.Column(
            "recall_low", sa.Double(), nullable=True, comment="lower end of its 95 % interval"
        ),
        sa.Column("recall_high", sa.Double(), nullable=True, comment="upper end"),
        sa.Column("precision", sa.Double(), nullable=True, comment="n_right / n_detections"),
        sa.Column(
            "precision_low", sa.Double(), nullable=True, comment="lower end of its 95 % interval"
        ),
        sa.Column("precision_high", sa.Double(), nullable=True, comment="upper end"),
        sa.Column(
            "f1", sa.Double(), nullable=True, comment="harmonic mean of precision and recall"
        ),
        sa.Column("f1_low", sa.Double(), nullable=True, comment="lower end of its 95 % interval"),
        sa.Column("f1_high", sa.Double(), nullable=True, comment="upper end"),
        sa.Column(
            "ap50", sa.Double(), nullable=True, comment="area under the curve at box IoU 0.5"
        ),
        sa.Column(
            "report",
            postgresql.JSONB(),
            nullable=False,
            comment="the whole report of `cda model evaluate`",
        ),
        sa.Column(
            "code_version", sa.Text(), nullable=False, comment="version of this project's code"
        ),
        sa.Column(
            "stored_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.CheckConstraint("size_unit IN ('px', 'm')", name=op.f("evaluation_size_unit_check")),
        sa.CheckConstraint(
            "(n_detections IS NULL) = (n_right IS NULL)", name=op.f("evaluation_complete_check")
        ),
        sa.CheckConstraint("n_found BETWEEN 0 AND n_truth", name=op.f("evaluation_found_check")),
        sa.CheckConstraint(
            "n_right BETWEEN 0 AND n_detections", name=op.f("evaluation_right_check")
        ),
        sa.CheckConstraint(
            "octet_length(data_sha256) = 32 AND octet_length(rules_sha256) = 32",
            name=op.f("evaluation_sha256_check"),
        ),
        sa.ForeignKeyConstraint(["body"], ["cda.body.name"], name=op.f("evaluation_body_fkey")),
        sa.ForeignKeyConstraint(
            ["model_id"], ["cda.model.model_id"], name=op.f("evaluation_model_id_fkey")
        ),
        sa.PrimaryKeyConstraint("evaluation_id", name=op.f("evaluation_pkey")),
        sa.UniqueConstraint(
            "model_id",
            "data_sha256",
            "rules_sha256",
            name=op.f("evaluation_model_id_data_sha256_rules_sha256_key"),
        ),
        schema="cda",
        comment="A detector held against independent craters by fixed rules",
    )
    op.create_table(
        "evaluation_bin",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column(
            "size_from", sa.Double(), nullable=False, comment="least size, in the evaluation's unit"
        ),
        sa.Column("size_to", sa.Double(), nullable=False, comment="sizes are less than this"),
        sa.Column(
            "n_truth",
            sa.BigInteger(),
            nullable=False,
            comment="independent craters of that true size",
        ),
        sa.Column("n_found", sa.BigInteger(), nullable=False, comment="of these, found"),
        sa.Column("recall", sa.Double(), nullable=True, comment="completeness: n_found / n_truth"),
        sa.Column(
            "recall_low",
            sa.Double(),
            nullable=True,
            comment="its exact binomial (Clopper-Pearson) 95 % bound",
        ),
        sa.Column("recall_high", sa.Double(), nullable=True, comment="upper bound"),
        sa.Column(
            "n_detections",
            sa.BigInteger(),
            nullable=True,
            comment="detections of that detected size",
        ),
        sa.Column("n_right", sa.BigInteger(), nullable=True, comment="of these, craters"),
        sa.Column("precision", sa.Double(), nullable=True, comment="n_right / n_detections"),
        sa.Column(
            "precision_low", sa.Double(), nullable=True, comment="its exact binomial 95 % bound"
        ),
        sa.Column("precision_high", sa.Double(), nullable=True, comment="upper bound"),
        sa.Column(
            "diameter_ratio",
            sa.Double(),
            nullable=True,
            comment="median of detected over true diameter",
        ),
        sa.Column(
            "diameter_mad",
            sa.Double(),
            nullable=True,
            comment="median absolute deviation of that ratio",
        ),
        sa.CheckConstraint(
            "(n_detections IS NULL) = (n_right IS NULL)", name=op.f("evaluation_bin_complete_check")
        ),
        sa.CheckConstraint(
            "n_found BETWEEN 0 AND n_truth", name=op.f("evaluation_bin_found_check")
        ),
        sa.CheckConstraint(
            "n_right BETWEEN 0 AND n_detections", name=op.f("evaluation_bin_right_check")
        ),
        sa.CheckConstraint(
            "size_from > 0 AND size_to > size_from", name=op.f("evaluation_bin_sizes_check")
        ),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["cda.evaluation.evaluation_id"],
            name=op.f("evaluation_bin_evaluation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "size_from", name=op.f("evaluation_bin_pkey")),
        schema="cda",
        comment="An evaluation by size: completeness, precision and diameters with exact errors",
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("evaluation_bin", schema="cda")
    op.drop_table("evaluation", schema="cda")
