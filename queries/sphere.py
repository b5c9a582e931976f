"""Geometry on the unit sphere, vectorised: vectors, bearings, destinations, great circles, rings.

Angles are degrees, longitude east in [-180, 180) on the way out and in any turn on the way in,
latitude planetocentric. A *vector* is a row of three float64: x to (0, 0), y to (90 E, 0), z north.
Distances are arcs in degrees; multiply by the body's radius to get metres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Floats = NDArray[np.float64]


def unit_vectors(lon_deg: ArrayLike, lat_deg: ArrayLike) -> Floats:
    """Unit vectors, shape (..., 3), of points in degrees."""
    lon, lat = np.radians(np.asarray(lon_deg, float)), np.radians(np.asarray(lat_deg, float))
    cos_lat = np.cos(lat)
    return np.stack([cos_lat * np.cos(lon), cos_lat * np.sin(lon), np.sin(lat)], axis=-1)


def wrap_lon(lon_deg: ArrayLike) -> Floats:
    """Longitude in [-180, 180)."""
    wrapped = (np.asarray(lon_deg, float) + 180.0) % 360.0 - 180.0
    # The modulo of a tiny negative number rounds to 360 itself.
    return np.where(wrapped >= 180.0, -180.0, wrapped)


def lonlat(vectors: ArrayLike) -> tuple[Floats, Floats]:
    """Longitude and latitude in degrees of vectors of shape (..., 3) and any length."""
    v = np.asarray(vectors, float)
    lat = np.degrees(np.arctan2(v[..., 2], np.hypot(v[..., 0], v[..., 1])))
    return wrap_lon(np.degrees(np.arctan2(v[..., 1], v[..., 0]))), lat


def separation_deg(
    lon1_deg: ArrayLike, lat1_deg: ArrayLike, lon2_deg: ArrayLike, lat2_deg: ArrayLike
) -> Floats:
    """Great-circle arc in degrees; right for tiny and for antipodal pairs (atan2 form)."""
    a, b = unit_vectors(lon1_deg, lat1_deg), unit_vectors(lon2_deg, lat2_deg)
    return vector_separation_deg(a, b)


def vector_separation_deg(a: Floats, b: Floats) -> Floats:
    """Arc in degrees between unit vectors of shape (..., 3)."""
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.asarray(np.degrees(np.arctan2(cross, np.sum(a * b, axis=-1))))


def local_frame(lon_deg: ArrayLike, lat_deg: ArrayLike) -> Floats:
    """Rows east, north, up at each point: shape (..., 3, 3). At a pole, east is lon + 90."""
    lon, lat = np.radians(np.asarray(lon_deg, float)), np.radians(np.asarray(lat_deg, float))
    sin_lon, cos_lon, sin_lat, cos_lat = np.sin(lon), np.cos(lon), np.sin(lat), np.cos(lat)
    east = np.stack([-sin_lon, cos_lon, np.zeros_like(lon)], axis=-1)
    north = np.stack([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat], axis=-1)
    up = np.stack([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat], axis=-1)
    return np.stack([east, north, up], axis=-2)


def bearing_deg(
    lon1_deg: ArrayLike, lat1_deg: ArrayLike, lon2_deg: ArrayLike, lat2_deg: ArrayLike
) -> Floats:
    """Initial bearing from point 1 to point 2, degrees clockwise of north in [0, 360)."""
    frame = local_frame(lon1_deg, lat1_deg)
    to = unit_vectors(lon2_deg, lat2_deg)
    x = np.sum(frame[..., 0, :] * to, axis=-1)
    y = np.sum(frame[..., 1, :] * to, axis=-1)
    return np.asarray(np.degrees(np.arctan2(x, y)) % 360.0)


def destination(
    lon_deg: ArrayLike, lat_deg: ArrayLike, bearing: ArrayLike, arc_deg: ArrayLike
) -> tuple[Floats, Floats]:
    """Point reached from (lon, lat) along a bearing after an arc, all in degrees; broadcasts."""
    frame = local_frame(lon_deg, lat_deg)
    azimuth, arc = np.radians(np.asarray(bearing, float)), np.radians(np.asarray(arc_deg, float))
    sideways = np.sin(arc)
    vector = (
        (sideways * np.sin(azimuth))[..., None] * frame[..., 0, :]
        + (sideways * np.cos(azimuth))[..., None] * frame[..., 1, :]
        + np.cos(arc)[..., None] * frame[..., 2, :]
    )
    return lonlat(vector)


def great_circle_pole(lon_deg: ArrayLike, lat_deg: ArrayLike, bearing: ArrayLike) -> Floats:
    """Unit normal, shape (..., 3), of the great circle through a point along a bearing."""
    frame = local_frame(lon_deg, lat_deg)
    azimuth = np.radians(np.asarray(bearing, float))
    along = (
        np.sin(azimuth)[..., None] * frame[..., 0, :]
        + np.cos(azimuth)[..., None] * frame[..., 1, :]
    )
    return np.cross(frame[..., 2, :], along)


# Cosine of the arc from which on two corners of a triangle count as nearly antipodal.
_NEARLY_ANTIPODAL = -0.9


def solid_angle(a: Floats, b: Floats, c: Floats) -> Floats:
    """Signed solid angle (steradian) of triangles of unit vectors; positive counter-clockwise.

    Van Oosterom & Strackee (1983). The triple product is taken of differences, which keeps tiny
    triangles (10^7 points on a sphere) exact to about 1e-10 of their own area. Where two corners
    are nearly antipodes both terms nearly cancel, and a double's unit vector is not long exactly 1:
    those few triangles are done in extended precision.
    """
    a, b, c = np.broadcast_arrays(a, b, c)
    ab, bc, ca = (np.sum(u * v, axis=-1) for u, v in ((a, b), (b, c), (c, a)))
    triple = np.sum(a * np.cross(b - a, c - a), axis=-1)
    angle = np.asarray(2.0 * np.arctan2(triple, 1.0 + ab + bc + ca))
    far = np.minimum(np.minimum(ab, bc), ca) < _NEARLY_ANTIPODAL
    if far.any():
        angle[far] = _solid_angle_extended(a[far], b[far], c[far])
    return angle


def _solid_angle_extended(*corners: Floats) -> Floats:
    a, b, c = (
        wide / np.sqrt(np.sum(wide * wide, axis=-1, keepdims=True))
        for wide in (corner.astype(np.longdouble) for corner in corners)
    )
    triple = np.sum(a * np.cross(b - a, c - a), axis=-1)
    cosines = np.sum(a * b, axis=-1) + np.sum(b * c, axis=-1) + np.sum(c * a, axis=-1)
    return np.asarray(2.0 * np.arctan2(triple, 1.0 + cosines), dtype=np.float64)


def cap_area_sr(radius_deg: ArrayLike) -> Floats:
    """Solid angle of a cap of that angular radius."""
    return np.asarray(4.0 * np.pi * np.sin(np.radians(np.asarray(radius_deg, float)) / 2.0) ** 2)


def ring_geometry(lon_deg: ArrayLike, lat_deg: ArrayLike) -> BaseGeometry:
    """A shapely (multi)polygon in lon/lat [-180, 180] of a ring on the sphere.

    The ring's vertices must lie closer than 180 degrees of longitude to each other. It may cross
    +-180 (the polygon is cut there) and may wind around one pole: then the side of that pole,
    the nearer one to the ring's mean latitude, is inside.
    """
    from shapely import make_valid
    from shapely.affinity import translate
    from shapely.geometry import Polygon, box
    from shapely.ops import unary_union

    lon = np.unwrap(np.asarray(lon_deg, float), period=360.0)
    lat = np.asarray(lat_deg, float)
    closing = lon[-1] + ((lon[0] - lon[-1] + 180.0) % 360.0 - 180.0)
    points: list[tuple[Any, Any]] = list(zip(lon.tolist(), lat.tolist(), strict=True))
    if abs(closing - lon[0]) > 180.0:
        pole = 90.0 if lat.mean() > 0 else -90.0
        points += [(closing, lat[0]), (closing, pole), (lon[0], pole)]
    polygon = make_valid(Polygon(points))
    world = box(-180.0, -90.0, 180.0, 90.0)
    first = int(np.floor((lon.min() + 180.0) / 360.0))
    last = int(np.floor((max(lon.max(), closing) + 180.0) / 360.0))
    parts = [
        translate(polygon, xoff=-360.0 * turn).intersection(world)
        for turn in range(first, last + 1)
    ]
    return unary_union([part for part in parts if part.area > 0.0])
