"""The threshold for elevation models is chosen on cap ground that training never shows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cda_db.bodies import get_body
from ingest.detector_files import default_model_name, find_model
from ingest.training.cap_threshold import MIN_PX, PRECISION, choose_elevation_threshold
from ingest.training.caps import CapRule
from ingest.training.dataset import Caps


def test_threshold_of_elevation_models(sample_data: Callable[[str], Path]) -> None:
    """The lowest threshold that is precise enough, judged on the catalogue's craters of 0-90 E."""
    dem = sample_data("planetary_raster/global/moon_dem.tif")
    catalogue = sample_data("catalogues/moon_head_2010_ge20km.csv")
    moon = get_body("moon")
    chosen, record = choose_elevation_threshold(
        find_model(default_model_name()), Caps(dem, catalogue, moon), CapRule(), 1
    )
    rows = {row["threshold"]: row for row in record["curve"]}
    below = [row["precision"] for t, row in rows.items() if t < chosen]
    assert rows[chosen]["precision"] >= PRECISION and all(p < PRECISION for p in below)
    assert rows[chosen]["recall"] > 0.4
    recalls = [row["recall"] for row in record["curve"]]
    assert recalls[0] > recalls[-1]

    # By the catalogue alone: 1024 columns round the equator, up-sampled four times; a polar map is
    # larger than the ground by 2 / (1 + sin |lat|).
    km_a_pixel = 2 * np.pi * moon.radius_m / 1000 / 1024 / 4
    with catalogue.open(newline="") as file:
        listed = sum(
            0 <= float(row["lon_east_deg"]) < 90
            and abs(float(row["lat_deg"])) > 64
            and float(row["diameter_km"]) * 2 / (1 + np.sin(np.radians(abs(float(row["lat_deg"])))))
            >= MIN_PX * km_a_pixel
            for row in csv.DictReader(file)
        )
    assert abs(record["listed"] - listed) <= 2  # centres within a pixel of a border
