"""Tables of evaluations: what is known of a detector, by size of crater.

``queries`` correct counts by them; ``cda_db.evaluations`` writes and reads them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL

from cda_db.schema import col, metadata, now
from cda_db.tables import model

evaluation = Table(
    "evaluation",
    metadata,
    col("evaluation_id", Integer, "surrogate key", Identity(always=True), primary_key=True),
    col("model_id", Integer, "the detector", ForeignKey(model.c.model_id)),
    col("name", Text, "name of the labelled data"),
    col("kind", Text, "kind of scenes: instrument or free name"),
    col("body", Text, "their planet; null: none or several", ForeignKey("cda.body.name"),
        nullable=True),
    col("data_sha256", LargeBinary, "sha256 of pictures and labels, or of the catalogue"),
    col("rules_sha256", LargeBinary, "sha256 of the canonical JSON of rules"),
    col("rules", JSONB, "matching and ignore rules, search, threshold, arithmetic"),
    col("threshold", REAL, "score from which detections count"),
    col("size_unit", Text, "unit of evaluation_bin's sizes: px of the scene, or m"),
    col("n_truth", BigInteger, "independent craters that count"),
    col("n_found", BigInteger, "of these, found"),
    col("n_detections", BigInteger, "detections that count; null: the list is not complete",
        nullable=True),
    col("n_right", BigInteger, "of these, craters", nullable=True),
    col("recall", Double, "n_found / n_truth", nullable=True),
    col("recall_low", Double, "lower end of its 95 % interval", nullable=True),
    col("recall_high", Double, "upper end", nullable=True),
    col("precision", Double, "n_right / n_detections", nullable=True),
    col("precision_low", Double, "lower end of its 95 % interval", nullable=True),
    col("precision_high", Double, "upper end", nullable=True),
    col("f1", Double, "harmonic mean of precision and recall", nullable=True),
    col("f1_low", Double, "lower end of its 95 % interval", nullable=True),
    col("f1_high", Double, "upper end", nullable=True),
    col("ap50", Double, "area under the curve at box IoU 0.5", nullable=True),
    col("report", JSONB, "the whole report of `cda model evaluate`"),
    col("code_version", Text, "version of this project's code"),
    col("stored_at", DateTime(timezone=True), "when", server_default=now),
    UniqueConstraint("model_id", "data_sha256", "rules_sha256"),
    CheckConstraint(
        "octet_length(data_sha256) = 32 AND octet_length(rules_sha256) = 32", name="sha256"
    ),
    CheckConstraint("size_unit IN ('px', 'm')", name="size_unit"),
    CheckConstraint("n_found BETWEEN 0 AND n_truth", name="found"),
    CheckConstraint("(n_detections IS NULL) = (n_right IS NULL)", name="complete"),
    CheckConstraint("n_right BETWEEN 0 AND n_detections", name="right"),
    comment="A detector held against independent craters by fixed rules",
)  # fmt: skip

evaluation_bin = Table(
    "evaluation_bin",
    metadata,
    col("evaluation_id", Integer, "the evaluation",
        ForeignKey(evaluation.c.evaluation_id, ondelete="CASCADE")),
    col("size_from", Double, "least size, in the evaluation's unit"),
    col("size_to", Double, "sizes are less than this"),
    col("n_truth", BigInteger, "independent craters of that true size"),
    col("n_found", BigInteger, "of these, found"),
    col("recall", Double, "completeness: n_found / n_truth", nullable=True),
    col("recall_low", Double, "its exact binomial (Clopper-Pearson) 95 % bound", nullable=True),
    col("recall_high", Double, "upper bound", nullable=True),
    col("n_detections", BigInteger, "detections of that detected size", nullable=True),
    col("n_right", BigInteger, "of these, craters", nullable=True),
    col("precision", Double, "n_right / n_detections", nullable=True),
    col("precision_low", Double, "its exact binomial 95 % bound", nullable=True),
    col("precision_high", Double, "upper bound", nullable=True),
    col("diameter_ratio", Double, "median of detected over true diameter", nullable=True),
    col("diameter_mad", Double, "median absolute deviation of that ratio", nullable=True),
    PrimaryKeyConstraint("evaluation_id", "size_from"),
    CheckConstraint("size_from > 0 AND size_to > size_from", name="sizes"),
    CheckConstraint("n_found BETWEEN 0 AND n_truth", name="found"),
    CheckConstraint("(n_detections IS NULL) = (n_right IS NULL)", name="complete"),
    CheckConstraint("n_right BETWEEN 0 AND n_detections", name="right"),
    comment="An evaluation by size: completeness, precision and diameters with exact errors",
)  # fmt: skip
