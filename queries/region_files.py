"""Regions and named features from a user's files, and the body check that every file must pass."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyogrio.errors
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from cda_db.bodies import Body
from cda_db.errors import InputError, NotFoundError
from queries.polygons import PlanePolygon, great_circle_polygon
from queries.regions import Circle
from queries.rings import as_multipolygon

Edges = Literal["plane", "great-circle"]
_COLUMNS = ("name", "body", "type", "lat_deg", "lon_east_deg", "diameter_km")
_SAME_BODY = 0.01  # relative: no two bodies' radii are closer


@dataclass(frozen=True)
class Feature:
    """A named feature of a gazetteer.

    Attributes:
        kind: the IAU's two-letter type, AA for craters.
        lon_deg: east, in [-180, 180). diameter_km: None where the gazetteer has none.
    """

    name: str
    kind: str
    lon_deg: float
    lat_deg: float
    diameter_km: float | None


def check_crs(crs: CRS | None, body: Body, what: str) -> CRS:
    """The CRS, if it is planetocentric, east positive, and of that body.

    Raises:
        InputError: no CRS, another body, planetographic latitudes, or west longitudes.
    """
    remedy = f"Re-project it to IAU_2015:{body.iau_code()}, or name its CRS if the file cannot."
    if crs is None:
        raise InputError(f"{what} has no CRS.", remedy)
    radius = crs.ellipsoid.semi_major_metre if crs.ellipsoid else 0.0
    if abs(radius / body.radius_m - 1) > _SAME_BODY:
        raise InputError(f"{what} is in {crs.name!r}, which is not on {body.name}.", remedy)
    geographic = crs.geodetic_crs
    axes = geographic.axis_info if geographic else []
    if geographic is None or any(axis.direction.lower() == "west" for axis in axes):
        raise InputError(f"{what} counts longitude westward ({crs.name!r}).", remedy)
    sphere = crs.ellipsoid is not None and crs.ellipsoid.inverse_flattening == 0
    ocentric = any("planetocentric" in axis.name.lower() for axis in axes)
    if not sphere and not (crs.is_geographic and ocentric):
        raise InputError(f"{what} has planetographic latitudes ({crs.name!r}).", remedy)
    return crs


def read_region(
    path: Path,
    body: Body,
    *,
    crs: str | None = None,
    layer: str | None = None,
    edges: Edges = "plane",
) -> PlanePolygon:
    """All polygons of a vector file as one region.

    Args:
        path: GeoPackage, GeoParquet, shapefile, FlatGeobuf or GeoJSON.
        body: the body that the file must be on.
        crs: CRS of a file that carries none, or that carries Earth's for want of another
            (GeoJSON), e.g. ``IAU_2015:49900``.
        layer: of a file with several.
        edges: ``plane``: straight in the file's CRS, as GIS software draws them;
            ``great-circle``: shortest way between vertices (one ring, no holes).

    Raises:
        InputError: unreadable, no polygons, or a CRS that ``check_crs`` refuses.
    """
    import geopandas

    what = f"Region file {path.name}"
    try:
        if path.suffix.lower() in {".parquet", ".geoparquet"}:
            frame = geopandas.read_parquet(path)
        else:
            frame = geopandas.read_file(path, layer=layer)
    except (OSError, ValueError, pyogrio.errors.DataSourceError) as error:
        raise InputError(f"{what} cannot be read: {error}", "Give a polygon file.") from error
    try:
        plane = check_crs(CRS.from_user_input(crs) if crs else frame.crs, body, what)
    except CRSError as error:
        raise InputError(f"Unknown CRS {crs!r}.", "Give e.g. IAU_2015:49900.") from error
    if edges == "great-circle":
        return _great_circle_region(frame.geometry.to_numpy(), plane, body, path.stem)
    geometry = as_multipolygon(shapely.union_all(frame.geometry.to_numpy()))
    if geometry.is_empty:
        raise InputError(f"{what} holds no polygon.", "Give a layer of polygons.")
    _check_short(geometry, plane, what)
    return PlanePolygon(body, geometry, plane, path.stem)


def _great_circle_region(
    geometry: NDArray[np.object_], crs: CRS, body: Body, name: str
) -> PlanePolygon:
    rings = [part for part in shapely.get_parts(geometry).tolist() if part.geom_type == "Polygon"]
    if len(rings) != 1 or len(rings[0].interiors):
        raise InputError(
            f"Region {name!r} is not one ring.", "Great-circle edges take one polygon, no holes."
        )
    x, y = shapely.get_coordinates(rings[0].exterior)[:-1].T
    to_sphere = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    return great_circle_polygon(body, *to_sphere.transform(x, y), name)


def _check_short(geometry: shapely.MultiPolygon, crs: CRS, what: str) -> None:
    """Refuse edges whose way round the body is in doubt."""
    if not crs.is_geographic:
        return
    for part in geometry.geoms:
        turn = np.abs(np.diff(shapely.get_coordinates(part.exterior)[:, 0]))
        if np.any((turn > 180) & (turn < 360 - 1e-6)):
            raise InputError(
                f"{what} has an edge more than 180 degrees of longitude long.",
                "Let longitudes run past 180 (170 to 190), or choose great-circle edges.",
            )


def read_gazetteer(path: Path, body: Body) -> list[Feature]:
    """Named features of a body from a CSV file.

    The columns are name, body (``Mars``, ``Earth/Moon``), type, lat_deg, lon_east_deg,
    diameter_km (may be empty).

    Raises:
        InputError: unreadable, columns missing, a number that is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Gazetteer {path} cannot be read: {error}", "Give a CSV file.") from error
    if not rows or not set(_COLUMNS) <= set(rows[0]):
        raise InputError(
            f"Gazetteer {path.name} lacks columns.", f"It needs {', '.join(_COLUMNS)}."
        )
    try:
        return [
            Feature(
                row["name"],
                row["type"],
                (float(row["lon_east_deg"]) + 180) % 360 - 180,
                float(row["lat_deg"]),
                float(row["diameter_km"]) if row["diameter_km"] else None,
            )
            for row in rows
            if row["body"].rsplit("/", 1)[-1].strip().lower() == body.name
        ]
    except ValueError as error:
        raise InputError(f"Gazetteer {path.name}: {error}.", "Correct that number.") from error


def feature_region(features: list[Feature], name: str, body: Body, scale: float = 1.0) -> Circle:
    """The circle of a named feature: its gazetteer diameter times ``scale``.

    Raises:
        NotFoundError: no feature of that name (in any case).
        InputError: the gazetteer gives it no diameter, or several features bear the name.
    """
    same = [f for f in features if f.name.casefold() == name.casefold()]
    if not same:
        raise NotFoundError(
            f"No feature {name!r} on {body.name} in the gazetteer.", "Check the spelling."
        )
    sized = [f for f in same if f.diameter_km]
    if len(sized) != 1:
        fault = "has no diameter" if not sized else "is not the only one of that name"
        raise InputError(f"Feature {name!r} {fault}.", "Use --circle LON,LAT,RADIUS_KM.")
    found = sized[0]
    radius = (found.diameter_km or 0.0) / 2 * scale
    return Circle(body, found.lon_deg, found.lat_deg, radius, found.name)
