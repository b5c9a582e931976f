"""Buffered counts: areas by hand, brute force on the sphere, a planted surface."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from shapely import LineString, Point, Polygon

from cda_db.bodies import get_body
from cda_db.errors import InputError
from queries.ages.buffered import buffered_exposure, make_feature, touches
from queries.ages.poisson import poisson_age
from queries.ages.systems import get_system

MARS = get_body("mars")
SYSTEM = get_system("mars-neukum-ivanov-2001")
DEGREE_KM = np.pi * MARS.radius_m / 180_000
EQUATOR = LineString([(178, 0), (182, 0)])  # 4 degrees, across +-180
LENGTH_KM = 4 * DEGREE_KM


def test_area_of_a_line_by_hand() -> None:
    exposure = buffered_exposure(make_feature(EQUATOR, MARS), (1, 10))
    d = np.sqrt(exposure.edges_km[:-1] * exposure.edges_km[1:])
    # A strip of half width D / 2 with round ends.
    assert exposure.areas_km2 == pytest.approx(LENGTH_KM * d + np.pi * d**2 / 4, rel=1e-3)


def test_area_of_a_disc_by_hand() -> None:
    # Far north, where a degree of longitude is a sixth of one of latitude.
    lon, lat = MARS.geod().fwd(*(np.full(180, x) for x in (30.0, 80.0)), np.arange(0, 360, 2.0),
                               np.full(180, 50_000.0))[:2]  # fmt: skip
    feature = make_feature(Polygon(np.stack([lon, lat], axis=1)), MARS)
    exposure = buffered_exposure(feature, (9.9, 10.1), reach=1.0)
    assert exposure.areas_km2 == pytest.approx(np.pi * 60**2, rel=2e-3)


def test_touching_equals_great_circle_distance() -> None:
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(177, 183, 3000), rng.uniform(-1, 1, 3000)
    d = rng.uniform(1, 60, 3000)
    along = np.clip(lon, 178, 182)  # nearest point of the equator's piece
    across = np.cos(np.radians(lat)) * np.cos(np.radians(lon - along))
    distance = np.degrees(np.arccos(np.clip(across, -1, 1))) * DEGREE_KM
    near = touches(make_feature(EQUATOR, MARS), lon, lat, d)
    clear = np.abs(distance - d / 2) > 1e-3 * distance  # the plane's own error
    assert np.array_equal(near[clear], (distance <= d / 2)[clear])
    assert clear.sum() > 2900 and 0.1 < near.mean() < 0.9


def test_buffered_age_of_a_planted_surface() -> None:
    # A 3.5 Ga surface around the line; each crater that touches it counts.
    rng = np.random.default_rng(2)
    west, east, half_km, span = 177.0, 183.0, 6.0, (0.2, 8.0)
    area = (east - west) * DEGREE_KM * 2 * half_km
    n1 = float(SYSTEM.chronology.density(3.5))
    grid = np.geomspace(*span, 4001)
    expected = area * n1 * SYSTEM.production.between(grid, np.full(4001, span[1]))
    n = rng.poisson(expected[0])
    d = np.interp(-rng.uniform(0, expected[0], n), -expected, grid)
    lon, lat = rng.uniform(west, east, n), rng.uniform(-1, 1, n) * half_km / DEGREE_KM
    feature = make_feature(EQUATOR, MARS)
    counted = d[touches(feature, lon, lat, d)]
    age = poisson_age(counted, buffered_exposure(feature, span), SYSTEM, span)
    assert age.n > 60
    sigma = 1 / np.sqrt(age.n)
    assert age.n1_per_km2.value == pytest.approx(n1, rel=3 * sigma)
    # As if all sizes had been searched on the ground of the smallest: too dense, too old.
    narrow = buffered_exposure(feature, (0.2, 0.202)).areas_km2[0]
    assert poisson_age(counted, float(narrow), SYSTEM, span).n1_per_km2.value > 1.3 * n1


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        (Point(1, 1), "Point"),
        (LineString(), "LineString"),
        (LineString([(0, 0), (30, 0)]), "Split"),
    ],
)
def test_unusable_features_are_refused(geometry, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_feature(geometry, MARS)


def test_sample_ejecta_count(sample_data) -> None:
    # CraterTools' own count: 48 craters that it clipped for this ejecta blanket, all reach it.
    folder = sample_data("csfd_craterstats/sample")
    area, craters = (
        gpd.read_file(folder / f"ejecta01_{kind}.shp").to_crs(MARS.crs())
        for kind in ("AREA", "CRATER")
    )
    feature = make_feature(area.geometry.iloc[0], MARS)
    d = craters["Diam_km"].to_numpy()
    near = touches(feature, craters["x_coord"], craters["y_coord"], d)
    assert near.sum() == 48
    age = poisson_age(d, buffered_exposure(feature, (0.17, 1)), SYSTEM, (0.17, 1))
    plain = poisson_age(d, feature.plane.area / 1e6, SYSTEM, (0.17, 1))
    assert age.n == plain.n and age.age_ga.value < plain.age_ga.value
