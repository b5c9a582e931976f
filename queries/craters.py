"""A run's crater list as GeoPackage, GeoParquet, CSV or JSON, each with the body's CRS."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import shapely

from cda_db import catalogue
from cda_db.bodies import Body
from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run
from queries.regions import Region

CRATER_FORMATS = ("gpkg", "parquet", "csv", "json")
CRATER_COLUMNS = ("crater_id", "lon", "lat", "diameter_m", "score")


def run_craters(
    conn: Connection,
    run: Run,
    *,
    region: Region | None = None,
    min_diameter_m: float | None = None,
    max_diameter_m: float | None = None,
) -> gpd.GeoDataFrame:
    """Craters of a run whose centre lies in a region, as points with the body's CRS.

    Args:
        region: None: everywhere. min_diameter_m, max_diameter_m: min <= D < max.

    Returns:
        columns crater_id, lon (degrees east in [-180, 180)), lat, diameter_m, score, geometry.
    """
    found = catalogue.craters(
        conn,
        run,
        box=None if region is None else region.bounds,
        min_diameter_m=min_diameter_m,
        max_diameter_m=max_diameter_m,
    )
    if region is not None:
        found = found[region.contains(found["lon"], found["lat"])].reset_index(drop=True)
    return crater_frame(found, run.body)


def crater_frame(craters: pd.DataFrame, body: Body) -> gpd.GeoDataFrame:
    """Crater rows as points in the body's lon/lat CRS."""
    points = shapely.points(craters["lon"].to_numpy(), craters["lat"].to_numpy())
    return gpd.GeoDataFrame(craters[list(CRATER_COLUMNS)], geometry=points, crs=body.crs())


def write_craters(
    path: Path, craters: gpd.GeoDataFrame, body: Body, file_format: str | None = None
) -> None:
    """Write craters to a file.

    GeoPackage (layer ``craters``) and GeoParquet carry the CRS themselves. CSV says it in a
    column ``crs`` of every row, JSON in its head: neither format has a place for one.

    Args:
        craters: as of ``run_craters``.
        file_format: one of ``CRATER_FORMATS``; by the file's suffix if it is None.

    Raises:
        InputError: unknown format.
    """
    chosen = file_format or path.suffix.lstrip(".").lower()
    if chosen == "gpkg":
        path.unlink(missing_ok=True)
        craters.to_file(path, layer="craters", driver="GPKG", engine="pyogrio")
    elif chosen == "parquet":
        craters.to_parquet(path, index=False)
    elif chosen == "csv":
        _write_csv(path, craters, body)
    elif chosen == "json":
        path.write_text(craters_json(craters, body), encoding="utf-8")
    else:
        raise InputError(
            f"Craters cannot be written as {chosen!r}.", f"Use {', '.join(CRATER_FORMATS)}."
        )


def crs_name(body: Body) -> str:
    """Authority and code of the body's lon/lat CRS, ``IAU_2015:49900``."""
    return f"IAU_2015:{body.iau_code()}"


def _write_csv(path: Path, craters: gpd.GeoDataFrame, body: Body) -> None:
    table = pd.DataFrame(craters[list(CRATER_COLUMNS)]).assign(crs=crs_name(body))
    pyarrow.csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), path)


def craters_json(craters: gpd.GeoDataFrame, body: Body) -> str:
    """JSON text: body, CRS, units and the list of craters."""
    head = {
        "body": body.name,
        "crs": crs_name(body),
        "sphere_radius_m": body.radius_m,
        "units": {"lon": "degrees east", "lat": "degrees north", "diameter_m": "metres"},
        "craters": craters[list(CRATER_COLUMNS)].to_dict("records"),
    }
    return json.dumps(head, allow_nan=False)
