"""Evaluation of a detector, and of people, on labelled pictures by the same rules.

Matching and ignore rules: ``ingest.training.judging``; figures: ``ingest.training.figures``. The
threshold is the model card's (chosen on validation data) unless another is given; it is never
chosen on the pictures under evaluation. The curve is for reading, not for choosing.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError
from ingest.detector import Detector, ModelFiles, Precision, own_precision
from ingest.training.figures import (
    average_precision,
    by_size,
    diameters,
    rates,
    summary,
    unit_counts,
)
from ingest.training.folders import LabelledImage, folder_sha256, read_yolo
from ingest.training.judging import Boxes, Judged, Picture, Rules, judge_all
from ingest.training.scan import Scan, scan

LOWEST_SCORE = 0.02
CURVE = tuple(round(0.05 * k, 2) for k in range(1, 20))
_CSV_COLUMNS = ("xmin_px", "ymin_px", "xmax_px", "ymax_px")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class LabelledSet:
    """Pictures with labels: files, and what they hold."""

    files: tuple[LabelledImage, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Evaluation:
    """Everything that was computed, for tables and pictures.

    Attributes:
        report: the figures, ready for JSON.
        labelled: the pictures.
        found: detections of each down to ``LOWEST_SCORE``, shape (m, 5).
        judged: by the main rules at the threshold.
    """

    report: dict[str, Any]
    labelled: LabelledSet
    found: tuple[NDArray[np.float64], ...]
    judged: tuple[Judged, ...]


def read_labelled(images: Path, labels: Path) -> LabelledSet:
    """Every image that has a label file of its name: YOLO ``.txt``, or ``.csv`` with corners.

    Raises:
        InputError: there is none.
    """
    found = []
    for path in sorted(p for p in images.iterdir() if p.suffix.lower() in _SUFFIXES):
        for suffix in (".txt", ".csv"):
            label = labels / f"{path.stem}{suffix}"
            if label.is_file():
                found.append(LabelledImage(path, label))
                break
    if not found:
        raise InputError(
            f"No image in {images} has labels in {labels}.", "Names must agree: A.png and A.txt."
        )
    return LabelledSet(tuple(found), tuple(to_picture(item) for item in found))


def to_picture(item: LabelledImage) -> Picture:
    """Name, size and labels of an image."""
    height, width = item.pixels().shape
    if item.label.suffix == ".txt":
        boxes = read_yolo(item.label, width, height)
    else:
        boxes = _read_corners(item.label)[1]
    return Picture(item.name, width, height, boxes)


def _read_corners(path: Path) -> tuple[list[str], Boxes]:
    """Annotator (empty where the file has none) and box of each row of a CSV file."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and any(name not in rows[0] for name in _CSV_COLUMNS):
        raise InputError(f"{path} lacks one of {', '.join(_CSV_COLUMNS)}.", "Add the columns.")
    boxes = [[float(row[name]) for name in _CSV_COLUMNS] for row in rows]
    people = [row.get("annotator") or "" for row in rows]
    return people, np.array(boxes, dtype=np.float64).reshape(-1, 4)


def evaluate(
    model: ModelFiles,
    labelled: LabelledSet,
    how: Scan,
    *,
    threshold: float | None = None,
    kind: str | None = None,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    annotators: Path | None = None,
    threads: int = 1,
    precision: Precision | None = None,
    seed: int = 0,
) -> Evaluation:
    """Search every picture and hold what is found against its labels.

    Args:
        model: from ``find_model``.
        labelled: from ``read_labelled``.
        how: levels and tiles.
        threshold: of the main figures; the card's if None, that for the instrument ``kind``.
        kind: instrument of the pictures, as in a scene's label.
        rules: of the main figures; other measures are reported beside them.
        annotators: folder of CSV files with a column ``annotator``: people, judged alike.
        threads: of the detector.
        precision: arithmetic of the detector; the model's own if None.
        seed: of the bootstrap.
    """
    precision = precision or own_precision(model)
    chosen = model.threshold_for(kind) if threshold is None else threshold
    factor = float(model.card["diameter_factor"])
    found = search(model, labelled, how, threads, precision)
    judged = judge_all(labelled.pictures, found, rules, chosen)
    all_sizes = judge_all(labelled.pictures, found, replace(rules, min_px=0.0), chosen)
    report: dict[str, Any] = {
        "model": model.name,
        "weights_sha256": model.sha256.hex(),
        "pictures": len(labelled.pictures),
        "labels": int(sum(len(p.boxes) for p in labelled.pictures)),
        "data_sha256": folder_sha256(labelled.files),
        "size_unit": "px",
        "precision": precision,
        "search": asdict(how),
        "rules": asdict(rules),
        "threshold": chosen,
        "figures": summary(judged, seed),
        "all_sizes": summary(all_sizes, seed),
        "other_measures": _other_measures(labelled, found, rules, chosen),
        "ap50": _ap50(labelled, found, rules),
        "diameters": diameters(judged, factor),
        "by_size": by_size(all_sizes, factor),
        "curve": curve(labelled.pictures, found, rules),
    }
    if annotators is not None:
        report["people"] = judge_people(labelled, annotators, rules, judged)
    return Evaluation(report, labelled, tuple(found), tuple(judged))


def search(
    model: ModelFiles,
    labelled: LabelledSet,
    how: Scan,
    threads: int,
    precision: Precision | None = None,
) -> list[NDArray[np.float64]]:
    """Detections of every picture down to ``LOWEST_SCORE``.

    Greedy suppression never lets a lower score change a higher one's fate, so the detections at
    any threshold above are those of at least that score.
    """
    detector = Detector(
        model,
        threads=threads,
        precision=precision or own_precision(model),
        batch=1,
        threshold=LOWEST_SCORE,
        nms_iou=0.5,
    )
    return [scan(detector, item.pixels(), how) for item in labelled.files]


def curve(
    pictures: Sequence[Picture], found: Sequence[Boxes], rules: Rules
) -> list[dict[str, Any]]:
    """Precision, recall and F1 at each threshold of ``CURVE``."""
    rows = []
    for threshold in CURVE:
        counts = unit_counts(judge_all(pictures, found, rules, threshold), None).sum(axis=0)
        precision, recall, f1 = (
            None if np.isnan(value) else round(float(value), 4) for value in rates(counts)
        )
        rows.append({"threshold": threshold, "precision": precision, "recall": recall, "f1": f1})
    return rows


def _other_measures(
    labelled: LabelledSet, found: Sequence[Boxes], rules: Rules, threshold: float
) -> dict[str, Any]:
    others = {
        "box IoU 0.5": replace(rules, measure="box", iou=0.5),
        "circle IoU 0.3": replace(rules, measure="circle", iou=0.3),
        "strict": replace(rules, measure="strict"),
    }
    names = ("precision", "recall", "f1")
    figures = {}
    for label, other in others.items():
        judged = judge_all(labelled.pictures, found, other, threshold)
        total = rates(unit_counts(judged, None).sum(axis=0))
        figures[label] = {
            name: None if np.isnan(value) else round(float(value), 4)
            for name, value in zip(names, total, strict=True)
        }
    return figures


def _ap50(labelled: LabelledSet, found: Sequence[Boxes], rules: Rules) -> dict[str, float | None]:
    values = {}
    for label, least in ((f"from {rules.min_px:g} px", rules.min_px), ("all sizes", 0.0)):
        counted = judge_all(labelled.pictures, found, replace(rules, min_px=least))
        values[label] = average_precision(labelled.pictures, found, counted, 0.5)
    return values


def judge_people(
    labelled: LabelledSet, annotators: Path, rules: Rules, model: Sequence[Judged]
) -> list[dict[str, Any]]:
    """Counts and rates of each person and of the model, picture by picture and in total.

    A person's total is over the pictures that this person marked.
    """
    rows: list[dict[str, Any]] = []
    totals: dict[str, list[Judged]] = {}
    for picture, ours in zip(labelled.pictures, model, strict=True):
        by_who = {"model": ours}
        path = annotators / f"{picture.name}.csv"
        if path.is_file():
            who, boxes = _read_corners(path)
            for person in sorted(set(who)):
                own = boxes[np.array(who) == person]
                scored = np.column_stack([own, np.ones(len(own))])
                by_who[person] = judge_all([picture], [scored], rules)[0]
        for name, judged in by_who.items():
            rows.append(_person_row(name, picture.name, [judged]))
            totals.setdefault(name, []).append(judged)
    rows += [_person_row(name, "all marked", judged) for name, judged in totals.items()]
    return rows


def _person_row(who: str, picture: str, judged: Sequence[Judged]) -> dict[str, Any]:
    counts = unit_counts(judged, None).sum(axis=0)
    names = ("precision", "recall", "f1")
    row: dict[str, Any] = {"who": who, "picture": picture, "pictures": len(judged)}
    row |= dict(zip(("right", "false", "missed"), counts.astype(int).tolist(), strict=True))
    return row | {
        name: None if np.isnan(value) else round(float(value), 4)
        for name, value in zip(names, rates(counts), strict=True)
    }
