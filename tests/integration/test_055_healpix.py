"""HEALPix cells of the database against hpgeom."""

from __future__ import annotations

import hpgeom
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cda_db.connection import Connection, connect
from cda_db.settings import Target

Floats = NDArray[np.float64]


def cells(conn: Connection, order: int, lon: Floats, lat: Floats) -> NDArray[np.int64]:
    """Cells of the points by the SQL function."""
    rows = conn.execute(
        "SELECT cda.healpix_cell(%s, lon, lat)"
        " FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS u (lon, lat, n) ORDER BY n",
        [order, lon.tolist(), lat.tolist()],
    ).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64)


def oracle(order: int, lon: Floats, lat: Floats) -> NDArray[np.int64]:
    """hpgeom's nested cells."""
    return np.asarray(hpgeom.angle_to_pixel(2**order, lon, lat, nest=True, lonlat=True))


@pytest.mark.parametrize("order", [0, 1, 5, 9, 13])
def test_cells_equal_hpgeom(module_database: Target, order: int) -> None:
    """All over the sphere, crowded on both poles, beside +-180 and where polar caps begin."""
    rng = np.random.default_rng(order)
    n = 3000
    lon = rng.uniform(-180, 180, 4 * n)
    lat = np.r_[
        np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
        90 - 10 ** rng.uniform(-9, 1, n),
        10 ** rng.uniform(-9, 1, n) - 90,
        rng.choice([-1, 1], n) * np.degrees(np.arcsin(2 / 3)) + rng.normal(0, 1e-3, n),
    ]
    lon[::7] = -180 + 10 ** rng.uniform(-9, 0, len(lon[::7]))
    lon[3::7] = 180 - 10 ** rng.uniform(-9, 0, len(lon[3::7]))
    with connect(module_database) as conn:
        got = cells(conn, order, lon, lat)
    np.testing.assert_array_equal(got, oracle(order, lon, lat))


def test_poles_seams_and_any_turn(conn: Connection) -> None:
    """On a pole, at whole quarter turns, and with longitudes of 0-360 or more."""
    lon = np.array([0, 45, 90, 179.5, -180, -90, -45.5, 200, 359.5, 540.5])
    for lat in (90.0, -90.0, 12.3, -55.0):
        here = np.full(len(lon), lat)
        np.testing.assert_array_equal(
            cells(conn, 13, lon, here), oracle(13, np.mod(lon, 360), here)
        )


def degrees(most: float) -> st.SearchStrategy[float]:
    """Any angle; PostgreSQL refuses to divide subnormal numbers, which no picture gives."""
    return st.floats(-most, most, allow_subnormal=False)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(0, 13),
    st.lists(st.tuples(degrees(180), degrees(90)), min_size=1, max_size=40),
)
def test_the_centre_of_a_points_cell_is_in_it_and_near(
    module_database: Target, order: int, points: list[tuple[float, float]]
) -> None:
    """Wherever hypothesis looks, borders included: the cell exists and touches the point.

    On a border either neighbour is right, and hpgeom may choose the other one.
    """
    lon, lat = (np.array(part) for part in zip(*points, strict=True))
    with connect(module_database) as conn:
        got = cells(conn, order, lon, lat)
        centre_lon, centre_lat = hpgeom.pixel_to_angle(2**order, got, nest=True, lonlat=True)
        np.testing.assert_array_equal(cells(conn, order, centre_lon, centre_lat), got)
    assert ((got >= 0) & (got < 12 * 4**order)).all()
    other = oracle(order, np.mod(lon, 360), lat)
    # two cells that share a border stand at most two cell radii apart
    far = np.degrees(hpgeom.max_pixel_radius(2**order, degrees=False)) * 2.001
    there_lon, there_lat = hpgeom.pixel_to_angle(2**order, other, nest=True, lonlat=True)
    one, two = (_unit(*pair) for pair in ((centre_lon, centre_lat), (there_lon, there_lat)))
    apart = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(one - two, axis=1) / 2, 0, 1)))
    assert (apart <= far).all()


def test_cells_nest(conn: Connection) -> None:
    """A cell's parent is the cell two bits up: the roll-up adds cells by that."""
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(-180, 180, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    fine = cells(conn, 13, lon, lat)
    for order in range(13):
        np.testing.assert_array_equal(cells(conn, order, lon, lat), fine >> 2 * (13 - order))


def _unit(lon: Floats, lat: Floats) -> Floats:
    lam, phi = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], -1)
