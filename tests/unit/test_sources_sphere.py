"""Geometry on the sphere against pyproj and against hand values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pyproj import Geod
from shapely.geometry import Point

from queries.sphere import (
    bearing_deg,
    cap_area_sr,
    destination,
    great_circle_pole,
    lonlat,
    ring_geometry,
    separation_deg,
    solid_angle,
    unit_vectors,
    wrap_lon,
)

SPHERE = Geod(a=1.0, b=1.0)
LON = st.floats(-180.0, 179.99)
LAT = st.floats(-89.9, 89.9)


@given(LON, LAT, LON, LAT)
def test_distance_and_bearing_equal_proj(
    lon1: float, lat1: float, lon2: float, lat2: float
) -> None:
    forward, _, metres = SPHERE.inv(lon1, lat1, lon2, lat2)
    arc = np.degrees(metres)
    assert_allclose(separation_deg(lon1, lat1, lon2, lat2), arc, atol=1e-9)
    if 1e-3 < arc < 179.9:
        turn = (float(bearing_deg(lon1, lat1, lon2, lat2)) - forward + 180.0) % 360.0 - 180.0
        assert abs(turn) < 1e-6


@given(LON, LAT, st.floats(0.0, 360.0), st.floats(0.0, 179.0))
def test_destination_equals_proj(lon: float, lat: float, bearing: float, arc: float) -> None:
    x, y, _ = SPHERE.fwd(lon, lat, bearing, np.radians(arc))
    assert float(separation_deg(*destination(lon, lat, bearing, arc), x, y)) < 1e-7


def test_longitudes_are_wrapped_into_the_stored_range() -> None:
    assert_allclose(wrap_lon([-180.0, 180.0, 190.0, -181.0, 359.0]), [-180, -180, -170, 179, -1])
    assert wrap_lon(-180.0 - 1e-14) < 180.0


def test_an_octant_has_an_eighth_of_the_sphere() -> None:
    x, y, z = np.eye(3)
    assert_allclose(solid_angle(x, y, z), np.pi / 2.0)
    assert_allclose(solid_angle(x, z, y), -np.pi / 2.0)


def test_tiny_triangles_keep_their_area() -> None:
    """A triangle of 1e-5 rad is flat to 1e-10: half of base times height."""
    corners = unit_vectors([10.0, 10.0 + np.degrees(1e-5), 10.0], [0.0, 0.0, np.degrees(1e-5)])
    assert_allclose(solid_angle(*corners), 0.5e-10, rtol=1e-6)


def test_cap_of_a_hemisphere() -> None:
    assert_allclose(cap_area_sr(90.0), 2.0 * np.pi)
    assert_allclose(cap_area_sr(180.0), 4.0 * np.pi)


@given(LON, LAT, st.floats(0.0, 360.0), st.floats(0.0, 360.0))
def test_a_great_circle_holds_every_point_along_its_bearing(
    lon: float, lat: float, bearing: float, arc: float
) -> None:
    pole = great_circle_pole(lon, lat, bearing)
    on = unit_vectors(*destination(lon, lat, bearing, arc))
    assert abs(float(pole @ on)) < 1e-9


def test_poles_have_any_longitude() -> None:
    _, lat = lonlat(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -2.0]]))
    assert_allclose(lat, [90.0, -90.0])


def test_a_ring_over_the_date_line_is_cut_there() -> None:
    ring = ring_geometry([170.0, -170.0, -170.0, 170.0], [-5.0, -5.0, 5.0, 5.0])
    assert_allclose(ring.area, 200.0)
    assert ring.covers(Point(175.0, 0.0))
    assert ring.covers(Point(-175.0, 0.0))
    assert not ring.covers(Point(0.0, 0.0))


@pytest.mark.parametrize("pole", [1.0, -1.0])
def test_a_ring_around_a_pole_holds_the_pole(pole: float) -> None:
    lon = np.arange(-180.0, 180.0, 10.0)
    ring = ring_geometry(lon, np.full(36, 80.0 * pole))
    assert_allclose(ring.area, 360.0 * 10.0)
    assert ring.covers(Point(33.0, 85.0 * pole))
    assert not ring.covers(Point(33.0, -85.0 * pole))
