"""Neighbours equal brute force, crowded at both poles and on +-180, on more than one body."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import distance_m
from rows import make_run

from cda_db.bodies import get_body
from cda_db.bulk import copy_arrays
from cda_db.connection import Connection, connect
from cda_db.errors import InputError, StateError
from cda_db.neighbours import craters_near, craters_within, nearest_craters
from cda_db.runs import Run, get_run
from cda_db.settings import Target

N = 200_000
MARS = get_body("mars").radius_m
Floats = NDArray[np.float64]


def crowded(n: int, seed: int) -> tuple[Floats, Floats]:
    """Points over the sphere, a quarter each at the poles together and on +-180."""
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    kind = rng.integers(0, 8, n)
    lat = np.where(kind == 0, 90 - rng.exponential(1, n), lat)
    lat = np.where(kind == 1, rng.exponential(1, n) - 90, lat)
    lon = np.where(kind >= 6, 180 + rng.normal(0, 1, n), lon)
    return (lon + 180) % 360 - 180, np.clip(lat, -90, 90)


def put_craters(conn: Connection, run: Run, lon: Floats, lat: Floats) -> None:
    """Craters straight into the catalogue; crater_id is the row's number."""
    n = len(lon)
    copy_arrays(
        conn,
        f"crater_r{run.run_id}",
        {
            "run_id": np.full(n, run.run_id, dtype=np.int32),
            "cell": np.zeros(n, dtype=np.int32),
            "crater_id": np.arange(n, dtype=np.int64),
            "lon": lon,
            "lat": lat,
            "diameter_m": np.full(n, 1000, dtype=np.float32),
            "score": np.full(n, 0.5, dtype=np.float32),
        },
    )
    for index in ("ids", "places"):
        conn.execute(f"SELECT cda.index_crater_{index}(%s)", [run.run_id])
    conn.execute(
        "INSERT INTO cda.catalogue (run_id, n_craters, n_suppressed, n_cut) VALUES (%s, %s, 0, 0)",
        [run.run_id, n],
    )
    conn.commit()


@pytest.fixture(scope="module")
def planet(module_database: Target) -> tuple[Floats, Floats]:
    """200,000 craters of Mars and 2,000 of the Moon."""
    lon, lat = crowded(N, 1)
    with connect(module_database) as conn:
        put_craters(conn, make_run(conn, "mars"), lon, lat)
        put_craters(conn, make_run(conn, "moon", body="moon"), lon[:2000], lat[:2000])
    return lon, lat


def distances(planet: tuple[Floats, Floats], lon: float, lat: float, radius: float) -> Floats:
    n = len(planet[0])
    return distance_m(np.full(n, lon), np.full(n, lat), *planet, radius)


def same(found: pd.DataFrame, want: Floats, metres: float) -> None:
    """The same craters, but for those within a millimetre of the rim; distances to the micron."""
    got = found["crater_id"].to_numpy()
    assert len(got) == len(set(got))
    assert set(np.flatnonzero(want < metres - 1e-3)) <= set(got)
    assert set(got) <= set(np.flatnonzero(want < metres + 1e-3))
    # haversine at the antipode has an error of a few centimetres
    np.testing.assert_allclose(found["distance_m"], want[got], rtol=1e-9, atol=0.1)
    assert found["distance_m"].is_monotonic_increasing


PLACES = [(0.0, 90.0), (77.0, -90.0), (180.0, 0.0), (-180.0, 45.0), (179.99, -89.9), (12.0, 3.0)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("metres", [0.0, 5_000.0, 300_000.0, 3_000_000.0, 6_000_000.0])
def test_within_equals_brute_force(
    module_database: Target, planet: tuple[Floats, Floats], place: tuple[float, float],
    metres: float,
) -> None:  # fmt: skip
    with connect(module_database) as conn:
        found = craters_within(conn, get_run(conn, "mars"), *place, metres)
    same(found, distances(planet, *place, MARS), metres)


def test_within_knows_the_body(module_database: Target, planet: tuple[Floats, Floats]) -> None:
    """300 km on the Moon are twice as many degrees as on Mars."""
    moon = (planet[0][:2000], planet[1][:2000])
    with connect(module_database) as conn:
        found = craters_within(conn, get_run(conn, "moon"), 20.0, -80.0, 300_000.0)
    same(found, distances(moon, 20.0, -80.0, get_body("moon").radius_m), 300_000.0)


@given(
    st.floats(-720, 720), st.floats(-90, 90),
    st.one_of(st.floats(0, 1e6), st.floats(1e6, 1.07e7)),
)  # fmt: skip
@example(lon=0.0, lat=0.0, metres=5e-324)
@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_within_any_circle(
    module_database: Target, planet: tuple[Floats, Floats], lon: float, lat: float, metres: float
) -> None:
    """Circles of any size and any turn of longitude, on the 2,000 craters of the Moon."""
    moon = (planet[0][:2000], planet[1][:2000])
    with connect(module_database) as conn:
        found = craters_within(conn, get_run(conn, "moon"), lon, lat, metres)
    same(found, distances(moon, lon, lat, get_body("moon").radius_m), metres)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_nearest_equals_brute_force(
    module_database: Target, planet: tuple[Floats, Floats], place: tuple[float, float], k: int
) -> None:
    with connect(module_database) as conn:
        found = nearest_craters(conn, get_run(conn, "mars"), *place, k)
    want = np.sort(distances(planet, *place, MARS))[:k]
    np.testing.assert_allclose(found["distance_m"], want, rtol=1e-9, atol=1e-3)


def test_nearest_of_too_few(module_database: Target, planet: tuple[Floats, Floats]) -> None:
    """Asked for more than there are, it gives all."""
    assert len(planet[0]) == N
    with connect(module_database) as conn:
        found = nearest_craters(conn, get_run(conn, "moon"), 0.0, 0.0, 5000)
    assert len(found) == 2000


def test_join_equals_brute_force(module_database: Target, planet: tuple[Floats, Floats]) -> None:
    lon, lat = crowded(300, 2)
    with connect(module_database) as conn:
        found = craters_near(conn, get_run(conn, "mars"), lon, lat, 50_000.0)
    got = set(zip(found["point"], found["crater_id"], strict=True))
    want = {
        (i, int(j))
        for i in range(len(lon))
        for j in np.flatnonzero(distances(planet, lon[i], lat[i], MARS) <= 50_000.0)
    }
    assert got == want
    assert len(got) == len(found) > 1000


def test_refusals(module_database: Target, planet: tuple[Floats, Floats]) -> None:
    assert len(planet[0]) == N
    with connect(module_database) as conn:
        run = get_run(conn, "moon")
        with pytest.raises(InputError, match="no circle"):
            craters_within(conn, run, 0.0, 91.0, 10.0)
        with pytest.raises(InputError, match="no circle"):
            craters_within(conn, run, 0.0, 0.0, -1.0)
        with pytest.raises(InputError, match="0 nearest"):
            nearest_craters(conn, run, 0.0, 0.0, 0)
        with pytest.raises(InputError, match="longitudes"):
            craters_near(conn, run, [0.0, 1.0], [0.0], 10.0)
        with pytest.raises(InputError, match="join"):
            craters_near(conn, run, [0.0], [0.0], 1e8)
        with pytest.raises(StateError):
            craters_within(conn, make_run(conn, "empty"), 0.0, 0.0, 10.0)
