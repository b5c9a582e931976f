"""Regions of a sphere: circle and box. On the sphere, at the poles and across +-180.

A region answers which points are inside, how large it is, and where its boundary runs; areas and
distances are those of the body's IAU sphere. Polygons are in ``queries.polygons``, files and named
features in ``queries.region_files``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import MultiPolygon

from cda_db.bodies import Body
from cda_db.errors import InputError
from queries import moc
from queries.rings import ring_polygon, wrap_lon

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DRAW_SPACING_DEG = 0.25


class Region(ABC):
    """A part of a body's surface."""

    body: Body
    name: str

    @abstractmethod
    def contains(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> Bools:
        """Which points are inside, bool of the points' shape."""

    @abstractmethod
    def outline(self, spacing_deg: float) -> tuple[Floats, Floats]:
        """Points (lon, lat) along the whole boundary, at most ``spacing_deg`` of arc apart."""

    @property
    @abstractmethod
    def area_km2(self) -> float:
        """Area on the body's sphere, km2."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float, float, float]:
        """west, south, east, north in degrees; west > east where the region crosses +-180."""

    @abstractmethod
    def polygon(self, spacing_deg: float = DRAW_SPACING_DEG) -> MultiPolygon:
        """The region as lon/lat polygons within [-180, 180], for drawing and clipping."""

    def ranges(self, order: int) -> moc.Ints:
        """Nested HEALPix cells of ``order`` whose centre is inside, as half-open ranges."""
        return moc.region_ranges(self, order)


@dataclass(frozen=True)
class Circle(Region):
    """All points within a great-circle distance of a centre (edge included).

    Attributes:
        lon_deg, lat_deg: centre; radius_km: along the surface, up to half the circumference.
    """

    body: Body
    lon_deg: float
    lat_deg: float
    radius_km: float
    name: str = "circle"

    def __post_init__(self) -> None:
        if not -90 <= self.lat_deg <= 90 or not -360 <= self.lon_deg <= 360:
            raise InputError(
                f"Circle centre {self.lon_deg}, {self.lat_deg} is not on a sphere.",
                "Give longitude (degrees east), then latitude.",
            )
        if not 0 < self.radius_km < pi * self.body.radius_m / 1000:
            raise InputError(
                f"Circle radius {self.radius_km} km does not fit {self.body.name}.",
                "Give a radius above 0 and below half the circumference.",
            )

    @property
    def angle_rad(self) -> float:
        """Radius as an angle at the body's centre."""
        return self.radius_km * 1000 / self.body.radius_m

    def contains(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> Bools:
        """Which points are inside; haversine, exact for small circles too."""
        dlon = np.radians(np.asarray(lon_deg, dtype=np.float64) - self.lon_deg)
        lat, lat_0 = np.radians(np.asarray(lat_deg, dtype=np.float64)), radians(self.lat_deg)
        half_chord_sq = np.sin((lat - lat_0) / 2) ** 2 + (
            np.cos(lat) * cos(lat_0) * np.sin(dlon / 2) ** 2
        )
        return np.asarray(half_chord_sq <= sin(self.angle_rad / 2) ** 2, dtype=np.bool_)

    def outline(self, spacing_deg: float) -> tuple[Floats, Floats]:
        """Points of the circle, by pyproj's geodesics on the sphere."""
        around = 360 * sin(min(self.angle_rad, pi / 2))
        n = max(72, int(np.ceil(around / spacing_deg)))
        azimuth = np.arange(n) * (360 / n)
        lon, lat, _ = self.body.geod().fwd(
            np.full(n, self.lon_deg),
            np.full(n, self.lat_deg),
            azimuth,
            np.full(n, self.radius_km * 1000),
        )
        return wrap_lon(np.asarray(lon)), np.asarray(lat, dtype=np.float64)

    @property
    def area_km2(self) -> float:
        """Area of the spherical cap."""
        return 4 * pi * (self.body.radius_m / 1000) ** 2 * sin(self.angle_rad / 2) ** 2

    def _poles(self) -> tuple[bool, bool]:
        return bool(self.contains(0.0, 90.0)), bool(self.contains(0.0, -90.0))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Exact bounding box; all longitudes where a pole is inside."""
        north, south = self._poles()
        half = np.degrees(self.angle_rad)
        bottom = -90.0 if south else self.lat_deg - half
        top = 90.0 if north else self.lat_deg + half
        if north or south:
            return -180.0, float(bottom), 180.0, float(top)
        width = np.degrees(np.arcsin(min(1.0, sin(self.angle_rad) / cos(radians(self.lat_deg)))))
        west, east = wrap_lon(np.array([self.lon_deg - width, self.lon_deg + width]))
        return float(west), float(bottom), float(east), float(top)

    def polygon(self, spacing_deg: float = DRAW_SPACING_DEG) -> MultiPolygon:
        """The circle as lon/lat polygons."""
        north, south = self._poles()
        return ring_polygon(*self.outline(spacing_deg), north=north, south=south)


@dataclass(frozen=True)
class Box(Region):
    """Between two meridians and two parallels, edges included.

    Attributes:
        west, south, east, north: degrees; east of ``west`` to ``east``, so west > east crosses
            +-180 (170, -170 is 20 degrees wide); a full turn is -180, 180 or 0, 360.
    """

    body: Body
    west: float
    south: float
    east: float
    north: float
    name: str = "box"

    def __post_init__(self) -> None:
        if not -90 <= self.south < self.north <= 90:
            raise InputError(
                f"Box latitudes {self.south} to {self.north} are not south to north.",
                "Give west,south,east,north in degrees.",
            )
        if not all(-360 <= lon <= 360 for lon in (self.west, self.east)):
            raise InputError(
                f"Box longitudes {self.west} to {self.east} are out of range.",
                "Give degrees east between -180 and 360.",
            )
        if self.west == self.east:
            raise InputError("The box has no width.", "Give -180 and 180 for a full turn.")

    @property
    def width_deg(self) -> float:
        """Width in longitude, 0 < width <= 360."""
        turn = self.east - self.west
        return 360.0 if turn >= 360 else float(np.mod(turn, 360)) or 360.0

    def contains(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> Bools:
        """Which points are inside; a pole belongs to a box that reaches it."""
        lon, lat = (np.asarray(x, dtype=np.float64) for x in (lon_deg, lat_deg))
        # Two tests, as the remainder of a point on either edge may round across it.
        from_west = np.mod(lon - self.west, 360)
        inside = (from_west <= self.width_deg) | (np.mod(self.east - lon, 360) <= self.width_deg)
        return np.asarray(
            (inside | (np.abs(lat) == 90)) & (lat >= self.south) & (lat <= self.north),
            dtype=np.bool_,
        )

    def _ring(self, spacing_deg: float) -> tuple[Floats, Floats]:
        east = self.west + self.width_deg
        n_lon = max(2, int(np.ceil(self.width_deg / spacing_deg)) + 1)
        n_lat = max(2, int(np.ceil((self.north - self.south) / spacing_deg)) + 1)
        lon, lat = np.linspace(self.west, east, n_lon), np.linspace(self.south, self.north, n_lat)
        lons = [lon, np.full(n_lat, east), lon[::-1], np.full(n_lat, self.west)]
        lats = [np.full(n_lon, self.south), lat, np.full(n_lon, self.north), lat[::-1]]
        return np.concatenate(lons), np.concatenate(lats)

    def outline(self, spacing_deg: float) -> tuple[Floats, Floats]:
        """Points of the four edges."""
        lon, lat = self._ring(spacing_deg)
        return wrap_lon(lon), lat

    @property
    def area_km2(self) -> float:
        """Area between the parallels, times the share of the turn."""
        height = sin(radians(self.north)) - sin(radians(self.south))
        return (self.body.radius_m / 1000) ** 2 * radians(self.width_deg) * height

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The box itself, longitudes in [-180, 180]."""
        if self.width_deg >= 360:
            return -180.0, self.south, 180.0, self.north
        west, east = wrap_lon(np.array([self.west, self.west + self.width_deg]))
        return float(west), self.south, float(east) if east > -180 else 180.0, self.north

    def polygon(self, spacing_deg: float = DRAW_SPACING_DEG) -> MultiPolygon:
        """The box as one or two lon/lat rectangles."""
        west, south, east, north = self.bounds
        spans = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
        return MultiPolygon([shapely.box(w, south, e, north) for w, e in spans])
