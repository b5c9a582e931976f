"""Corrected densities by hand: recall, precision, calibrated diameters, bounds, reshaping."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cda_db.bodies import get_body
from cda_db.errors import InputError
from queries.density.bins import bins_between, user_bins
from queries.density.completeness import curve_of_bins, curve_of_rows, read_curve
from queries.density.correction import (
    Correction,
    Scale,
    calibrated_bins,
    corrected_layers,
    shares_of,
)
from queries.density.healpix_map import ArraySource, DensityMap, density_map
from queries.density.reshape import as_one_cell, on_cells, with_bins

MARS = get_body("mars")
ROWS = [
    {"from_px": 8, "to_px": 16, "labels": 100, "recall": 0.5, "detections": 60, "precision": 0.8,
     "diameter_bias": 0.1},
    {"from_px": 16, "to_px": 32, "labels": 50, "recall": 0.9, "detections": 50, "precision": 1.0,
     "diameter_bias": 0.0},
    {"from_px": 32, "to_px": 64, "labels": 0, "recall": None, "detections": 0, "precision": None,
     "diameter_bias": None},
]  # fmt: skip
CURVE = curve_of_rows(ROWS)
AT_100_M = Correction(CURVE, (Scale(100.0),))


def one_map(count: int, area_km2: float, n_bins: int = 1) -> DensityMap:
    bins = user_bins([0.8 * 2**i for i in range(n_bins + 1)])
    shape = (n_bins, 1)
    return DensityMap(
        MARS, 0, bins, np.zeros(1, np.int64), np.full(shape, count), np.zeros(shape, np.int64),
        np.full(shape, area_km2),
    )  # fmt: skip


def test_corrected_density_by_hand() -> None:
    """30 craters on 2 km2, half of the craters found, 4 of 5 detections right: 15 x 0.8 / 0.5."""
    made = one_map(30, 2.0)
    layers = {x.name: x for x in corrected_layers(made, made.bins, AT_100_M)}
    assert layers["recall"].values[0, 0] == 0.5
    assert layers["precision"].values[0, 0] == 0.8
    assert layers["corrected"].values[0, 0] == pytest.approx(24)
    low = stats.chi2.ppf(0.025, 60) / 2 / 2
    worst = stats.beta.ppf(0.025, 48, 13) / stats.beta.ppf(0.975, 51, 50)
    assert layers["corrected_lower"].values[0, 0] == pytest.approx(low * worst)
    high = stats.chi2.ppf(0.975, 62) / 2 / 2
    best = stats.beta.ppf(0.975, 49, 12) / stats.beta.ppf(0.025, 50, 51)
    assert layers["corrected_upper"].values[0, 0] == pytest.approx(high * best)


def test_bins_that_meet_several_rows_pool_their_counts() -> None:
    pooled = CURVE.pooled(8, 32)
    assert (pooled["labels"], pooled["found"]) == (150, 95)
    assert (pooled["detections"], pooled["right"]) == (110, 98)
    assert pooled["bias"] == pytest.approx(0.1 * 50 / 95)


def test_sizes_that_were_never_evaluated_stay_unknown() -> None:
    made = one_map(5, 1.0, n_bins=3)
    layers = {x.name: x for x in corrected_layers(made, made.bins, AT_100_M)}
    assert np.isnan(layers["corrected"].values[2, 0]) and np.isnan(layers["recall"].values[2, 0])
    assert np.isfinite(layers["corrected"].values[1, 0])


def test_scales_mix_by_ground_and_detections() -> None:
    """A quarter of the ground at 100 m (recall 0.9, all right), the rest at 200 m (0.5, 0.8).

    1000 true craters give 250 x 0.9 + 750 x 0.5 / 0.8 = 693.75 detections, 600 of them right.
    """
    mixed = Correction(CURVE, (Scale(100.0, weight=1.0), Scale(200.0, weight=3.0)))
    shares = shares_of(user_bins([1.6, 3.2]), mixed, 0.95)
    assert shares.yielded[0] == pytest.approx(0.69375)
    assert shares.recall[0] == pytest.approx(0.6)
    assert shares.precision[0] == pytest.approx(600 / 693.75)
    assert shares.bias[0] == pytest.approx(0.75 * 0.1)
    one = shares_of(user_bins([1.6, 3.2]), Correction(CURVE, (Scale(200.0),)), 0.95)
    other = shares_of(user_bins([1.6, 3.2]), Correction(CURVE, (Scale(100.0),)), 0.95)
    low = 0.75 * one.yielded_low[0] + 0.25 * other.yielded_low[0]
    assert shares.yielded_low[0] == pytest.approx(low) and low < 0.69375 < shares.yielded_high[0]


def test_ground_that_cannot_show_a_size_has_no_say() -> None:
    scales = (Scale(100.0, most_m=10_000), Scale(200.0, weight=9.0, least_m=2000))
    shares = shares_of(user_bins([0.8, 1.6, 3.2]), Correction(CURVE, scales), 0.95)
    assert shares.recall[0] == pytest.approx(0.5)  # 8-16 px at 100 m only
    assert shares.recall[1] == pytest.approx(0.9)  # 16-32 px: 200 m starts inside the bin
    nowhere = shares_of(user_bins([20.0, 30.0]), Correction(CURVE, scales[:1]), 0.95)
    assert np.isnan(nowhere.yielded[0]) and nowhere.bias[0] == 0


def test_large_craters_are_taken_at_the_level_that_shows_them_small() -> None:
    """100 px are more than any that was evaluated (32): at level 4 they are 25."""
    bins = user_bins([9.0, 11.0])
    seen = shares_of(bins, Correction(CURVE, (Scale(100.0, factors=(1.0, 4.0, 16.0)),)), 0.95)
    assert seen.recall[0] == pytest.approx(0.9)
    assert np.isnan(shares_of(bins, AT_100_M, 0.95).recall[0])


def test_a_stored_curve_is_the_file_s() -> None:
    stored = pd.DataFrame(
        {
            "size_from": [8.0, 16.0], "size_to": [16.0, 32.0], "n_truth": [100, 50],
            "n_found": [50, 45], "n_detections": [60, 50], "n_right": [48, 50],
            "diameter_ratio": [1.1, 1.0],
        }
    )  # fmt: skip
    curve = curve_of_bins(stored)
    for name in ("low", "high", "labels", "found", "detections", "right", "bias"):
        np.testing.assert_allclose(getattr(curve, name), getattr(CURVE, name)[:2])
    assert curve.largest == 32.0
    stored.loc[0, ["n_detections", "n_right"]] = np.nan
    with pytest.raises(InputError, match="not complete"):
        curve_of_bins(stored)


def test_calibration_recovers_a_biased_population() -> None:
    """Diameters 10 % too large put 21 % more craters of slope -2 into a bin; moved edges do not."""
    n = 200_000
    true = 800 * (1 - np.random.default_rng(2).uniform(0, 1, n)) ** -0.5
    centre = np.zeros(n)
    everywhere = (0, np.array([[0, 12]], dtype=np.int64))
    seen = ArraySource(MARS, centre, centre, true * 1.1, everywhere)
    bins = user_bins([1.0, 1.5])
    inside = ((true >= 1000) & (true < 1500)).sum()
    assert density_map(seen, bins, 0).count.sum() > 1.15 * inside
    moved = calibrated_bins(bins, AT_100_M)
    assert moved.low_km[0] == pytest.approx(1.1) and moved.high_km[0] == pytest.approx(1.65)
    assert density_map(seen, moved, 0).count.sum() == pytest.approx(inside, abs=2)


def test_curve_is_read_from_an_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"report": [{"by_size": ROWS}]}), encoding="utf-8")
    np.testing.assert_array_equal(read_curve(path).found, [50, 45, 0])
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="by_size"):
        read_curve(path)
    path.write_text('{"by_size": [{"from_px": 1}]}', encoding="utf-8")
    with pytest.raises(InputError, match="lacks"):
        read_curve(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_curve(tmp_path / "missing.json")
    with pytest.raises(InputError, match="Scale"):
        Scale(0.0)


def test_reshaping_keeps_counts() -> None:
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180, 180, 500), rng.uniform(-80, 80, 500)
    half = (0, np.array([[0, 6]], dtype=np.int64))
    made = density_map(ArraySource(MARS, lon, lat, np.full(500, 1500.0), half),
                       bins_between([1, 1.2], [2, 1.4]), 2)  # fmt: skip
    single = as_one_cell(made)
    imaged = made.area_km2[0] > 0
    assert single.count[0, 0] == made.count[0, imaged].sum() < 500
    assert single.area_km2[0, 0] == pytest.approx(MARS.area_km2 / 2)
    moved = on_cells(made, np.arange(12 * 4**2))
    assert moved.count.sum() == 500 and moved.area_km2.sum() == pytest.approx(MARS.area_km2)
    assert with_bins(made, np.array([1])).bins.names == ["1.2-1.4 km"]
