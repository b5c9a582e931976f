"""Figures of judged pictures: precision, recall, F1 with intervals, by size, diameters, AP.

Intervals are percentile bootstraps over pictures, or over square blocks where pictures are few:
craters of one picture share its light and ground and are not independent.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.training.judging import Judged, Picture, sizes
from ingest.training.matching import Pairs, box_pairs

Floats = NDArray[np.float64]
Counts = NDArray[np.float64]
FEW_PICTURES = 20


def rates(counts: Counts) -> Floats:
    """Precision, recall and F1 of counts (..., 3) of right, false and missed; NaN without any."""
    right, false, missed = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = (
            right / (right + false),
            right / (right + missed),
            2 * right / (2 * right + false + missed),
        )
    return np.stack(parts, axis=-1)


def unit_counts(judged: Sequence[Judged], block_px: int | None) -> Counts:
    """Right, false and missed of each picture (or each square block of it), shape (units, 3)."""
    units = []
    for one in judged:
        side = block_px or max(one.picture.width, one.picture.height)
        columns, rows = -(-one.picture.width // side), -(-one.picture.height // side)
        counts = np.zeros((rows * columns, 3))
        marks = (one.found[one.right], one.found[one.false], one.picture.boxes[one.missed])
        for k, boxes in enumerate(marks):
            centre = (boxes[:, :2] + boxes[:, 2:4]) / 2 / side
            column = np.clip(centre[:, 0].astype(int), 0, columns - 1)
            row = np.clip(centre[:, 1].astype(int), 0, rows - 1)
            counts[:, k] = np.bincount(row * columns + column, minlength=rows * columns)
        units.append(counts)
    return np.concatenate(units)


def summary(judged: Sequence[Judged], seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """Counts, precision, recall, F1 and their 95 % intervals.

    Units of the bootstrap are pictures, or blocks of 500 px where there are fewer than 20 pictures.
    """
    block = 500 if len(judged) < FEW_PICTURES else None
    units = unit_counts(judged, block)
    return summary_of_units(units, "blocks of 500 px" if block else "pictures", seed, draws)


def summary_of_units(
    units: Counts, unit_name: str, seed: int = 0, draws: int = 1000
) -> dict[str, Any]:
    """``summary`` of right, false and missed counted by unit, shape (units, 3)."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(units), size=(draws, len(units)))
    with warnings.catch_warnings():
        # a rate that no draw defines has no interval: NaN, as it should be
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(rates(units[chosen].sum(axis=1)), [2.5, 97.5], axis=0)
    total = units.sum(axis=0)
    names = ("precision", "recall", "f1")
    figures: dict[str, Any] = dict(
        zip(("right", "false", "missed"), total.astype(int).tolist(), strict=True)
    )
    for k, name in enumerate(names):
        figures[name] = _number(rates(total)[k])
        figures[f"{name}_95"] = [_number(low[k]), _number(high[k])]
    figures["bootstrap_units"] = f"{len(units)} {unit_name}"
    return figures


def by_size(judged: Sequence[Judged], factor: float) -> list[dict[str, Any]]:
    """Recall, precision and diameters in root-2 bins of pixels; judge with ``min_px=0`` first.

    Recall and diameter figures are binned by the label's size, precision by the detection's
    diameter, which is ``factor`` sqrt(w h): bias is the median of its ratio to the label's, less
    1; scatter the median absolute deviation of the ratio.
    """
    label = np.concatenate([sizes(one.picture.boxes)[one.label_counts] for one in judged])
    hit = np.concatenate([one.matched[one.label_counts] for one in judged])
    seen = np.concatenate([factor * sizes(one.found)[one.right | one.false] for one in judged])
    right = np.concatenate([one.right[one.right | one.false] for one in judged])
    edges = 2.0 ** (np.arange(3, 20) / 2)
    return size_rows("px", edges, (label, hit), (seen, right), _ratios(judged, factor))


def size_rows(
    unit: str,
    edges: Floats,
    truth: tuple[Floats, NDArray[np.bool_]],
    detections: tuple[Floats, NDArray[np.bool_]] | None,
    pairs: tuple[Floats, Floats],
) -> list[dict[str, Any]]:
    """Recall, precision and diameters in bins of size; empty bins are left out.

    Args:
        unit: of the edges, ``px`` or ``m``.
        edges: ascending.
        truth: sizes of the independent craters, and which of them were found.
        detections: sizes of what was found, and which of it is right; None where the list of
            independent craters is not complete.
        pairs: true size, and detected over true size.
    """
    rows = []
    for low, high in pairwise(edges):
        inside = (truth[0] >= low) & (truth[0] < high)
        spread = pairs[1][(pairs[0] >= low) & (pairs[0] < high)]
        shown = _shown(detections, low, high)
        if not inside.any() and not shown["detections"]:
            continue
        rows.append(
            {
                f"from_{unit}": round(float(low), 2),
                f"to_{unit}": round(float(high), 2),
                "labels": int(inside.sum()),
                "found": int(truth[1][inside].sum()),
                "recall": _mean(truth[1][inside]),
                **shown,
                "diameter_bias": _number(np.median(spread) - 1) if len(spread) else None,
                "diameter_scatter": _scatter(spread),
            }
        )
    return rows


def _shown(
    detections: tuple[Floats, NDArray[np.bool_]] | None, low: float, high: float
) -> dict[str, Any]:
    if detections is None:
        return {"detections": None, "right": None, "precision": None}
    right = detections[1][(detections[0] >= low) & (detections[0] < high)]
    return {"detections": len(right), "right": int(right.sum()), "precision": _mean(right)}


def _ratios(judged: Sequence[Judged], factor: float) -> tuple[Floats, Floats]:
    """Label diameter and detected/label diameter of every right pair."""
    true, ratio = [np.empty(0)], [np.empty(0)]
    for one in judged:
        pairs = np.flatnonzero(one.right)
        size = sizes(one.picture.boxes)[one.partner[pairs]]
        true.append(size)
        ratio.append(factor * sizes(one.found)[pairs] / size)
    return np.concatenate(true), np.concatenate(ratio)


def diameters(judged: Sequence[Judged], factor: float) -> dict[str, Any]:
    """Bias and scatter (MAD) of the diameters of all right pairs."""
    _, ratio = _ratios(judged, factor)
    return {
        "pairs": len(ratio),
        "bias": _number(np.median(ratio) - 1) if len(ratio) else None,
        "scatter": _scatter(ratio),
    }


def average_precision(
    pictures: Sequence[Picture], found: Sequence[Floats], counted: Sequence[Judged], iou: float
) -> float | None:
    """Area under the precision envelope along recall (AP50 at ``iou`` 0.5), ignoring alike.

    As in PASCAL VOC since 2010: detections in order of score take the best free label each.

    Args:
        pictures, found: labels and detections (m, 5) with scores down to near 0.
        counted: the same judged at threshold 0, for what is ignored.
        iou: least box IoU of a match.
    """
    scores, rights = [np.empty(0)], [np.empty(0, dtype=bool)]
    labels = 0
    for picture, rows, one in zip(pictures, found, counted, strict=True):
        pairs = box_pairs(picture.boxes, rows, iou)
        charged, right = charged_by_score(pairs, rows[:, 4], one.label_counts, one.found_counts)
        scores.append(rows[charged, 4])
        rights.append(right)
        labels += int(one.label_counts.sum())
    return area_under_curve(np.concatenate(scores), np.concatenate(rights), labels)


def area_under_curve(scores: Floats, right: NDArray[np.bool_], labels: int) -> float | None:
    """Area under the precision envelope of detections with scores; None without a label."""
    if not labels:
        return None
    right = right[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return round(float(envelope[right].sum() / labels), 4)


def charged_by_score(
    pairs: Pairs,
    scores: Floats,
    label_counts: NDArray[np.bool_],
    found_counts: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which detections (m,) are charged, best score first, and which of the charged are right.

    What takes a label that is ignored is neither right nor false.
    """
    taken = _take_by_score(pairs, scores, len(label_counts))
    ignored_hit = taken >= 0
    ignored_hit[ignored_hit] = ~label_counts[taken[ignored_hit]]
    charged = ((taken >= 0) | found_counts) & ~ignored_hit
    return charged, taken[charged] >= 0


def _take_by_score(pairs: Pairs, scores: Floats, n_labels: int) -> NDArray[np.intp]:
    """Label taken by each detection, best score first, -1 for none."""
    order = np.lexsort((pairs.i, -pairs.overlap, pairs.j, -scores[pairs.j]))
    taken = np.full(len(scores), -1, dtype=np.intp)
    free = np.ones(n_labels, dtype=bool)
    for k in order:
        label, row = pairs.i[k], pairs.j[k]
        if taken[row] < 0 and free[label]:
            taken[row], free[label] = label, False
    return taken


def _scatter(ratio: Floats) -> float | None:
    return _number(np.median(np.abs(ratio - np.median(ratio)))) if len(ratio) else None


def _mean(flags: NDArray[np.bool_]) -> float | None:
    return _number(flags.mean()) if len(flags) else None


def _number(value: float | np.floating[Any]) -> float | None:
    """Four digits; None for what is undefined, since JSON has no NaN."""
    return round(float(value), 4) if np.isfinite(value) else None
