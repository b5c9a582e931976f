"""Buffered counts of a run: a feature from a file, a run's craters that touch it, imaged ground."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from cda_db import catalogue
from cda_db.bodies import Body
from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run
from queries import moc
from queries.ages.buffered import RIM_TOUCHES, Feature, buffered_exposure, make_feature, touches
from queries.ages.exposure import Exposure
from queries.craters import run_craters
from queries.density.bins import root2_bin
from queries.polygons import PlanePolygon
from queries.region_files import check_crs

_CELLS_ACROSS = 8  # of the buffer's width: its imaged share is then good to about a per cent
_FINEST_ORDER = 22  # of HEALPix in 64-bit integers with room: 0.8 m on Mars


def read_feature(
    path: Path, body: Body, *, crs: str | None = None, layer: str | None = None
) -> Feature:
    """All lines or polygons of a vector file as one feature.

    Args:
        path: GeoPackage, GeoParquet, shapefile, FlatGeobuf or GeoJSON.
        body: the body that the file must be on.
        crs, layer: as in ``region_files.read_region``.

    Raises:
        InputError: unreadable, another CRS, or no line or polygon.
    """
    what = f"Feature file {path.name}"
    try:
        if path.suffix.lower() in {".parquet", ".geoparquet"}:
            frame = geopandas.read_parquet(path)
        else:
            frame = geopandas.read_file(path, layer=layer)
        plane = check_crs(CRS.from_user_input(crs) if crs else frame.crs, body, what)
    except CRSError as error:
        raise InputError(f"Unknown CRS {crs!r}.", "Give e.g. IAU_2015:49900.") from error
    except (OSError, ValueError, pyogrio.errors.DataSourceError) as error:
        raise InputError(f"{what} cannot be read: {error}", "Give lines or polygons.") from error
    lonlat = frame.geometry.set_crs(plane, allow_override=True).to_crs(plane.geodetic_crs)
    return make_feature(shapely.union_all(lonlat.to_numpy()), body)


def buffered_run_counts(
    conn: Connection,
    run: Run,
    feature: Feature,
    range_km: tuple[float, float],
    reach: float = RIM_TOUCHES,
) -> tuple[NDArray[np.float64], Exposure]:
    """A run's craters that touch a feature, and the imaged part of the ground searched for them.

    Returns:
        diameters in km, (n,), and the areas by diameter: the buffer's, times the share of it that
        the scenes and levels show which can show that size.

    Raises:
        InputError: an empty range or a reach that is not above 0. StateError: no catalogue.
    """
    if not reach > 0:
        raise InputError(f"A reach of {reach} diameters is not above 0.", "0.5: rims touch.")
    exposure = buffered_exposure(feature, range_km, reach)
    middle = np.sqrt(exposure.edges_km[:-1] * exposure.edges_km[1:])
    bins = root2_bin(middle * 1000)
    share = np.empty(len(middle))
    for k in np.unique(bins):
        # One share a root-2 bin, on the buffer of its largest craters.
        buffer = feature.buffer(reach * float(middle[bins == k].max()))
        around = PlanePolygon(run.body, buffer, feature.crs)
        width_km = 2 * reach * float(middle[bins == k].min())
        share[bins == k] = _imaged_share(conn, run, int(k), around, width_km)
    widest = PlanePolygon(run.body, feature.buffer(reach * range_km[1]), feature.crs)
    low_m, high_m = (1000 * km for km in range_km)
    found = run_craters(conn, run, region=widest, min_diameter_m=low_m, max_diameter_m=high_m)
    d = np.asarray(found["diameter_m"].to_numpy(np.float64) / 1000)
    if len(d):
        d = d[touches(feature, found["lon"], found["lat"], d, reach)]
    return d, Exposure(exposure.edges_km, exposure.areas_km2 * share)


def _imaged_share(
    conn: Connection, run: Run, root2: int, around: PlanePolygon, width_km: float
) -> float:
    coverage_order, ranges = catalogue.coverage(conn, run, root2)
    order = coverage_order
    radius_km = run.body.radius_m / 1000
    while (
        order < _FINEST_ORDER
        and np.radians(moc.cell_side_deg(order)) * radius_km > width_km / _CELLS_ACROSS
    ):
        order += 1
    cells = around.ranges(order)
    imaged = moc.intersect(cells, moc.refine(ranges, coverage_order, order))
    return float(np.sum(imaged[:, 1] - imaged[:, 0]) / np.sum(cells[:, 1] - cells[:, 0]))
