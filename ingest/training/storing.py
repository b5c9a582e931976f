"""From a report of ``cda model evaluate`` to a row of the database or of a model card."""

from __future__ import annotations

import json
from typing import Any

from cda_db.connection import Connection
from cda_db.evaluations import Evaluation, Interval, SizeBin, store_evaluation
from ingest.detector_files import ModelFiles

# What decides an evaluation's figures; its digest tells two evaluations of one data set apart.
_RULES = ("rules", "search", "threshold", "precision")
_CARD = (
    "kind", "body", "data_sha256", "size_unit", "pictures", "labels", "threshold", "precision",
    "search", "rules", "figures", "all_sizes", "ap50", "diameters", "by_size",
)  # fmt: skip


def evaluation_of(name: str, report: dict[str, Any]) -> Evaluation:
    """The evaluation of a report, or of the part of one that a card keeps.

    Raises:
        KeyError: a card's entry of an older version, without the table by size.
    """
    figures, rules = report["figures"], {key: report[key] for key in _RULES}
    n_right, n_false = figures["right"], figures["false"]
    complete = n_false is not None
    return Evaluation(
        name=name,
        kind=report["kind"],
        body=report["body"],
        data_sha256=bytes.fromhex(report["data_sha256"]),
        rules=rules,
        threshold=report["threshold"],
        size_unit=report["size_unit"],
        n_truth=n_right + figures["missed"],
        n_found=n_right,
        n_detections=n_right + n_false if complete else None,
        n_right=n_right if complete else None,
        bins=tuple(_bin(row, report["size_unit"]) for row in report["by_size"]),
        recall_95=_interval(figures["recall_95"]),
        precision_95=_interval(figures["precision_95"]),
        f1_95=_interval(figures["f1_95"]),
        ap50=next(iter(report["ap50"].values())),
        report=report,
    )


def _bin(row: dict[str, Any], unit: str) -> SizeBin:
    bias = row["diameter_bias"]
    return SizeBin(
        size_from=row[f"from_{unit}"],
        size_to=row[f"to_{unit}"],
        n_truth=row["labels"],
        n_found=row["found"],
        n_detections=row["detections"],
        n_right=row["right"],
        diameter_ratio=None if bias is None else 1 + bias,
        diameter_mad=row["diameter_scatter"],
    )


def _interval(pair: list[float | None] | None) -> Interval:
    return (None, None) if pair is None else (pair[0], pair[1])


def store_card(conn: Connection, model_id: int, card: dict[str, Any]) -> dict[str, list[str]]:
    """Store the evaluations that a model's card brings along.

    Returns:
        names ``stored``, ``known`` already, and ``incomplete``: written by a version that kept no
        table by size.
    """
    outcome: dict[str, list[str]] = {"stored": [], "known": [], "incomplete": []}
    for name, row in card.get("evaluations", {}).items():
        if "by_size" not in row:
            outcome["incomplete"].append(name)
            continue
        _, new = store_evaluation(conn, model_id, evaluation_of(name, row))
        outcome["stored" if new else "known"].append(name)
    return outcome


def record_in_card(model: ModelFiles, name: str, report: dict[str, Any]) -> None:
    """Add an evaluation to the model's card, under ``evaluations`` and its name."""
    path = model.xml.parent / "card.json"
    card = dict(model.card)
    row = {key: report[key] for key in _CARD}
    card["evaluations"] = {**card.get("evaluations", {}), name: row}
    path.write_text(json.dumps(card, indent=1) + "\n")
