"""Distances, longitudes and overlaps of 010_sphere.sql against brute force."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import circle_iou, distance_m

from cda_db.bodies import BODIES
from cda_db.connection import Connection, connect
from cda_db.settings import Target

SHARED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Where longitudes go wrong: the seam, whole turns, and the doubles beside them.
SEAM = [
    side
    for edge in (-540.0, -360.0, -180.0, 0.0, 180.0, 207.76, 360.0, 540.0)
    for side in (np.nextafter(edge, -1e9), edge, np.nextafter(edge, 1e9))
]


def column(conn: Connection, expression: str, **arrays: Sequence[float]) -> np.ndarray:
    """A SQL expression over arrays of float8, one row each."""
    names = ", ".join(arrays)
    marks = ", ".join(f"%({name})s::float8[]" for name in arrays)
    rows = conn.execute(
        f"SELECT {expression} FROM unnest({marks}) WITH ORDINALITY AS u ({names}, row_number_)"
        " ORDER BY row_number_",
        {name: [float(value) for value in values] for name, values in arrays.items()},
    ).fetchall()
    return np.array([row[0] for row in rows], dtype=float)


@SHARED
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_a_wrapped_longitude_is_the_same_place_in_range(
    module_database: Target, lon: list[float]
) -> None:
    with connect(module_database) as conn:
        wrapped = column(conn, "cda.wrap_lon(lon)", lon=lon + SEAM)
    assert ((wrapped >= -180) & (wrapped < 180)).all()
    turns = (wrapped - np.array(lon + SEAM)) / 360
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-12)


def test_great_circles_on_every_body(module_database: Target) -> None:
    """Haversine by hand: far apart, a metre apart, on both poles and over +-180."""
    rng = np.random.default_rng(10)
    n = 400
    lon_1 = np.r_[rng.uniform(-180, 180, n), np.full(n, 179.9999), rng.uniform(-180, 180, n)]
    lat_1 = np.r_[np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-80, 80, n),
                  rng.choice([-90.0, 90.0, 89.99999], n)]  # fmt: skip
    step = 10 ** rng.uniform(-6, 2, 3 * n)
    lon_2 = (lon_1 + step + 180) % 360 - 180
    lat_2 = np.clip(lat_1 - step / 7, -90, 90)
    with connect(module_database) as conn:
        for body in BODIES.values():
            got = column(
                conn, f"cda.great_circle_m(a, b, c, d, {body.radius_m!r})",
                a=lon_1, b=lat_1, c=lon_2, d=lat_2,
            )  # fmt: skip
            want = distance_m(lon_1, lat_1, lon_2, lat_2, body.radius_m)
            np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-3)


def test_distances_known_by_hand(conn: Connection) -> None:
    """A quarter and half of Mars, and one degree of the equator."""
    quarter = np.pi * 3_396_190 / 2
    got = column(
        conn, "cda.great_circle_m(a, b, c, d, 3396190)",
        a=[0, 0, 179.5, 33], b=[0, 90, 0, 90], c=[90, 12, -179.5, 77], d=[0, -90, 0, 90],
    )  # fmt: skip
    np.testing.assert_allclose(got, [quarter, 2 * quarter, quarter / 90, 0], rtol=1e-12, atol=1e-6)


def test_overlap_of_circles(module_database: Target) -> None:
    """The lens area by two circular segments: apart, touching, nested, the same, tiny and huge."""
    rng = np.random.default_rng(11)
    scale = 10 ** rng.uniform(-1, 6, 2000)
    a, b = rng.uniform(0.1, 2, (2, 2000)) * scale
    d = rng.uniform(0, 4, 2000) * scale
    d[:50], d[50:100], d[100:150] = 0, (a + b)[50:100], np.abs(a - b)[100:150]
    b[150:200] = a[150:200]
    d[150:175] = 0
    with connect(module_database) as conn:
        got = column(conn, "cda.circle_iou(d, a, b)", d=d, a=a, b=b)
    np.testing.assert_allclose(got, circle_iou(d, a, b), atol=1e-9)
    assert ((got >= 0) & (got <= 1)).all()


@pytest.mark.parametrize(
    ("distance", "r_1", "r_2", "iou"),
    [
        (0, 1, 2, 0.25),  # half the size, concentric
        (2, 1, 1, 0.0),  # touching from outside
        # equal circles one radius apart: lens 2 pi/3 - sqrt(3)/2
        (1, 1, 1, (2 * np.pi / 3 - np.sqrt(3) / 2) / (2 * np.pi - 2 * np.pi / 3 + np.sqrt(3) / 2)),
        (0, 5, 5, 1.0),
    ],
)
def test_overlaps_known_by_hand(
    module_database: Target, distance: float, r_1: float, r_2: float, iou: float
) -> None:
    with connect(module_database) as conn:
        got = column(conn, "cda.circle_iou(d, a, b)", d=[distance], a=[r_1], b=[r_2])
    assert got[0] == pytest.approx(iou, abs=1e-12)


@pytest.mark.parametrize(
    "threshold", [0.01, 0.1, 0.2, 0.243, 0.2431, 0.25, 0.299, 0.3, 0.35, 0.5, 0.7, 0.9]
)
def test_no_rival_is_out_of_reach(module_database: Target, threshold: float) -> None:
    """The farthest rivals that brute force finds lie within the reach of the search."""
    ratio = np.linspace(np.sqrt(threshold), 1, 100)[:, None]
    distance = np.linspace(0, 2, 2001)[None]
    rivals = circle_iou(distance, np.ones_like(ratio), ratio) >= threshold
    farthest = np.broadcast_to(distance, rivals.shape)[rivals].max()
    with connect(module_database) as conn:
        reach = column(conn, "cda.rival_reach(t)", t=[threshold])[0]
    assert reach >= farthest
    assert reach <= max(2.2 * farthest, 2.0)  # a bound that bounds something
