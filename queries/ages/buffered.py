"""Buffered counts: craters that touch a feature, on the ground from which each size reaches it.

After Tanaka (1982) and Fassett & Head (2008), Icarus 195, 61-89, for valleys and other lines, and
Kneissl et al. (2015), Icarus 250, 384-394, for areas. A crater of diameter D counts if its rim (or
its ejecta, with a larger reach) touches the feature, hence if its centre lies within reach x D of
it; so craters of that size were looked for on the feature widened by reach x D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Transformer
from shapely.geometry.base import BaseGeometry

from cda_db.bodies import Body
from cda_db.errors import InputError
from queries.ages.csfd import check_diameters, check_range
from queries.ages.exposure import Exposure

Floats = NDArray[np.float64]

RIM_TOUCHES = 0.5  # of a diameter from the centre
_BINS_PER_DECADE = 50  # the area is stepped: 4.7 % of D a step, the middle's area for each
_WIDEST_DEG = 10.0  # of arc from the centre: lengths are then within 0.4 %
_STEP_DEG = 0.05


@dataclass(frozen=True)
class Feature:
    """A line or area on a body, in an equal-area plane around it.

    Attributes:
        body: where it lies.
        plane: in metres, Lambert azimuthal equal-area around the feature's middle.
        crs: of ``plane``.
    """

    body: Body
    plane: BaseGeometry
    crs: CRS

    def distance_km(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> Floats:
        """Distance of points from the feature, 0 inside an area, of the points' shape."""
        to_plane = Transformer.from_crs(self.body.crs(), self.crs, always_xy=True)
        x, y = to_plane.transform(np.asarray(lon_deg, float), np.asarray(lat_deg, float))
        shapely.prepare(self.plane)
        return np.asarray(shapely.distance(self.plane, shapely.points(x, y)) / 1000)

    def buffer(self, distance_km: float) -> BaseGeometry:
        """The feature widened by that distance, in ``crs``."""
        return self.plane.buffer(distance_km * 1000, quad_segs=64)


def make_feature(geometry: BaseGeometry, body: Body) -> Feature:
    """A feature of a lon/lat line or polygon; edges are straight in lon/lat.

    Args:
        geometry: LineString, Polygon or their multiples, degrees east and north; across +-180 with
            longitudes that run past it (170 to 190) or that jump.

    Raises:
        InputError: empty, of another kind, or reaching more than 10 degrees from its middle.
    """
    if geometry.is_empty or geometry.geom_type.removeprefix("Multi") not in (
        "LineString",
        "Polygon",
    ):
        raise InputError(
            f"A buffered count needs lines or polygons, not {geometry.geom_type}.",
            "Give a line or an area.",
        )
    geometry = shapely.transform(geometry, _unwrapped)
    west, south, east, north = geometry.bounds
    lon_0, lat_0 = (west + east) / 2, (south + north) / 2
    lon, lat = shapely.get_coordinates(geometry).T
    # On the sphere from the middle to the farthest vertex.
    far = body.geod().inv(np.full(len(lon), lon_0), np.full(len(lat), lat_0), lon, lat)[2]
    if np.max(far) > np.radians(_WIDEST_DEG) * body.radius_m:
        raise InputError(
            f"The feature reaches more than {_WIDEST_DEG:g} degrees from its middle.",
            "Split it and count its parts one by one.",
        )
    crs = CRS.from_proj4(
        f"+proj=laea +lon_0={lon_0!r} +lat_0={lat_0!r} +R={body.radius_m!r} +units=m +no_defs"
    )
    to_plane = Transformer.from_crs(body.crs(), crs, always_xy=True)
    dense = shapely.segmentize(geometry, _STEP_DEG)
    plane = shapely.transform(dense, lambda c: np.stack(to_plane.transform(*c.T), axis=-1))
    return Feature(body, plane, crs)


def _unwrapped(coordinates: Floats) -> Floats:
    """Longitudes within 180 degrees of the first vertex's."""
    lon = coordinates[:, 0]
    return np.stack([lon[0] + (lon - lon[0] + 180) % 360 - 180, coordinates[:, 1]], axis=1)


def buffered_exposure(
    feature: Feature, range_km: tuple[float, float], reach: float = RIM_TOUCHES
) -> Exposure:
    """Area searched for each size: the feature widened by ``reach`` x D.

    Args:
        range_km: diameters for which areas are made.
        reach: 0.5 where the rim must touch, more where the ejecta count.
    """
    low, high = check_range(range_km)
    n = max(1, int(np.ceil(np.log10(high / low) * _BINS_PER_DECADE)))
    edges = np.geomspace(low, high, n + 1)
    middle = np.sqrt(edges[:-1] * edges[1:])
    areas = [feature.buffer(reach * d).area / 1e6 for d in middle]
    return Exposure(edges, np.array(areas))


def touches(
    feature: Feature,
    lon_deg: ArrayLike,
    lat_deg: ArrayLike,
    diameters_km: ArrayLike,
    reach: float = RIM_TOUCHES,
) -> NDArray[np.bool_]:
    """Which craters count: centre within ``reach`` x D of the feature, (n,)."""
    d = check_diameters(diameters_km)
    return np.asarray(feature.distance_km(lon_deg, lat_deg) <= reach * d, dtype=np.bool_)
