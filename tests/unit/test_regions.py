"""Regions against hand calculation and brute force, at the poles and across +-180."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from cda_db.bodies import get_body
from cda_db.errors import InputError
from queries import moc
from queries.polygons import PlanePolygon, great_circle_polygon
from queries.regions import Box, Circle, Region

MARS = get_body("mars")
GEOD = MARS.geod()


def everywhere(n: int, seed: int = 5) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points over the whole sphere, crowded at the poles and at +-180."""
    rng = np.random.default_rng(seed)
    lon = rng.uniform(-180, 180, n)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    lon[: n // 4] = np.mod(180 + rng.normal(0, 3, n // 4) + 180, 360) - 180
    lat[n // 4 : n // 3] = 90 - np.abs(rng.normal(0, 4, n // 3 - n // 4))
    lat[n // 3 : n // 2] = -90 + np.abs(rng.normal(0, 4, n // 2 - n // 3))
    return lon, lat


REGIONS: dict[str, Region] = {
    "circle": Circle(MARS, 137.0, -15.0, 400.0),
    "circle_seam": Circle(MARS, 179.5, 20.0, 700.0),
    "circle_pole": Circle(MARS, 40.0, 86.0, 800.0),
    "circle_most_of_it": Circle(MARS, 40.0, 30.0, 9000.0),
    "box": Box(MARS, 130, -20, 145, 5),
    "box_seam": Box(MARS, 170, -20, -170, 5),
    "box_wide": Box(MARS, -170, -20, 170, 5),
    "box_cap": Box(MARS, -180, -90, 180, -70),
    "polygon_seam": PlanePolygon(
        MARS, shapely.Polygon([(170, 0), (190, 5), (188, 20), (172, 15)]), MARS.crs()
    ),
    "polygon_cut_at_180": PlanePolygon(
        MARS,
        shapely.MultiPolygon([shapely.box(170, 0, 180, 10), shapely.box(-180, 0, -170, 10)]),
        MARS.crs(),
    ),
    "polygon_hole": PlanePolygon(
        MARS,
        shapely.Point(137, -15).buffer(8).difference(shapely.Point(138, -14).buffer(3)),
        MARS.crs(),
    ),
    "polygon_north": PlanePolygon(
        MARS, shapely.Point(2e5, 3e5).buffer(1.5e6), MARS.crs("north_polar")
    ),
    "polygon_south_ring": PlanePolygon(
        MARS,
        shapely.Point(0, 0).buffer(1.5e6).difference(shapely.Point(0, 0).buffer(5e5)),
        MARS.crs("south_polar"),
    ),
    "great_circle_pole": great_circle_polygon(MARS, [0, 90, 180, 270], [75, 80, 70, 78]),
}


@pytest.mark.parametrize("name", REGIONS)
def test_area_equals_share_of_random_points(name: str) -> None:
    region = REGIONS[name]
    n = 400_000
    rng = np.random.default_rng(8)
    inside = region.contains(
        rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    )
    share = region.area_km2 / MARS.area_km2
    assert inside.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / n))


@pytest.mark.parametrize("name", REGIONS)
def test_cells_have_the_region_s_area_and_are_those_with_their_centre_inside(name: str) -> None:
    region = REGIONS[name]
    order = 7
    ranges = region.ranges(order)
    every = np.arange(12 * 4**order)
    brute = region.contains(*moc.cell_centres(every, order))
    np.testing.assert_array_equal(moc.in_ranges(every, ranges), brute)
    fine = region.ranges(10)
    area = (fine[:, 1] - fine[:, 0]).sum() * moc.cell_area_km2(MARS, 10)
    assert area == pytest.approx(region.area_km2, rel=4e-3)


@pytest.mark.parametrize("name", REGIONS)
def test_drawn_polygon_and_bounds_hold_what_the_region_holds(name: str) -> None:
    region = REGIONS[name]
    lon, lat = everywhere(20_000)
    inside = region.contains(lon, lat)
    drawn = region.polygon(0.05)
    assert drawn.is_valid
    west, south, east, north = drawn.bounds
    assert west >= -180 and east <= 180 and south >= -90 and north <= 90
    assert (shapely.contains_xy(drawn, lon, lat) != inside).mean() < 2e-3
    west, south, east, north = region.bounds
    turn = np.mod(east - west, 360) if west != -180 or east != 180 else 360
    eps = 1e-3
    boxed = (np.mod(lon - west + eps, 360) <= turn + 2 * eps) & (lat >= south - eps)
    assert boxed[inside].all() and (lat[inside] <= north + eps).all()


def test_circle_equals_geodesic_distance() -> None:
    lon, lat = everywhere(20_000)
    for name in ("circle", "circle_seam", "circle_pole", "circle_most_of_it"):
        region = REGIONS[name]
        assert isinstance(region, Circle)
        n = len(lon)
        _, _, metres = GEOD.inv(np.full(n, region.lon_deg), np.full(n, region.lat_deg), lon, lat)
        np.testing.assert_array_equal(region.contains(lon, lat), metres <= region.radius_km * 1000)


def test_great_circle_polygon_equals_side_of_each_edge() -> None:
    """A convex spherical polygon is where no edge's plane has the point on its outer side."""
    lons, lats = np.array([150.0, 200.0, 240.0, 170.0]), np.array([40.0, 30.0, 70.0, 80.0])
    region = great_circle_polygon(MARS, lons, lats)

    def unit(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = np.radians(lon), np.radians(lat)
        return np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)], axis=-1)

    corners = unit(lons, lats)
    normals = np.cross(corners, np.roll(corners, -1, axis=0))
    lon, lat = everywhere(50_000)
    side = unit(lon, lat) @ normals.T
    inside = (side > 0).all(axis=1)
    clear = np.abs(side).min(axis=1) > 1e-6  # 3 m on Mars
    np.testing.assert_array_equal(region.contains(lon, lat)[clear], inside[clear])
    assert inside.sum() > 300


def test_seam_points_are_inside() -> None:
    for name in ("circle_seam", "polygon_seam", "polygon_cut_at_180"):
        at_seam = REGIONS[name].contains([-180.0, 180.0, 179.9999, -179.9999], [8.0] * 4)
        assert at_seam.all() or name == "circle_seam"
    assert REGIONS["circle_seam"].contains([-180.0, 180.0], [20.0, 20.0]).all()
    assert REGIONS["box_seam"].contains([-180.0, 180.0, 170.0, -170.0], [0.0] * 4).all()
    assert not REGIONS["box_wide"].contains([-180.0, 180.0, 175.0], [0.0] * 3).any()


def test_areas_by_hand() -> None:
    r = MARS.radius_m / 1000
    assert Circle(MARS, 0, 90, np.pi * r / 2).area_km2 == pytest.approx(2 * np.pi * r**2)
    assert Box(MARS, 0, 0, 90, 90).area_km2 == pytest.approx(np.pi / 2 * r**2)
    octant = great_circle_polygon(MARS, [0, 90, 0], [0, 0, 90])
    assert octant.area_km2 == pytest.approx(np.pi / 2 * r**2, rel=1e-5)
    cap = PlanePolygon(MARS, shapely.box(-180, 60, 180, 90), MARS.crs())
    assert cap.area_km2 == pytest.approx(2 * np.pi * r**2 * (1 - np.sqrt(3) / 2), rel=1e-12)


def test_polygon_edges_are_straight_in_its_own_plane() -> None:
    """A chord in the polar plane, not a parallel: brute force in that plane."""
    polar = MARS.crs("north_polar")
    region = PlanePolygon(MARS, shapely.box(-1e6, -1e6, 1e6, 1e6), polar)
    lon, lat = everywhere(20_000)
    x, y = Transformer.from_crs(MARS.crs(), polar, always_xy=True).transform(lon, lat)
    np.testing.assert_array_equal(region.contains(lon, lat), (np.abs(x) < 1e6) & (np.abs(y) < 1e6))


@given(st.floats(-180, 180), st.floats(-90, 90), st.floats(1, 10_000), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_circle_cells_equal_brute_force(lon: float, lat: float, km: float, order: int) -> None:
    circle = Circle(MARS, lon, lat, km)
    every = np.arange(12 * 4**order)
    brute = circle.contains(*moc.cell_centres(every, order))
    np.testing.assert_array_equal(moc.in_ranges(every, circle.ranges(order)), brute)


def test_nonsense_regions_are_refused() -> None:
    with pytest.raises(InputError):
        Circle(MARS, 0, 91, 10)
    with pytest.raises(InputError):
        Circle(MARS, 0, 0, 11_000)
    with pytest.raises(InputError):
        Box(MARS, 0, 10, 20, 5)
    with pytest.raises(InputError):
        Box(MARS, 10, 0, 10, 5)
    with pytest.raises(InputError, match="pole"):  # a ring around the pole, flat in lon/lat
        PlanePolygon(MARS, shapely.Polygon([(0, 80), (90, 80), (180, 80), (270, 80)]), MARS.crs())
    with pytest.raises(InputError, match="degrees"):
        PlanePolygon(MARS, shapely.box(0, 0, 1e5, 1e5), MARS.crs())
    with pytest.raises(InputError, match="outside the map"):
        beyond = shapely.box(1.0e7, 0, 1.2e7, 1e6)
        PlanePolygon(MARS, beyond, CRS.from_authority("IAU_2015", 49910))
