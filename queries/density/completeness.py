"""Densities corrected by what is known of the detector: recall, precision, diameter bias by size.

The curve is the table by size of an evaluation against independent labels (``cda model
evaluate``): in pixels, because a detector knows pixels; the scale in metres turns it into
diameters. True density = density of detections x precision / recall, counted between edges that
are moved by the bias: a bias of +5 % in diameter is +16 % in N(>D) at slope -3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries.density.bins import DiameterBins, bins_between
from queries.density.healpix_map import DensityMap
from queries.density.layers import Layer
from queries.density.poisson import clopper_pearson_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SizeCurve:
    """An evaluation by size of crater, each array (k,).

    Attributes:
        low_px, high_px: edges of the size bins, pixels.
        labels, found: independent craters of that size, and how many of them were found.
        detections, right: detections of that size, and how many of them are craters.
        bias: median of detected over true diameter, less 1; NaN where it is unknown.
    """

    low_px: Floats
    high_px: Floats
    labels: Floats
    found: Floats
    detections: Floats
    right: Floats
    bias: Floats

    def pooled(self, low_px: float, high_px: float) -> dict[str, float]:
        """labels, found, detections, right and the bias of the bins that meet a range of sizes."""
        chosen = (self.low_px < high_px * (1 - 1e-6)) & (self.high_px > low_px * (1 + 1e-6))
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
    found = np.rint(np.nan_to_num(column["recall"]) * column["labels"])
    right = np.rint(np.nan_to_num(column["precision"]) * column["detections"])
    return SizeCurve(
        column["from_px"], column["to_px"], column["labels"], found,
        column["detections"], right, column["diameter_bias"],
    )  # fmt: skip


def _find(data: Any, key: str) -> Any:
    if isinstance(data, dict):
        if key in data:
            return data[key]
        data = list(data.values())
    if isinstance(data, list):
        return next((found for item in data if (found := _find(item, key))), None)
    return None


def calibrated_bins(bins: DiameterBins, curve: SizeCurve, metres_a_pixel: float) -> DiameterBins:
    """Bins of detected diameters that hold the true diameters of ``bins``."""
    factor = np.array([1 + row["bias"] for row in _rows(bins, curve, metres_a_pixel)])
    return bins_between(bins.low_km * factor, bins.high_km * factor)


def corrected_layers(
    calibrated: DensityMap, bins: DiameterBins, curve: SizeCurve, metres_a_pixel: float
) -> list[Layer]:
    """Completeness, precision and the density corrected by both and by the diameter bias.

    Args:
        calibrated: the map counted in ``calibrated_bins``.
        bins: the bins of true diameters.
        metres_a_pixel: ground size of the pixel in which the curve counts, as the run saw it.

    Returns:
        layers recall, precision (one number a bin), corrected, corrected_lower and
        corrected_upper. The bounds take the worst of both: the count's Poisson bound and the
        exact binomial bounds of recall and precision. A bin without labels is NaN.
    """
    rows = _rows(bins, curve, metres_a_pixel)
    columns = ("found", "labels", "right", "detections")
    found, labels, right, detections = (np.array([row[name] for row in rows]) for name in columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, precision = found / labels, right / detections
    recall_low, recall_high = clopper_pearson_interval(found, labels, calibrated.confidence)
    right_low, right_high = clopper_pearson_interval(right, detections, calibrated.confidence)
    density, lower, upper = calibrated.interval()
    known = (found > 0) & (detections > 0)

    def scaled(values: Floats, over: Floats, under: Floats) -> Floats:
        factor = np.where(known, over / np.where(under > 0, under, np.nan), np.nan)
        return np.asarray(values * factor[:, None])

    everywhere = np.where(calibrated.area_km2 > 0, 1.0, np.nan)
    return [
        Layer("recall", "1", "share of craters that are found", recall[:, None] * everywhere),
        Layer("precision", "1", "share of detections that are craters",
              precision[:, None] * everywhere),
        Layer("corrected", "km-2", "density x precision / recall, diameters calibrated",
              scaled(density, precision, recall)),
        Layer("corrected_lower", "km-2", "its lower bound", scaled(lower, right_low, recall_high)),
        Layer("corrected_upper", "km-2", "its upper bound", scaled(upper, right_high, recall_low)),
    ]  # fmt: skip


def _rows(bins: DiameterBins, curve: SizeCurve, metres_a_pixel: float) -> list[dict[str, float]]:
    if not metres_a_pixel > 0:
        raise InputError(f"Scale {metres_a_pixel} m a pixel.", "Give metres above 0.")
    scale = 1000 / metres_a_pixel
    return [
        curve.pooled(float(low) * scale, float(high) * scale)
        for low, high in zip(bins.low_km, bins.high_km, strict=True)
    ]
