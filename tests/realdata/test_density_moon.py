"""Densities of a real global catalogue: Head et al. (2010), craters of 20 km and more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cda_db.bodies import get_body
from queries.density.bins import user_bins
from queries.density.healpix_map import ArraySource, density_map
from queries.density.smoothing import smooth
from queries.region_files import feature_region, read_gazetteer
from queries.regions import Circle

MOON = get_body("moon")


@pytest.fixture(scope="module")
def head(sample_data: Callable[[str], Path]) -> ArraySource:
    """The catalogue, the whole Moon imaged."""
    rows = pd.read_csv(sample_data("catalogues/moon_head_2010_ge20km.csv"))
    everywhere = (0, np.array([[0, 12]], dtype=np.int64))
    lon, lat = rows["lon_east_deg"].to_numpy(), rows["lat_deg"].to_numpy()
    return ArraySource(MOON, lon, lat, rows["diameter_km"].to_numpy() * 1000, everywhere)


def test_maria_are_younger_than_highlands(
    head: ArraySource, sample_data: Callable[[str], Path]
) -> None:
    """Head et al. 2010, fig. 1: N(20) is lowest on the maria and highest in the far highlands."""
    names = read_gazetteer(sample_data("catalogues/moon_iau_gazetteer.csv"), MOON)
    mare = feature_region(names, "Mare Imbrium", MOON, scale=0.8)
    highland = Circle(MOON, 20.0, -60.0, mare.radius_km)
    bins = user_bins([20, 3000])
    found = {}
    for name, region in (("mare", mare), ("highland", highland)):
        density = density_map(head, bins, 5, region)
        inside = region.contains(head.lon_deg, head.lat_deg) & (head.diameter_m >= 20_000)
        assert density.count.sum() == inside.sum()
        assert density.area_km2.sum() == pytest.approx(region.area_km2, rel=0.003)
        found[name] = density.count.sum() / density.area_km2.sum()
    assert found["highland"] > 5 * found["mare"]


def test_smoothing_keeps_the_mean_density(head: ArraySource) -> None:
    density = density_map(head, user_bins([20, 40]), 4)
    smoothed = smooth(density, 300)
    value, lower, upper = smoothed.interval()
    mean = density.count.sum() / MOON.area_km2
    assert value[0].mean() == pytest.approx(mean, rel=0.02)
    assert (lower <= value).all() and (value <= upper).all()
