"""The thresholds of a model, chosen on held-out and validation pictures; never on test pictures.

An instrument with pictures among them gets a threshold of its own: the best mean F1, or, where
recall is wanted at a precision, the lowest threshold that is so precise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ingest.detector_files import ModelFiles
from ingest.training.evaluate import LabelledSet, curve, read_labelled, search, to_picture
from ingest.training.figures import summary
from ingest.training.folders import LabelledImage, folder_sha256
from ingest.training.judging import Boxes, Rules, judge_all
from ingest.training.scan import Scan

Curve = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class LabelFolder:
    """Images and labels that belong together."""

    images: Path
    labels: Path

    @property
    def folder(self) -> str:
        """Name of the YOLO folder that holds the labels."""
        return self.labels.parent.parent.name


@dataclass(frozen=True)
class ThresholdSet:
    """Pictures that thresholds are chosen on.

    Attributes:
        name: as the card gives it.
        labelled: pictures and labels.
        instrument: whose pictures they are, where that was said.
        marked: labelled for judging; training labels may miss craters, and what is found of those
            would count as false.
    """

    name: str
    labelled: LabelledSet
    instrument: str | None
    marked: bool


def threshold_sets(
    held_out: Mapping[str, Sequence[LabelledImage]],
    validation: Sequence[LabelFolder],
    instruments: Mapping[str, str],
) -> list[ThresholdSet]:
    """One set for each held-out part of a training folder and each validation folder.

    So a folder of many pictures does not outvote the others.

    Args:
        held_out: training folder's name to the pictures held out of it.
        validation: further pictures.
        instruments: folder's name to the instrument of its pictures.
    """
    sets = [
        ThresholdSet(f"{name}, held out", _labelled(held), instruments.get(name), marked=False)
        for name, held in held_out.items()
        if held
    ]
    for extra in validation:
        labelled = read_labelled(extra.images, extra.labels)
        name = f"{extra.folder}/{extra.labels.name}"
        sets.append(ThresholdSet(name, labelled, instruments.get(extra.folder), marked=True))
    return sets


def _labelled(items: Sequence[LabelledImage]) -> LabelledSet:
    return LabelledSet(tuple(items), tuple(to_picture(item) for item in items))


def choose_thresholds(
    model: ModelFiles,
    sets: Sequence[ThresholdSet],
    least_precision: Mapping[str, float],
    how: Scan,
    threads: int,
) -> tuple[float, dict[str, float], dict[str, Any]]:
    """The threshold of the best mean F1 (>= 10 px, box IoU 0.3) of all sets, and instruments' own.

    An instrument's is chosen on its marked sets alone, or on all of its sets where none is marked.

    Args:
        model: what is searched with.
        sets: pictures.
        least_precision: instruments whose threshold is the lowest with such a mean precision
            (where none has it, the most precise one) instead of that of the best mean F1.
        how: levels and tiles.
        threads: of the search.

    Returns:
        the threshold of all sets together, those of instruments, and what is known of each set at
        the threshold that it is searched at.
    """
    rules = Rules()
    found = {one.name: search(model, one.labelled, how, threads) for one in sets}
    curves = {one.name: curve(one.labelled.pictures, found[one.name], rules) for one in sets}
    threshold = best_mean_f1(list(curves.values()))
    own: dict[str, float] = {}
    for instrument in sorted({one.instrument for one in sets if one.instrument}):
        its = [one for one in sets if one.instrument == instrument]
        judged = [curves[one.name] for one in its if one.marked] or [curves[s.name] for s in its]
        if instrument in least_precision:
            own[instrument] = lowest_precise(judged, least_precision[instrument])
        else:
            own[instrument] = best_mean_f1(judged)
    report = {}
    for one in sets:
        at = own.get(one.instrument or "", threshold)
        report[one.name] = {"threshold": at} | _figures(one.labelled, found[one.name], rules, at)
        report[one.name]["curve"] = curves[one.name]
    return threshold, own, report


def best_mean_f1(curves: Sequence[Curve]) -> float:
    """The threshold whose mean F1 over the curves is best."""
    return float(curves[0][int(np.argmax(_mean(curves, "f1")))]["threshold"])


def lowest_precise(curves: Sequence[Curve], precision: float) -> float:
    """The lowest threshold of such a mean precision over the curves, or the most precise one."""
    mean = _mean(curves, "precision")
    good = np.flatnonzero(mean >= precision)
    return float(curves[0][int(good[0]) if len(good) else int(np.argmax(mean))]["threshold"])


def _mean(curves: Sequence[Curve], name: str) -> Any:
    # where nothing is found there is no precision: such a threshold is never the better one
    return np.array([[row[name] or 0.0 for row in rows] for rows in curves]).mean(axis=0)


def _figures(
    part: LabelledSet, found: Sequence[Boxes], rules: Rules, threshold: float
) -> dict[str, Any]:
    any_size = replace(rules, min_px=0.0)
    return {
        "sha256": folder_sha256(part.files),
        "from_10_px": summary(judge_all(part.pictures, found, rules, threshold)),
        "all_sizes": summary(judge_all(part.pictures, found, any_size, threshold)),
    }
