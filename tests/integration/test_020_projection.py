"""Map plane to sphere, and boxes to ground metres, against PROJ at many places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod, Proj

from cda_db.connection import Connection, connect
from cda_db.settings import Target

Floats = NDArray[np.float64]
RADIUS = 3_396_190.0


@dataclass(frozen=True)
class Map:
    """A projection as the tables name it, and as PROJ does."""

    projection: str
    lon_0: float
    lat_ts: float
    radius: float
    proj: str
    lowest: float = -85.0
    highest: float = 85.0

    def __str__(self) -> str:
        return f"{self.projection}({self.lon_0:g},{self.lat_ts:g})"

    def forward(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Map metres (degrees for lonlat)."""
        if self.projection == "lonlat":
            return lon, lat
        x, y = self._proj()(lon, lat)
        return np.asarray(x), np.asarray(y)

    def jacobian(self, lon: Floats, lat: Floats) -> Floats:
        """Map units a ground metre, (n, 2, 2): rows x, y; columns east, north."""
        if self.projection == "lonlat":
            east, north = np.degrees(1 / (self.radius * np.cos(np.radians(lat)))), 1 / self.radius
            zero = np.zeros_like(lat)
            rows = [east, zero, zero, np.full_like(lat, np.degrees(north))]
        else:
            factors = self._proj().get_factors(lon, lat)
            # PROJ gives metres a radian of longitude and latitude on a sphere of radius 1
            across = np.cos(np.radians(lat))
            rows = [factors.dx_dlam / across, factors.dx_dphi,
                    factors.dy_dlam / across, factors.dy_dphi]  # fmt: skip
        return np.stack(rows, -1).reshape(-1, 2, 2)

    def _proj(self) -> Proj:
        return Proj(f"+proj={self.proj} +R={self.radius} +lon_0={self.lon_0} +units=m")


def maps() -> list[Map]:
    """Five projections with unlike centres, latitudes of true scale and radii."""
    moon = 1_737_400.0
    return [
        Map("equirectangular", 0.0, 0.0, RADIUS, "eqc +lat_ts=0"),
        Map("equirectangular", 180.0, 43.0, RADIUS, "eqc +lat_ts=43"),
        Map("equirectangular", -151.3, -20.0, moon, "eqc +lat_ts=-20"),
        Map("sinusoidal", 0.0, 0.0, RADIUS, "sinu"),
        Map("sinusoidal", 200.0, 0.0, moon, "sinu"),
        Map("mercator", 0.0, 0.0, RADIUS, "merc +lat_ts=0"),
        Map("mercator", 137.4, 30.0, RADIUS, "merc +lat_ts=30"),
        Map("lonlat", 0.0, 0.0, RADIUS, ""),
        *(Map("polar_stereographic", lon_0, lat_ts, RADIUS, f"stere +lat_0=90 +lat_ts={lat_ts}",
              lowest=20.0, highest=90.0) for lon_0, lat_ts in ((0.0, 90.0), (-60.0, 75.0))),
        *(Map("polar_stereographic", lon_0, lat_ts, RADIUS, f"stere +lat_0=-90 +lat_ts={lat_ts}",
              lowest=-90.0, highest=-20.0) for lon_0, lat_ts in ((0.0, -90.0), (33.0, -71.0))),
    ]  # fmt: skip


def places(rng: np.random.Generator, map_: Map, n: int) -> tuple[Floats, Floats]:
    """Places all over the map, some by its edges: the seam opposite lon_0 included."""
    lon = map_.lon_0 + np.r_[rng.uniform(-180, 180, n), -179.999, 179.999, 0.0]
    lat = np.r_[rng.uniform(map_.lowest, map_.highest, n), -30.0, 30.0, 0.0]
    lat[-3:] = np.clip(lat[-3:], map_.lowest, map_.highest)
    return (lon + 180) % 360 - 180, lat


def scales(conn: Connection, map_: Map, affine: Floats, lon: Floats, lat: Floats) -> Floats:
    """Ground metres a pixel at each place, by the SQL functions."""
    a, b, d, e = affine.ravel()
    rows = conn.execute(
        """
        SELECT cda.ground_scale(%(a)s, %(b)s, %(d)s, %(e)s,
                   cda.map_x_east(%(p)s, lat, %(ts)s, %(r)s),
                   cda.map_x_north(%(p)s, lon, lat, %(lon_0)s),
                   cda.map_y_north(%(p)s, lat, %(ts)s, %(r)s))
        FROM unnest(%(lon)s::float8[], %(lat)s::float8[]) WITH ORDINALITY AS u (lon, lat, n)
        ORDER BY n
        """,
        {"a": a, "b": b, "d": d, "e": e, "p": map_.projection, "ts": map_.lat_ts,
         "r": map_.radius, "lon_0": map_.lon_0, "lon": lon.tolist(), "lat": lat.tolist()},
    ).fetchall()  # fmt: skip
    return np.array([row[0] for row in rows])


@pytest.mark.parametrize("map_", maps(), ids=str)
def test_places_equal_proj(module_database: Target, map_: Map) -> None:
    """From PROJ's map metres back to the sphere, to a millimetre."""
    lon, lat = places(np.random.default_rng(20), map_, 400)
    x, y = map_.forward(lon, lat)
    with connect(module_database) as conn:
        rows = conn.execute(
            """
            SELECT cda.map_lon(%(p)s, x, y, lat, %(lon_0)s, %(ts)s, %(r)s), lat
            FROM (SELECT x, y, n, cda.map_lat(%(p)s, x, y, %(ts)s, %(r)s) AS lat
                  FROM unnest(%(x)s::float8[], %(y)s::float8[]) WITH ORDINALITY AS u (x, y, n)) m
            ORDER BY n
            """,
            {"p": map_.projection, "lon_0": map_.lon_0, "ts": map_.lat_ts, "r": map_.radius,
             "x": x.tolist(), "y": y.tolist()},
        ).fetchall()  # fmt: skip
    got = np.array(rows, dtype=float)
    assert ((got[:, 0] >= -180) & (got[:, 0] < 180)).all()
    apart = Geod(a=map_.radius, b=map_.radius).inv(got[:, 0], got[:, 1], lon, lat)[2]
    assert np.max(apart) < 1e-3


@pytest.mark.parametrize("map_", maps(), ids=str)
def test_scale_equals_the_jacobian_of_proj(module_database: Target, map_: Map) -> None:
    """sqrt of what one pixel spans to the east and north: |det J|, by PROJ's own derivatives.

    A circle of diameter D has in pixels the box D |row 1 of A^-1 J| x D |row 2 of A^-1 J|.
    """
    rng = np.random.default_rng(21)
    lon, lat = places(rng, map_, 100)
    lat = np.clip(lat, -89.9, 89.9)  # PROJ has no longitude derivative on a pole
    unit = np.degrees(1 / map_.radius) if map_.projection == "lonlat" else 1.0
    turns = np.radians([0, 30, -75, 180])
    with connect(module_database) as conn:
        for turn in turns:
            spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            affine = unit * spin @ np.diag([60.0, -90.0])
            pixels = np.linalg.inv(affine) @ map_.jacobian(lon, lat)
            want = 1 / np.sqrt(np.linalg.norm(pixels, axis=2).prod(axis=1))
            np.testing.assert_allclose(scales(conn, map_, affine, lon, lat), want, rtol=2e-6)


@pytest.mark.parametrize("map_", maps(), ids=str)
@pytest.mark.parametrize("turn", [0.0, 27.0])
def test_a_circle_drawn_on_the_ground_comes_back(
    module_database: Target, map_: Map, turn: float
) -> None:
    """Ground circle -> map by PROJ -> pixel box, by points on its rim -> diameter within 0.1 %."""
    diameter = 1000.0
    angle = np.radians(turn)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    unit = np.degrees(1 / map_.radius) if map_.projection == "lonlat" else 1.0
    affine = unit * spin @ np.diag([20.0, -20.0])
    middle = map_.lon_0 + np.array([-120.0, -31.0, 1.0, 77.0, 140.0])
    low, high = max(map_.lowest, -80.0), min(map_.highest, 80.0)
    lon, lat = (part.ravel() for part in np.meshgrid(middle, np.linspace(low, high, 7)))
    azimuth = np.linspace(0, 360, 721)
    sizes = []
    for one_lon, one_lat in zip(lon, lat, strict=True):
        rim = Geod(a=map_.radius, b=map_.radius).fwd(
            np.full(721, one_lon), np.full(721, one_lat), azimuth, np.full(721, diameter / 2)
        )
        x, y = map_.forward(np.asarray(rim[0]), np.asarray(rim[1]))
        col, row = np.linalg.inv(affine) @ np.stack([x, y])
        sizes.append(np.sqrt(np.ptp(col) * np.ptp(row)))
    with connect(module_database) as conn:
        got = np.array(sizes) * scales(conn, map_, affine, (lon + 180) % 360 - 180, lat)
    np.testing.assert_allclose(got, diameter, rtol=1e-3)


def test_scales_known_by_hand(conn: Connection) -> None:
    """Design section 5: equirectangular w cos(lat) / cos(lat_ts); polar 7 % at 60, 1.7 % at 75."""
    pixel = np.diag([100.0, -100.0])
    at_60 = Map("equirectangular", 0.0, 0.0, RADIUS, "")
    # half as wide as high on the ground: the geometric mean of 50 m and 100 m
    assert scales(conn, at_60, pixel, np.zeros(1), np.array([60.0]))[0] == pytest.approx(
        100 / np.sqrt(2)
    )
    polar = Map("polar_stereographic", 0.0, 90.0, RADIUS, "")
    got = 100 / scales(conn, polar, pixel, np.zeros(3), np.array([60.0, 75.0, 90.0]))
    np.testing.assert_allclose(got, [1.0718, 1.0173, 1.0], atol=1e-4)


def test_an_unknown_projection_gives_nothing(conn: Connection) -> None:
    """No function guesses: a projection that it does not know has no latitude."""
    row = conn.execute("SELECT cda.map_lat('lambert', 1, 1, 0, 3396190)").fetchone()
    assert row == (None,)


def test_latitudes_end_at_the_poles(conn: Connection) -> None:
    """A pixel centre beyond the edge of a global map is on the pole, not past it."""
    for projection, far in (("lonlat", 91.0), ("equirectangular", 6e6), ("sinusoidal", 6e6)):
        row = conn.execute(
            "SELECT cda.map_lat(%s, 0, %s, 0, 3396190), cda.map_lat(%s, 0, %s, 0, 3396190)",
            [projection, far, projection, -far],
        ).fetchone()
        assert row == (90.0, -90.0)
