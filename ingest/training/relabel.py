"""Better labels for training pictures: a teacher's finds added, generous boxes drawn in.

Labels of training sets lack small craters, and a network that is told that a crater is background
learns it. As in self-training (Zhao, Davis & Collins), a detector that was trained on the labels as
they are searches the same pictures, and what it is sure of and no label overlaps becomes a label,
unless it is lit from another side than the labelled craters of its picture: such finds are hills.
Boxes that are known to be too large are scaled about their centres by a factor that may depend on
their size. Only training pictures change: held-out ones get the size correction and nothing more.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError
from ingest.detector import Detector, ModelFiles
from ingest.training.folders import (
    Boxes,
    LabelledImage,
    Pixels,
    find_images,
    folder_sha256,
    hold_out,
    write_yolo,
)
from ingest.training.judging import discs, sizes
from ingest.training.lighting import Light, light_of, light_of_all, lit_otherwise
from ingest.training.matching import disc_pairs
from ingest.training.scan import Scan, scan

RECORD = "relabel.json"
SizeFactors = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Relabel:
    """How labels are changed.

    Attributes:
        size_factors: (box size in px, factor) pairs, sizes ascending; between them the factor is
            interpolated in log size, beyond them it stays. Empty: boxes stay.
        score: smallest score of a find that becomes a label.
        small: (px, score): of finds smaller than that, another; they score lower, and labels lack
            them most.
        min_px: smallest find that does.
        overlap: a find whose circle's IoU with a label's is larger is that label.
        against_light: largest slope against the picture's light, in standard deviations of a find's
            pixels, that a find may have (``ingest.training.lighting``); infinity keeps hills.
        exclude: stems of pictures to leave out.
        holdout: share of pictures that training will hold out; no find is added to those.
        how: levels and tiles of the teacher's search.
    """

    size_factors: SizeFactors = ()
    score: float = 0.4
    small: tuple[float, float] | None = None
    min_px: float = 4.0
    overlap: float = 0.1
    against_light: float = 0.3
    exclude: tuple[str, ...] = ()
    holdout: float = 0.1
    how: Scan = field(default_factory=Scan)


def parse_size_factors(text: str) -> SizeFactors:
    """``8:0.75,16:0.85`` as pairs; a single number is a factor for all sizes.

    Raises:
        InputError: not of that form, sizes not ascending, or a value that is not positive.
    """
    if not text:
        return ()
    parts = [part.split(":") for part in (text if ":" in text else f"1:{text}").split(",")]
    try:
        pairs = tuple((float(size), float(factor)) for size, factor in parts)
    except ValueError:
        pairs = ((0.0, 0.0),)
    ascending = all(a[0] < b[0] for a, b in pairwise(pairs))
    if not ascending or not all(size > 0 and factor > 0 for size, factor in pairs):
        raise InputError(f"Box scale {text!r}.", "Write 0.8, or PX:FACTOR,...: 8:0.75,24:1.")
    return pairs


def scale_boxes(boxes: Boxes, factors: SizeFactors) -> Boxes:
    """Boxes (n, 4) scaled about their centres by the factor of their size sqrt(w h)."""
    if not factors or not len(boxes):
        return boxes
    knots = np.array(factors, dtype=np.float64)
    factor = np.interp(np.log(sizes(boxes)), np.log(knots[:, 0]), knots[:, 1])[:, None]
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.asarray(np.hstack([centre - factor * half, centre + factor * half]))


def new_finds(labels: Boxes, found: Boxes, rule: Relabel) -> Boxes:
    """Boxes (k, 4) of finds (m, 5) that are sure, large enough, and overlap no label."""
    least = np.full(len(found), rule.score)
    if rule.small is not None:
        least[sizes(found) < rule.small[0]] = rule.small[1]
    sure = found[(found[:, 4] >= least) & (sizes(found) >= rule.min_px)]
    pairs = disc_pairs(discs(sure), discs(labels), rule.overlap)
    fresh = np.ones(len(sure), dtype=bool)
    fresh[pairs.i] = False
    return np.asarray(sure[fresh, :4])


def _hills(
    pixels: Pixels, labels: Boxes, fresh: Boxes, rule: Relabel, everywhere: Light
) -> NDArray[np.bool_]:
    """Which finds are lit from the other side than the picture's labels, or than the folder's."""
    own = light_of(pixels, labels)
    light = everywhere if own is None else own
    if light is None:
        return np.zeros(len(fresh), dtype=bool)
    return lit_otherwise(pixels, fresh, light, rule.against_light)


def relabel(
    folder: Path, out: Path, rule: Relabel, teacher: ModelFiles | None, threads: int
) -> dict[str, Any]:
    """Write a YOLO folder ``out`` with the train pictures of ``folder`` and changed labels.

    Args:
        folder: YOLO folder; its other splits are not read.
        out: new folder; training names a set after its folder's name, so keep that.
        rule: how labels change.
        teacher: whose finds are added; None adds none.
        threads: of the teacher.

    Returns:
        the record that is also written to ``out``: hashes, rule and counts.

    Raises:
        InputError: ``out`` exists and is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty.", "Name a new folder, or delete that one.")
    images = find_images(folder, rule.exclude)
    held = {item.name for item in hold_out(images, rule.holdout)[1]}
    detector = _detector(teacher, rule, threads)
    for part in ("images", "labels"):
        (out / part / "train").mkdir(parents=True, exist_ok=True)
    before = added = hills = 0
    everywhere = light_of_all(images) if detector is not None else None
    for item in images:
        boxes = item.boxes()
        before += len(boxes)
        labels = scale_boxes(boxes, rule.size_factors)
        if detector is not None and item.name not in held:
            pixels = item.pixels()
            fresh = new_finds(labels, scan(detector, pixels, rule.how), rule)
            crater = ~_hills(pixels, boxes, fresh, rule, everywhere)
            added, hills = added + int(crater.sum()), hills + int((~crater).sum())
            labels = np.vstack([labels, fresh[crater]])
        _write(item, labels, out)
    record = {
        "from": folder.name,
        "from_sha256": folder_sha256(images),
        "rule": asdict(rule),
        "teacher": None if teacher is None else teacher.name,
        "teacher_weights_sha256": None if teacher is None else teacher.sha256.hex(),
        "images": len(images),
        "labels_before": before,
        "labels_added": added,
        "finds_lit_otherwise": hills,
    }
    (out / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return record


def _detector(teacher: ModelFiles | None, rule: Relabel, threads: int) -> Detector | None:
    if teacher is None:
        return None
    least = min(rule.score, rule.small[1] if rule.small is not None else rule.score)
    return Detector(teacher, threads=threads, batch=1, threshold=least, nms_iou=0.5)


def _write(item: LabelledImage, labels: Boxes, out: Path) -> None:
    height, width = item.pixels().shape
    shutil.copyfile(item.image, out / "images" / "train" / item.image.name)
    write_yolo(out / "labels" / "train" / item.label.name, labels, width, height)
