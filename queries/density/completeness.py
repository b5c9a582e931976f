"""What is known of a detector by size of crater: recall, precision, diameter bias.

The curve is the table by size of an evaluation against independent labels (``cda model
evaluate``): in pixels, because a detector knows pixels, or in metres, where a run was evaluated.
``queries.density.correction`` turns it into corrected densities.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cda_db.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SizeCurve:
    """An evaluation by size of crater, each array (k,).

    Attributes:
        low, high: edges of the size bins, pixels (or metres, of an evaluated run).
        labels, found: independent craters of that size, and how many of them were found.
        detections, right: detections of that size, and how many of them are craters.
        bias: median of detected over true diameter, less 1; NaN where it is unknown.
    """

    low: Floats
    high: Floats
    labels: Floats
    found: Floats
    detections: Floats
    right: Floats
    bias: Floats

    @property
    def largest(self) -> float:
        """Size up to which there are labels; 0 without any."""
        return float(self.high[self.labels > 0].max(initial=0.0))

    def pooled(self, low: float, high: float) -> dict[str, float]:
        """labels, found, detections, right and the bias of the bins that meet a range of sizes."""
        chosen = (self.low < high * (1 - 1e-6)) & (self.high > low * (1 + 1e-6))
        sums = {
            name: float(getattr(self, name)[chosen].sum())
            for name in ("labels", "found", "detections", "right")
        }
        known = chosen & np.isfinite(self.bias) & (self.found > 0)
        weight = self.found[known]
        sums["bias"] = float(np.average(self.bias[known], weights=weight)) if known.any() else 0.0
        return sums


def read_curve(path: Path) -> SizeCurve:
    """The curve of an evaluation's JSON (key ``by_size``, at any depth).

    Raises:
        InputError: unreadable, or without such a table.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", "Give an evaluation's JSON.") from error
    rows = _find(data, "by_size")
    if not rows:
        raise InputError(f"{path.name} holds no table by_size.", "Make it: cda model evaluate.")
    try:
        return curve_of_rows(rows)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path.name}: by_size lacks {error}.", "Make it again.") from error


def curve_of_rows(rows: list[dict[str, Any]]) -> SizeCurve:
    """The curve of rows with from_px, to_px, labels, recall, detections, precision, bias."""
    column = {
        name: np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)
        for name in (
            "from_px", "to_px", "labels", "recall", "detections", "precision", "diameter_bias",
        )
    }  # fmt: skip
    # four digits of a share are enough for the counts of up to 5,000 labels a bin
    found = np.rint(np.nan_to_num(column["recall"]) * column["labels"])
    right = np.rint(np.nan_to_num(column["precision"]) * column["detections"])
    return SizeCurve(
        column["from_px"], column["to_px"], column["labels"], found,
        column["detections"], right, column["diameter_bias"],
    )  # fmt: skip


def curve_of_bins(bins: pd.DataFrame) -> SizeCurve:
    """The curve of an evaluation in the database (``cda_db.evaluations.evaluation_bins``).

    Raises:
        InputError: its list of craters was not complete: precision is unknown.
    """
    column = {name: bins[name].to_numpy(np.float64) for name in bins}
    if np.isnan(column["n_detections"]).any():
        raise InputError(
            "This evaluation knows no precision: its list of craters is not complete.",
            "Correct by an evaluation against labels of every crater.",
        )
    return SizeCurve(
        column["size_from"], column["size_to"], column["n_truth"], column["n_found"],
        column["n_detections"], column["n_right"], column["diameter_ratio"] - 1,
    )  # fmt: skip


def _find(data: Any, key: str) -> Any:
    if isinstance(data, dict):
        if key in data:
            return data[key]
        data = list(data.values())
    if isinstance(data, list):
        return next((found for item in data if (found := _find(item, key))), None)
    return None
