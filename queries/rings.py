"""Rings on the sphere as lon/lat polygons: cut at +-180, closed over the poles.

A ring is a closed curve given by dense vertices; its polygon in the lon/lat plane is what GIS
software draws and what GeoPackage and GeoParquet hold.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LinearRing, MultiPolygon, Polygon
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

Floats = NDArray[np.float64]

_WORLD = shapely.box(-180, -90, 180, 90)
_AT_POLE = 90 - 1e-9


def wrap_lon(lon_deg: Floats) -> Floats:
    """Longitudes moved into [-180, 180)."""
    return np.asarray(np.mod(np.asarray(lon_deg, dtype=np.float64) + 180, 360) - 180)


def ring_polygon(
    lon_deg: Floats, lat_deg: Floats, *, north: bool = False, south: bool = False
) -> MultiPolygon:
    """The lon/lat polygon inside a ring.

    Args:
        lon_deg, lat_deg: vertices (n,), the last need not repeat the first; consecutive vertices
            lie less than 180 degrees of longitude apart (the short way is taken).
        north, south: whether the inside of the ring holds that pole.

    Returns:
        MultiPolygon within [-180, 180] x [-90, 90].
    """
    lon, lat = _with_poles(np.asarray(lon_deg, np.float64), np.asarray(lat_deg, np.float64))
    lon = np.unwrap(lon, period=360)
    turns = round((lon[-1] - lon[0]) / 360)
    ring = np.stack([lon, lat], axis=1)
    if turns:
        pole = 90.0 if north else -90.0
        ring = np.vstack([ring, [[lon[-1], pole], [lon[0], pole]]])
    plane = shapely.make_valid(Polygon(ring))
    inside = fold(plane)
    if not turns and north and south:  # more than a hemisphere: the ring bounds what is outside
        inside = shapely.difference(_WORLD, inside)
    return as_multipolygon(inside)


def _with_poles(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """The closed ring with each vertex at a pole doubled: at its neighbours' longitudes."""
    n = len(lon)
    polar = np.abs(lat) >= _AT_POLE
    if polar.all():
        polar = np.zeros(n, dtype=np.bool_)
    keep = np.flatnonzero(~polar)
    before = keep[np.searchsorted(keep, np.arange(n)) - 1]  # wraps to the last one at the start
    after = keep[np.searchsorted(keep, np.arange(n), side="right") % len(keep)]
    lons: list[float] = []
    lats: list[float] = []
    for i in range(n):
        lons += [float(lon[before[i]]), float(lon[after[i]])] if polar[i] else [float(lon[i])]
        lats += [float(lat[i])] * (2 if polar[i] else 1)
    return np.array([*lons, lons[0]]), np.array([*lats, lats[0]])


def fold(plane: BaseGeometry) -> BaseGeometry:
    """A polygon of unwrapped longitudes folded into [-180, 180]."""
    west, _, east, _ = plane.bounds
    shifts = range(int(np.floor((west + 180) / 360)), int(np.floor((east + 180) / 360)) + 1)
    parts = [shapely.intersection(_WORLD, translate(plane, -360.0 * turn)) for turn in shifts]
    return shapely.union_all(parts)


def as_multipolygon(geometry: BaseGeometry) -> MultiPolygon:
    """The polygonal part of any geometry."""
    parts = [
        part
        for part in shapely.get_parts(geometry, return_index=False).tolist()
        if not part.is_empty
    ]
    flat = [
        piece
        for part in parts
        for piece in (shapely.get_parts(part).tolist() if part.geom_type != "Polygon" else [part])
    ]
    return MultiPolygon([piece for piece in flat if piece.geom_type == "Polygon"])


def lon_span(lon_deg: Floats) -> tuple[float, float]:
    """West and east end of the shortest arc of longitude that holds all values.

    Returns:
        (west, east) in [-180, 180]; west > east where the arc crosses +-180.
    """
    lon = np.unique(wrap_lon(lon_deg))
    if len(lon) == 1:
        return float(lon[0]), float(lon[0])
    gap = np.diff(np.append(lon, lon[0] + 360))
    widest = int(np.argmax(gap))
    if widest == len(lon) - 1:
        return float(lon[0]), float(lon[-1])
    return float(lon[widest + 1]), float(lon[widest])


def lonlat_area_sr(polygons: MultiPolygon) -> float:
    """Solid angle of lon/lat polygons with edges straight in longitude and latitude.

    Exact for such edges: along one, latitude is linear in longitude and sin(lat) integrates to
    dlon (cos a - cos b) / (b - a).
    """
    total = 0.0
    for part in polygons.geoms:
        total += abs(_loop_integral(part.exterior)) - sum(
            abs(_loop_integral(hole)) for hole in part.interiors
        )
    return total


def _loop_integral(ring: LinearRing) -> float:
    lon, lat = np.radians(shapely.get_coordinates(ring)).T
    rise = np.diff(lat)
    level = np.abs(rise) < 1e-9
    mean = np.where(
        level, np.sin((lat[1:] + lat[:-1]) / 2), -np.diff(np.cos(lat)) / np.where(level, 1, rise)
    )
    return float(np.sum(np.diff(lon) * mean))
