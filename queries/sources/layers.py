"""What the user brings: unit maps as polygons, compositions as rasters, ages and rays as tables."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from cda_db.bodies import Body
from cda_db.errors import InputError
from queries.region_files import check_crs
from queries.sources.candidates import EjectaCount, FormationAge
from queries.sphere import Floats


def unit_ages(path: Path, body: Body, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
    """Age range in Ma of the mapped unit at each point; NaN off the map.

    Args:
        path: polygons with the columns age_low_ma and age_high_ma and the body's CRS. Where
            units overlap, the range spans all of them.

    Raises:
        InputError: a column or the CRS is missing, or the map is of another body.
    """
    units = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    crs = check_crs(units.crs, body, path.name)
    for name in ("age_low_ma", "age_high_ma"):
        if name not in units:
            raise InputError(
                f"{path.name} has no column {name}.", "Give every unit its age range in Ma."
            )
    x, y = Transformer.from_crs(body.crs(), crs, always_xy=True).transform(lon_deg, lat_deg)
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs=units.crs)
    joined = points.sjoin(units, predicate="intersects").groupby(level=0)
    low, high = np.full(len(points), np.nan), np.full(len(points), np.nan)
    lows, highs = joined["age_low_ma"].min(), joined["age_high_ma"].max()
    low[lows.index] = lows.to_numpy(float)
    high[highs.index] = highs.to_numpy(float)
    return low, high


def raster_values(path: Path, body: Body, lon_deg: Floats, lat_deg: Floats) -> Floats:
    """Value of a raster's first band at each point; NaN off it and at nodata.

    Raises:
        InputError: the raster has no CRS or is of another body.
    """
    with rasterio.open(path) as file:
        given = None if file.crs is None else CRS.from_wkt(file.crs.to_wkt())
        crs = check_crs(given, body, path.name)
        x, y = Transformer.from_crs(body.crs(), crs, always_xy=True).transform(lon_deg, lat_deg)
        values = [float(v[0]) for v in file.sample(zip(x, y, strict=True), masked=False)]
        inside = (
            (x >= file.bounds.left)
            & (x <= file.bounds.right)
            & (y >= file.bounds.bottom)
            & (y <= file.bounds.top)
        )
        found = np.where(inside, values, np.nan)
        if file.nodata is not None:
            found[found == file.nodata] = np.nan
    return np.asarray(found, float)


def given_ages(path: Path, crater_id: NDArray[np.int64]) -> dict[int, EjectaCount | FormationAge]:
    """Ages from a CSV with crater_id, age_ma, age_low_ma, age_high_ma (1 sigma).

    Raises:
        InputError: a column is missing, or a row is not low <= age <= high.
    """
    table = pd.read_csv(path, comment="#")
    missing = {"crater_id", "age_ma", "age_low_ma", "age_high_ma"} - set(table.columns)
    if missing:
        raise InputError(f"{path.name} lacks {', '.join(sorted(missing))}.", "Ages are in Ma.")
    ordered = (table["age_low_ma"] <= table["age_ma"]) & (table["age_ma"] <= table["age_high_ma"])
    if not ordered.all():
        raise InputError(
            f"{path.name}, row {int(np.flatnonzero(~ordered)[0]) + 1}: the age lies outside its"
            " bounds.",
            "Give low <= age <= high.",
        )
    place = {int(name): i for i, name in enumerate(crater_id)}
    names = table["crater_id"].to_numpy(np.int64).tolist()
    ages = table[["age_ma", "age_low_ma", "age_high_ma"]].to_numpy(float).tolist()
    return {
        place[name]: FormationAge(*age)
        for name, age in zip(names, ages, strict=True)
        if name in place
    }


def ray_p_values(path: Path, crater_id: NDArray[np.int64]) -> Floats:
    """p of the ray search by crater, from what `cda query rays --out` wrote; NaN where absent.

    Raises:
        InputError: the file has no layer `primaries` with crater_id and p.
    """
    if path.suffix == ".csv":
        table = pd.read_csv(path)
    else:
        layers = gpd.list_layers(path)["name"].tolist()
        if "primaries" not in layers:
            raise InputError(f"{path.name} has no layer primaries.", "Use cda query rays --out.")
        table = gpd.read_file(path, layer="primaries")
    if not {"crater_id", "p"} <= set(table.columns):
        raise InputError(f"{path.name} has no crater_id and p.", "Use cda query rays --out.")
    by_id = dict(zip(table["crater_id"].astype(int), table["p"].astype(float), strict=True))
    return np.array([by_id.get(int(name), np.nan) for name in crater_id])
