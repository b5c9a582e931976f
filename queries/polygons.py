"""Polygon regions: edges straight in the plane of a CRS, or along great circles.

GIS software draws a polygon's edges straight in the plane of its layer's CRS, so that is what an
edge means here, whatever the CRS: a polygon around a pole is drawn in a polar CRS. Vertices that
are given without a plane (great-circle edges) are laid into a stereographic plane of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import radians

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Transformer
from shapely import LinearRing, MultiPolygon, Polygon
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from cda_db.bodies import Body
from cda_db.errors import InputError
from queries.regions import DRAW_SPACING_DEG, Bools, Floats, Region
from queries.rings import (
    as_multipolygon,
    fold,
    lon_span,
    lonlat_area_sr,
    ring_polygon,
    wrap_lon,
)

_AREA_SPACING_DEG = 0.02
_ARC_SPACING_DEG = 0.02
_NEAR_POLE = 90 - 1e-10


@dataclass(frozen=True)
class PlanePolygon(Region):
    """Polygons with straight edges in the plane of a CRS.

    Attributes:
        geometry: polygons in the CRS (x east, y north, ``always_xy``).
        crs: geographic (degrees; longitudes may run past +-180) or projected, on a sphere.
    """

    body: Body
    geometry: BaseGeometry
    crs: CRS
    name: str = "polygon"
    _plane: MultiPolygon = field(init=False, repr=False, compare=False)
    _tested: BaseGeometry = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plane = as_multipolygon(shapely.make_valid(self.geometry))
        if plane.is_empty or plane.area == 0:
            raise InputError(
                f"Region {self.name!r} encloses no area in its CRS.",
                "A ring around a pole needs a polar CRS, or great-circle edges.",
            )
        if self.crs.is_geographic:
            _check_width(plane, self.name)
        object.__setattr__(self, "_plane", plane)
        object.__setattr__(self, "_tested", _repeat(plane) if self.crs.is_geographic else plane)
        shapely.prepare(self._tested)
        _check_plane(self)

    @cached_property
    def _from_sphere(self) -> Transformer:
        return Transformer.from_crs(self.crs.geodetic_crs, self.crs, always_xy=True)

    def to_plane(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> tuple[Floats, Floats]:
        """Points in the plane of the CRS; infinite where the projection does not reach."""
        lon, lat = np.broadcast_arrays(
            np.asarray(lon_deg, dtype=np.float64), np.asarray(lat_deg, dtype=np.float64)
        )
        if self.crs.is_geographic:
            # A pole lies on the plane's edge: it belongs to what touches it at its longitude.
            return wrap_lon(lon), np.clip(lat, -_NEAR_POLE, _NEAR_POLE)
        x, y = self._from_sphere.transform(lon, lat)
        return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)

    def to_sphere(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Points of the plane in degrees."""
        if self.crs.is_geographic:
            return wrap_lon(x), y
        lon, lat = self._from_sphere.transform(x, y, direction="INVERSE")
        return wrap_lon(np.asarray(lon)), np.asarray(lat, dtype=np.float64)

    def contains(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> Bools:
        """Which points are inside, tested in the plane of the region's own CRS."""
        x, y = self.to_plane(lon_deg, lat_deg)
        return np.asarray(shapely.contains_xy(self._tested, x, y), dtype=np.bool_)

    def dense_ring(self, ring: LinearRing, spacing_deg: float) -> tuple[Floats, Floats]:
        """Points (lon, lat) along a ring of the plane, at most ``spacing_deg`` of arc apart."""
        step = spacing_deg
        if not self.crs.is_geographic:
            step = radians(spacing_deg) * self.body.radius_m / _metres_a_unit(self.crs)
        while True:
            xy = shapely.get_coordinates(shapely.segmentize(ring, step))
            lon, lat = self.to_sphere(xy[:, 0], xy[:, 1])
            if self.crs.is_geographic or _widest_gap_deg(lon, lat) <= spacing_deg:
                return lon[:-1], lat[:-1]
            step /= 2  # the projection shrinks the ground here

    def outline(self, spacing_deg: float) -> tuple[Floats, Floats]:
        """Points along all rings, holes too."""
        rings = [self.dense_ring(ring, spacing_deg) for ring in _rings(self._plane)]
        lon, lat = zip(*rings, strict=True)
        return np.concatenate(lon), np.concatenate(lat)

    @cached_property
    def area_km2(self) -> float:
        """Area on the sphere; edges followed every 0.02 degrees."""
        return lonlat_area_sr(self.polygon(_AREA_SPACING_DEG)) * (self.body.radius_m / 1000) ** 2

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """Bounding box of the lon/lat polygon; all longitudes where a pole is inside."""
        parts = self.polygon()
        _, south, _, north = parts.bounds
        if parts.bounds[2] - parts.bounds[0] >= 360 and _crosses_all(parts):
            return -180.0, south, 180.0, north
        west, east = lon_span(shapely.get_coordinates(parts)[:, 0])
        return west, south, east, north

    def polygon(self, spacing_deg: float = DRAW_SPACING_DEG) -> MultiPolygon:
        """The region as lon/lat polygons, cut at +-180 and closed over the poles."""
        if self.crs.is_geographic:
            return as_multipolygon(fold(self._plane))
        parts = []
        for part in self._plane.geoms:
            outer = self._ring_polygon(part.exterior, spacing_deg)
            holes = [self._ring_polygon(hole, spacing_deg) for hole in part.interiors]
            parts.append(shapely.difference(outer, shapely.union_all(holes)) if holes else outer)
        return as_multipolygon(shapely.union_all(parts))

    def _ring_polygon(self, ring: LinearRing, spacing_deg: float) -> MultiPolygon:
        lon, lat = self.dense_ring(ring, spacing_deg)
        x, y = self.to_plane([0.0, 0.0], [90.0, -90.0])
        north, south = shapely.contains_xy(Polygon(ring), x, y)
        return ring_polygon(lon, lat, north=bool(north), south=bool(south))


def great_circle_polygon(
    body: Body, lon_deg: ArrayLike, lat_deg: ArrayLike, name: str = "polygon"
) -> PlanePolygon:
    """A polygon whose edges are great circles; its inside is the side of its vertices' mean.

    Args:
        lon_deg, lat_deg: vertices (n,), n >= 3, degrees; closing vertex optional.

    Raises:
        InputError: fewer than three vertices, or vertices without a mean direction.
    """
    lon, lat = (np.asarray(x, dtype=np.float64) for x in (lon_deg, lat_deg))
    if len(lon) < 3:
        raise InputError(f"Region {name!r} has fewer than 3 vertices.", "Give a ring.")
    plane = _stereographic(body, lon, lat, name)
    dense = _great_circle_ring(body, lon, lat)
    forward = Transformer.from_crs(plane.geodetic_crs, plane, always_xy=True)
    x, y = forward.transform(*dense)
    return PlanePolygon(body, Polygon(np.stack([x, y], axis=1)), plane, name)


def _stereographic(body: Body, lon: Floats, lat: Floats, name: str) -> CRS:
    """A stereographic plane on the body's sphere, centred on the mean of the points."""
    rlon, rlat = np.radians(lon), np.radians(lat)
    unit = np.stack([np.cos(rlat) * np.cos(rlon), np.cos(rlat) * np.sin(rlon), np.sin(rlat)])
    x, y, z = unit.mean(axis=1)
    if np.hypot(np.hypot(x, y), z) < 1e-6:
        raise InputError(f"Region {name!r} has no inside: its vertices balance.", "Split it.")
    lon_0, lat_0 = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    return CRS.from_proj4(
        f"+proj=stere +lon_0={lon_0} +lat_0={lat_0} +R={body.radius_m} +units=m +no_defs"
    )


def _great_circle_ring(body: Body, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Vertices of the closed ring with points added along each great-circle edge."""
    geod = body.geod()
    lons: list[float] = []
    lats: list[float] = []
    for i in range(len(lon)):
        a, b = (lon[i], lat[i]), (lon[(i + 1) % len(lon)], lat[(i + 1) % len(lon)])
        _, _, length = geod.inv(*a, *b)
        n = int(length / (radians(_ARC_SPACING_DEG) * body.radius_m))
        between = geod.npts(*a, *b, n) if n else []
        lons += [a[0], *(p[0] for p in between)]
        lats += [a[1], *(p[1] for p in between)]
    return np.array(lons), np.array(lats)


def _rings(plane: MultiPolygon) -> list[LinearRing]:
    return [ring for part in plane.geoms for ring in (part.exterior, *part.interiors)]


def _repeat(plane: MultiPolygon) -> BaseGeometry:
    """The plane repeated to both sides, so that no seam is left at +-180."""
    return shapely.union_all([translate(plane, 360.0 * turn) for turn in (-2, -1, 0, 1, 2)])


def _check_width(plane: MultiPolygon, name: str) -> None:
    west, south, east, north = plane.bounds
    if west < -360 or east > 540 or south < -90 or north > 90:
        raise InputError(
            f"Region {name!r} has vertices outside longitude -360 to 540 or latitude +-90.",
            "Check the CRS: projected coordinates may have been called degrees.",
        )


def _check_plane(region: PlanePolygon) -> None:
    """Refuse a projected polygon that leaves the map: a point there has no place in its plane."""
    if region.crs.is_geographic:
        return
    xy = shapely.get_coordinates(region._plane)
    back = np.stack(region.to_plane(*region.to_sphere(xy[:, 0], xy[:, 1])), axis=1)
    size = region.body.radius_m / _metres_a_unit(region.crs)
    away = np.abs(back - xy)
    away[:, 0] = np.minimum(away[:, 0], np.abs(back[:, 0] + xy[:, 0]))  # +180 may come back as -180
    if not np.all(away < 1e-6 * size):
        raise InputError(
            f"Region {region.name!r} reaches outside the map of its projection.",
            "Save it in longitude and latitude, where it may run past 180 degrees.",
        )


def _metres_a_unit(crs: CRS) -> float:
    return float(crs.axis_info[0].unit_conversion_factor)


def _widest_gap_deg(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> float:
    rlon, rlat = np.radians(lon), np.radians(lat)
    h = np.sin(np.diff(rlat) / 2) ** 2
    h += np.cos(rlat[1:]) * np.cos(rlat[:-1]) * np.sin(np.diff(rlon) / 2) ** 2
    return float(np.degrees(2 * np.arcsin(np.sqrt(h.max()))))


def _crosses_all(parts: MultiPolygon) -> bool:
    """Whether the polygons reach every longitude."""
    columns = shapely.union_all(
        [shapely.box(part.bounds[0], 0, part.bounds[2], 1) for part in parts.geoms]
    )
    return bool(columns.area >= 360 - 1e-9)
