"""Densities corrected by what is known of the detector.

True density = density of detections x precision / recall, counted between edges that are moved by
the diameter bias: +5 % in diameter is +16 % in N(>D) at slope -3. Over scenes of several pixel
scales, shares w of the imaged ground, the detections of one true density are the sum of
w recall / precision, so the factor is 1 / sum(w recall / precision).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries.density.bins import DiameterBins, bins_between
from queries.density.completeness import SizeCurve
from queries.density.healpix_map import DensityMap
from queries.density.layers import Layer
from queries.density.poisson import clopper_pearson_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Ground that is seen at one scale.

    Attributes:
        metres: ground metres a unit of the curve's sizes: a scene's pixel, or 1.
        weight: share of the imaged ground, in any unit.
        least_m, most_m: diameters that could be found there.
        factors: down-sampling factors, ascending from 1, at which the run looked.
    """

    metres: float
    weight: float = 1.0
    least_m: float = 0.0
    most_m: float = np.inf
    factors: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not self.metres > 0:
            raise InputError(f"Scale {self.metres} m a pixel.", "Give metres above 0.")

    def sizes(self, low_m: float, high_m: float, largest: float) -> tuple[float, float]:
        """A range of diameters in the curve's unit.

        A crater larger than any that was evaluated is taken as the run's next coarser level shows
        it, where it is as small as one that was: a detector knows pixels.
        """
        for factor in self.factors:
            if high_m / (self.metres * factor) <= largest * (1 + 1e-6):
                return low_m / (self.metres * factor), high_m / (self.metres * factor)
        return low_m / self.metres, high_m / self.metres


@dataclass(frozen=True)
class Correction:
    """A detector's curve by size, and the scales at which the run saw its ground.

    Attributes:
        origin: where the curve comes from, for people.
    """

    curve: SizeCurve
    scales: tuple[Scale, ...]
    origin: str = ""


@dataclass(frozen=True)
class Shares:
    """Recall, precision and recall / precision ("yield") of each bin, each array (b,).

    Bounds of the yield take the worst of both exact binomial bounds. NaN where a size that was
    looked for was never evaluated.
    """

    recall: Floats
    precision: Floats
    yielded: Floats
    yielded_low: Floats
    yielded_high: Floats
    bias: Floats


def shares_of(bins: DiameterBins, correction: Correction, confidence: float) -> Shares:
    """What the curve says of bins of true diameters."""
    rows = [
        _one_bin(float(low) * 1000, float(high) * 1000, correction, confidence)
        for low, high in zip(bins.low_km, bins.high_km, strict=True)
    ]
    return Shares(*np.array(rows, dtype=np.float64).reshape(-1, 6).T)


def _one_bin(
    low_m: float, high_m: float, correction: Correction, confidence: float
) -> tuple[float, ...]:
    """The fields of ``Shares`` for one bin."""
    scales = [
        scale
        for scale in correction.scales
        if scale.least_m <= low_m * (1 + 1e-6) and scale.most_m >= high_m * (1 - 1e-6)
    ]
    if not scales:
        return (np.nan,) * 5 + (0.0,)
    curve = correction.curve
    pooled = [curve.pooled(*scale.sizes(low_m, high_m, curve.largest)) for scale in scales]
    labels, found, detections, right, bias = (
        np.array([row[name] for row in pooled])
        for name in ("labels", "found", "detections", "right", "bias")
    )
    weight = np.array([scale.weight for scale in scales])
    weight = weight / weight.sum()
    if not ((found > 0) & (right > 0)).all():
        recall = float(weight @ (found / labels)) if (labels > 0).all() else np.nan
        return recall, np.nan, np.nan, np.nan, np.nan, float(weight @ bias)
    recall, precision = found / labels, right / detections
    recall_low, recall_high = clopper_pearson_interval(found, labels, confidence)
    right_low, right_high = clopper_pearson_interval(right, detections, confidence)
    yielded = float(weight @ (recall / precision))
    mean_recall = float(weight @ recall)
    return (
        mean_recall,
        mean_recall / yielded,
        yielded,
        float(weight @ (recall_low / right_high)),
        float(weight @ (recall_high / right_low)),
        float(weight @ bias),
    )


def calibrated_bins(bins: DiameterBins, correction: Correction) -> DiameterBins:
    """Bins of detected diameters that hold the true diameters of ``bins``."""
    factor = 1 + shares_of(bins, correction, 0.95).bias
    return bins_between(bins.low_km * factor, bins.high_km * factor)


def corrected_layers(
    calibrated: DensityMap, bins: DiameterBins, correction: Correction
) -> list[Layer]:
    """Completeness, precision and the density corrected by both and by the diameter bias.

    Args:
        calibrated: the map counted in ``calibrated_bins``.
        bins: the bins of true diameters.
        correction: the curve, and the scales at which the run saw its ground.

    Returns:
        layers recall, precision (one number a bin), corrected, corrected_lower and
        corrected_upper. The bounds take the worst of both: the count's Poisson bound and the
        exact binomial bounds of recall and precision. A bin without labels is NaN.
    """
    shares = shares_of(bins, correction, calibrated.confidence)
    density, lower, upper = calibrated.interval()
    everywhere = np.where(calibrated.area_km2 > 0, 1.0, np.nan)
    return [
        Layer("recall", "1", "share of craters that are found",
              shares.recall[:, None] * everywhere),
        Layer("precision", "1", "share of detections that are craters",
              shares.precision[:, None] * everywhere),
        Layer("corrected", "km-2", "density x precision / recall, diameters calibrated",
              density / shares.yielded[:, None]),
        Layer("corrected_lower", "km-2", "its lower bound", lower / shares.yielded_high[:, None]),
        Layer("corrected_upper", "km-2", "its upper bound", upper / shares.yielded_low[:, None]),
    ]  # fmt: skip
