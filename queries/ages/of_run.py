"""Counts of a run: its craters in a region, and the ground that was imaged for each size."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from cda_db import catalogue
from cda_db.bodies import Body
from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run
from queries import moc
from queries.ages.counts_io import CraterCounts, Ring
from queries.ages.csfd import check_range
from queries.ages.exposure import Exposure
from queries.craters import run_craters
from queries.density.bins import root2_bin, root2_edge_km
from queries.regions import Region

_SAME_AREA = 0.01  # relative: below the 0.4 % of the sphere's area and any counting error


@dataclass(frozen=True)
class RunCounts:
    """Craters of a run in a region and a diameter range.

    Attributes:
        name: run and region.
        body: the run's body.
        craters: as of ``queries.craters.run_craters``.
        exposure: imaged area by root-2 bin, clipped to the range.
        region: None: all that the run imaged.
    """

    name: str
    body: Body
    craters: gpd.GeoDataFrame
    exposure: Exposure
    region: Region | None

    @property
    def diameters_km(self) -> NDArray[np.float64]:
        """Diameters, (n,)."""
        return np.asarray(self.craters["diameter_m"].to_numpy(np.float64) / 1000)

    @property
    def area_km2(self) -> float:
        """The one area on which every size of the range was imaged.

        Raises:
            InputError: it differs by more than 1 % within the range.
        """
        areas = self.exposure.areas_km2
        if areas.max() - areas.min() > _SAME_AREA * areas.max() or not areas.min() > 0:
            raise InputError(
                f"{self.name}: the imaged area changes with diameter, from {areas.min():g} to"
                f" {areas.max():g} km2 within the range.",
                "Narrow the range, or use --method poisson, which takes each size's own area.",
            )
        return float(areas.mean())

    def as_counts(self) -> CraterCounts:
        """The same for a ``.diam`` or ``.scc`` file. Raises InputError as ``area_km2``."""
        return CraterCounts(
            name=self.name,
            diameters_km=self.diameters_km,
            area_km2=self.area_km2,
            lon_deg=self.craters["lon"].to_numpy(np.float64),
            lat_deg=self.craters["lat"].to_numpy(np.float64),
            radius_km=self.body.radius_m / 1000,
            rings=() if self.region is None else region_rings(self.region),
        )


def run_counts(
    conn: Connection, run: Run, range_km: tuple[float, float], region: Region | None = None
) -> RunCounts:
    """Read the craters with low <= D < high whose centre lies in the region.

    The imaged area of each root-2 bin that the range touches is the union of the scenes and levels
    whose size window holds that bin, within the region, to one cell of the run's coverage.

    Raises:
        InputError: an empty range. StateError: the run has no catalogue.
    """
    low, high = check_range(range_km)
    craters = run_craters(
        conn, run, region=region, min_diameter_m=low * 1000, max_diameter_m=high * 1000
    )
    last = int(root2_bin(np.nextafter(high, 0) * 1000))
    bins = np.arange(int(root2_bin(low * 1000)), last + 1)
    ground = catalogue.ImagedGround(conn, run)
    areas = [_imaged_km2(ground, int(k), region) for k in bins]
    edges = np.clip(root2_edge_km(np.append(bins, last + 1)), low, high)
    place = "all imaged ground" if region is None else region.name
    return RunCounts(
        name=f"{run.name}, {place}",
        body=run.body,
        craters=craters,
        exposure=Exposure(edges, np.array(areas, dtype=np.float64)),
        region=region,
    )


def region_rings(region: Region) -> tuple[Ring, ...]:
    """Outlines of a region in degrees, holes marked."""
    rings = []
    for polygon in region.polygon().geoms:
        for hole, ring in ((False, polygon.exterior), *((True, r) for r in polygon.interiors)):
            lon, lat = np.asarray(ring.coords, dtype=np.float64)[:, :2].T
            rings.append(Ring(hole, lon, lat))
    return tuple(rings)


def _imaged_km2(ground: catalogue.ImagedGround, root2: int, region: Region | None) -> float:
    order, ranges = ground.of(root2)
    if region is not None:
        ranges = moc.intersect(ranges, region.ranges(order))
    cells = int(np.sum(ranges[:, 1] - ranges[:, 0]))
    return cells * moc.cell_area_km2(ground.run.body, order)
