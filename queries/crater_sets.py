"""Craters with the ground that they were sought on, from a run or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cda_db.bodies import Body, get_body
from cda_db.errors import InputError
from queries.coverage import Coverage, cell_count
from queries.region_options import RegionChoice
from queries.regions import Region
from queries.sphere import Floats, wrap_lon

_ORDER = 8  # of the coverage masks: cells of 0.23 degrees
_NAMES = {
    "lon": ("lon", "lon_deg", "lon_east_deg", "longitude"),
    "lat": ("lat", "lat_deg", "latitude"),
}


@dataclass(frozen=True)
class CraterSet:
    """Craters of one range of diameters; arrays of shape (n,).

    Attributes:
        crater_id: of the catalogue; the row's number in a file without ids.
        lon_deg, lat_deg, diameter_m: where and how large.
        body: whose craters.
        coverage: the ground imaged for the whole range of diameters, cut to the region.
        origin: run or file, for captions.
    """

    crater_id: NDArray[np.int64]
    lon_deg: Floats
    lat_deg: Floats
    diameter_m: Floats
    body: Body
    coverage: Coverage
    origin: str

    def __len__(self) -> int:
        """Number of craters."""
        return len(self.crater_id)

    def frame(self, **columns: object) -> gpd.GeoDataFrame:
        """The craters as points with the body's CRS and more columns."""
        table = pd.DataFrame(
            {
                "crater_id": self.crater_id,
                "lon": self.lon_deg,
                "lat": self.lat_deg,
                "diameter_m": self.diameter_m,
                **columns,
            }
        )
        points = gpd.points_from_xy(table["lon"], table["lat"])
        return gpd.GeoDataFrame(table, geometry=points, crs=self.body.crs())


def run_craters(
    name: str, low_m: float, high_m: float, region: RegionChoice | None = None
) -> CraterSet:
    """Craters of a run with low <= D < high.

    The ground is what was imaged for *every* root-2 bin that the range meets.
    """
    from cda_db import catalogue
    from cda_db.runs import get_run
    from queries.density.bins import root2_bin
    from queries.session import reading

    with reading() as conn:
        run = get_run(conn, name)
        table = catalogue.craters(conn, run, min_diameter_m=low_m, max_diameter_m=high_m)
        largest = min(high_m, float(table["diameter_m"].max())) if len(table) else high_m
        first, last = root2_bin([max(low_m, 1.0), max(largest * (1.0 - 1e-9), low_m, 1.0)])
        ground = catalogue.ImagedGround(conn, run)
        masks = [
            Coverage.from_ranges(*ground.of(int(k)), at_order=_ORDER)
            for k in range(int(first), int(last) + 1)
        ]
    finest = max(mask.order for mask in masks)
    if any(mask.order != finest for mask in masks):
        raise InputError(f"Run {name!r} has masks of unlike order.", "Run cda db check.")
    seen = np.minimum.reduce([mask.fraction for mask in masks])
    ids = table["crater_id"].to_numpy(np.int64)
    return _cut(ids, table, run.body, Coverage(finest, seen), f"run {name}", region)


def file_craters(
    path: Path,
    body_name: str,
    imaged: str,
    low_m: float,
    high_m: float,
    region: RegionChoice | None = None,
) -> CraterSet:
    """Craters of a file with low <= D < high.

    Args:
        path: .csv or .csv.gz, .parquet or anything that pyogrio reads.
        body_name: whose craters; a file with a CRS of another body is refused.
        imaged: "whole", or "S,N": the latitudes between which craters were sought.
        region: cuts craters and ground.

    Raises:
        InputError: a column is missing or the file is of another body.
    """
    body = get_body(body_name)
    table = _read(path, body)
    diameter = table["diameter_m"].to_numpy(float)
    table = table[(diameter >= low_m) & (diameter < high_m)].reset_index(drop=True)
    ids = (
        table["crater_id"].to_numpy(np.int64)
        if "crater_id" in table and pd.api.types.is_integer_dtype(table["crater_id"])
        else np.arange(len(table))
    )
    return _cut(ids, table, body, _ground(imaged), path.name, region)


def _read(path: Path, body: Body) -> pd.DataFrame:
    if path.name.endswith((".csv", ".csv.gz")):
        table = pd.read_csv(path, comment="#")
    else:
        from queries.region_files import check_crs

        frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
        check_crs(frame.crs, body, path.name)
        table = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    for name, others in _NAMES.items():
        found = [other for other in others if other in table]
        if not found:
            raise InputError(
                f"{path.name} has no column {name}.", f"Name it {' or '.join(others)}."
            )
        table = table.rename(columns={found[0]: name})
    if "diameter_m" not in table:
        if "diameter_km" not in table:
            raise InputError(f"{path.name} has no diameters.", "Name a column diameter_m or _km.")
        table["diameter_m"] = table["diameter_km"] * 1000.0
    return table


def _ground(imaged: str) -> Coverage:
    if imaged == "whole":
        return Coverage.whole()
    try:
        south, north = (float(part) for part in imaged.split(","))
    except ValueError as error:
        raise InputError(
            f"--imaged {imaged!r} is neither 'whole' nor S,N.", "Give e.g. --imaged=-60,60."
        ) from error
    return Coverage.between_latitudes(south, north)


def _cut(
    ids: NDArray[np.int64],
    table: pd.DataFrame,
    body: Body,
    coverage: Coverage,
    origin: str,
    region: RegionChoice | None,
) -> CraterSet:
    lon = wrap_lon(table["lon"].to_numpy(float))
    lat, diameter = table["lat"].to_numpy(float), table["diameter_m"].to_numpy(float)
    chosen = None if region is None else region.of(body)
    if chosen is not None:
        inside = chosen.contains(lon, lat)
        ids, lon, lat, diameter = ids[inside], lon[inside], lat[inside], diameter[inside]
        coverage = within(coverage, chosen)
    return CraterSet(ids, lon, lat, diameter, body, coverage, origin)


def within(coverage: Coverage, region: Region) -> Coverage:
    """The part of the ground inside a region."""
    order = max(coverage.order, _ORDER)
    fine = order + 2
    inside = Coverage.from_ranges(fine, region.ranges(fine), at_order=order).fraction
    size = cell_count(order) // cell_count(coverage.order)
    return Coverage(order, np.minimum(inside, np.repeat(coverage.fraction, size)))
