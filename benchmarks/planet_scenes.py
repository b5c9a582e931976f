"""The scenes of the benchmark planet: 4 x 4 degrees at 5 m/px up to 60 degrees, squares beyond.

Up to 60 degrees a scene is an equirectangular map true at its middle latitude; around the poles it
is a square of a polar stereographic map, as the pipeline re-projects high latitudes. Scenes overlap
their neighbours by ``MARGIN_M`` on every side.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import hpgeom
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, box

from benchmarks.planet_craters import CELL_ORDER, Planet
from cda_db.bodies import get_body
from cda_db.runs import Level
from cda_db.scenes import Scene

Floats = NDArray[np.float64]

BODY = get_body("mars")
PIXEL_M = 5.0
SIDE_DEG = 4.0
POLAR_FROM_DEG = 60.0
MARGIN_M = 4_000.0
TILE_PX = 416
LEVELS = (
    Level(1.0, 96, 6.0, 92.0),
    Level(8.0, 96, 6.0, 92.0),
    Level(32.0, 96, 6.0, 92.0),
    Level(128.0, 96, 6.0, 208.0),
)
COVERAGE_ORDER = 10
_SIDE_M = np.radians(SIDE_DEG) * BODY.radius_m


@dataclass(frozen=True)
class Window:
    """The ground of a scene: a rectangle of a map plane.

    Attributes:
        name: of the scene.
        projection: ``equirectangular`` or ``polar_stereographic``.
        lon_0, lat_ts: of the map; +-90 for the poles.
        left, right, bottom, top: metres of the map, margins included.
        lon, lat: centre, degrees.
        inner_km2: ground without the margins, a measure of what the scene will find.
    """

    name: str
    projection: str
    lon_0: float
    lat_ts: float
    left: float
    right: float
    bottom: float
    top: float
    lon: float
    lat: float
    inner_km2: float

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(np.ceil((self.right - self.left) / PIXEL_M))

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(np.ceil((self.top - self.bottom) / PIXEL_M))

    def project(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Map x, y (metres) and the map's scale (map metres a ground metre) in x and in y."""
        radius = BODY.radius_m
        lam = np.radians((lon - self.lon_0 + 180.0) % 360.0 - 180.0)
        phi = np.radians(lat)
        if self.projection == "equirectangular":
            true = np.cos(np.radians(self.lat_ts))
            return radius * lam * true, radius * phi, true / np.cos(phi), np.ones_like(phi)
        pole = np.sign(self.lat_ts)
        rho = 2 * radius * np.tan((np.pi / 2 - pole * phi) / 2)
        scale = 2 / (1 + pole * np.sin(phi))
        return rho * np.sin(lam), -pole * rho * np.cos(lam), scale, scale

    def holds(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Which points of the map lie in the window."""
        return (x >= self.left) & (x < self.right) & (y > self.bottom) & (y <= self.top)

    def cells(self) -> NDArray[np.int64]:
        """Cells of the planet's craters that may have a crater in the window."""
        found: NDArray[np.int64] = hpgeom.query_circle(
            1 << CELL_ORDER, self.lon, self.lat, self._reach_deg(), inclusive=True
        )
        return found

    def _reach_deg(self) -> float:
        x = np.array([self.left, self.left, self.right, self.right])
        y = np.array([self.bottom, self.top, self.bottom, self.top])
        return float(np.degrees(np.hypot(x - x.mean(), y - y.mean()).max() / BODY.radius_m)) * 1.1

    def coverage(self) -> NDArray[np.int64]:
        """(n, 2) half-open ranges of cells of ``COVERAGE_ORDER`` with their centre inside."""
        near = hpgeom.query_circle(1 << COVERAGE_ORDER, self.lon, self.lat, self._reach_deg())
        lon, lat = hpgeom.pixel_to_angle(1 << COVERAGE_ORDER, near)
        x, y, _, _ = self.project(lon, lat)
        inside = np.sort(near[self.holds(x, y)])
        breaks = np.flatnonzero(np.diff(inside) > 1)
        first = inside[np.concatenate([[0], breaks + 1])]
        last = inside[np.concatenate([breaks, [len(inside) - 1]])]
        return np.stack([first, last + 1], axis=1)

    def scene(self) -> Scene:
        """The scene as it is registered."""
        digest = hashlib.sha256(self.name.encode()).digest()
        frame = "equirectangular" if self.projection == "equirectangular" else (
            "north_polar" if self.lat_ts > 0 else "south_polar")  # fmt: skip
        wkt = BODY.crs(frame).to_wkt()
        west, east = max(self.lon - 2, -180.0), min(self.lon + 2, 180.0)
        return Scene(
            sha256=digest, file_sha256=digest, name=self.name, path=f"/planet/{self.name}.tif",
            size_bytes=self.width * self.height, body=BODY.name, driver="GTiff", dtype="uint8",
            kind="image", view=None, shading=None, radiometry={}, width=self.width,
            height=self.height, transform=(PIXEL_M, 0.0, self.left, 0.0, -PIXEL_M, self.top),
            projection=self.projection, lon_0_deg=self.lon_0, lat_ts_deg=self.lat_ts,
            radius_m=BODY.radius_m, crs_wkt=wkt, source_crs_wkt=wkt, pixel_scale_m=PIXEL_M,
            footprint=MultiPolygon(
                [box(west, max(self.lat - 2, -90.0), east, min(self.lat + 2, 90.0))]
            ),
            coverage_order=COVERAGE_ORDER, coverage=self.coverage(),
        )  # fmt: skip


def _square(name: str, lon: float, lat: float) -> Window:
    true = np.cos(np.radians(lat))
    x, y = np.radians(SIDE_DEG / 2) * BODY.radius_m * true, np.radians(lat) * BODY.radius_m
    half = _SIDE_M / 2 + MARGIN_M
    inner = np.radians(SIDE_DEG) * 2 * np.sin(np.radians(SIDE_DEG / 2)) * true * BODY.radius_m**2
    return Window(
        name, "equirectangular", lon, lat, -x - MARGIN_M, x + MARGIN_M, y - half, y + half,
        lon, lat, float(inner) / 1e6,
    )  # fmt: skip


def _polar(pole: int) -> list[Window]:
    """Squares of the stereographic map that reach beyond ``POLAR_FROM_DEG``; one holds the pole."""
    rim = 2 * BODY.radius_m * np.tan(np.radians(90 - POLAR_FROM_DEG) / 2)
    n = int(np.ceil(rim / _SIDE_M))
    found = []
    for i in range(-n, n + 1):
        for j in range(-n, n + 1):
            x, y = i * _SIDE_M, j * _SIDE_M
            nearest = np.hypot(max(abs(x) - _SIDE_M / 2, 0), max(abs(y) - _SIDE_M / 2, 0))
            if nearest > rim:
                continue
            half = _SIDE_M / 2 + MARGIN_M
            lon = float(np.degrees(np.arctan2(x, -pole * y))) if i or j else 0.0
            colat = 2 * np.degrees(np.arctan(np.hypot(x, y) / (2 * BODY.radius_m)))
            lat = float(pole * (90 - colat))
            scale = 2 / (1 + np.sin(np.radians(abs(lat))))
            found.append(Window(
                f"P{'NS'[pole < 0]}{i:+03d}{j:+03d}", "polar_stereographic", 0.0, pole * 90.0,
                x - half, x + half, y - half, y + half, lon, lat,
                float((_SIDE_M / scale) ** 2 / 1e6),
            ))  # fmt: skip
    return found


def all_windows() -> list[Window]:
    """Every scene of the planet, in such an order that any first part of the list holds both poles
    and, next to each other, scenes on both sides of +-180."""
    rows = int(2 * POLAR_FROM_DEG / SIDE_DEG)
    middle = [
        _square(f"E{lon:+07.1f}_N{lat:+05.1f}", lon, lat)
        for lon in np.arange(-180 + SIDE_DEG / 2, 180, SIDE_DEG).tolist()
        for lat in (np.arange(rows) * SIDE_DEG - POLAR_FROM_DEG + SIDE_DEG / 2).tolist()
    ]
    polar = sorted(_polar(1) + _polar(-1), key=lambda w: -abs(w.lat))

    def order(window: Window) -> tuple[float, float]:
        return (round(180 - abs(window.lon)) // int(SIDE_DEG), abs(window.lat))

    polar_rest = sorted(polar[2:], key=lambda w: (180 - abs(w.lon), abs(w.lat)))
    squares = sorted(middle, key=order)
    # caps and belt grow together, in the proportion of their numbers
    mixed = sorted(
        [(k / len(squares), 0, w) for k, w in enumerate(squares)]
        + [((k + 1) / len(polar_rest), 1, w) for k, w in enumerate(polar_rest)],
        key=lambda item: item[:2],
    )
    return [*polar[:2], *(window for _, _, window in mixed)]


def choose_windows(planet: Planet, share: float) -> list[Window]:
    """The first scenes of ``all_windows`` that hold this share of the planet's craters."""
    windows = all_windows()
    if share >= 1:
        return windows
    weight = np.array([w.inner_km2 * planet.density[_cell_of(w)] for w in windows])
    n = int(np.searchsorted(np.cumsum(weight) / weight.sum(), share)) + 1
    return windows[:n]


def _cell_of(window: Window) -> int:
    return int(hpgeom.angle_to_pixel(1 << CELL_ORDER, window.lon, window.lat))
