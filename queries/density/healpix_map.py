"""Crater density on equal-area HEALPix cells: counts over imaged area, with exact intervals.

A map is dense over the cells that were imaged or hold craters. The sum of its counts over the
cells equals the catalogue's count in every bin, in the whole run and in any region: a crater
belongs to the cell that holds its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cda_db.bodies import Body
from cda_db.errors import InputError
from queries import moc
from queries.density.bins import DiameterBins, root2_edge_km
from queries.density.poisson import density_interval
from queries.regions import Region

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
CellValues = tuple[Ints, Ints]  # cells ascending, a number in each

MAX_ORDER = 12
_SLACK_DEG = 1e-7


class CraterSource(Protocol):
    """Where a map's craters and coverage come from: a run of the database, or arrays."""

    @property
    def body(self) -> Body:
        """The body that the craters are on."""

    def craters(
        self, box: Box | None, min_diameter_m: float, max_diameter_m: float
    ) -> pd.DataFrame:
        """Columns lon, lat, diameter_m of craters with min <= D < max, at least those in box."""

    def coverage(self, root2: int) -> tuple[int, Ints]:
        """Order and nested ranges of the ground on which craters of that root-2 bin were seen."""

    def rollup(self, order: int) -> pd.DataFrame | None:
        """Columns bin (root-2), cell, n over the whole body; None where there is no roll-up."""


@dataclass(frozen=True)
class DensityMap:
    """Counts and imaged areas of cells.

    Attributes:
        order: HEALPix order of the cells, nested.
        cell: int64 (m,), ascending.
        count: craters by bin and cell, int64 (b, m): all of the catalogue's.
        left_out: of those, on ground where only a part of a wide bin's sizes was imaged: not in
            the density, int64 (b, m).
        area_km2: ground on which every size of the bin was imaged, float64 (b, m).
        confidence: of the intervals.
        smoothing_km: radius within which counts and areas were summed, None if they were not.
    """

    body: Body
    order: int
    bins: DiameterBins
    cell: Ints
    count: Ints
    left_out: Ints
    area_km2: Floats
    confidence: float = 0.95
    smoothing_km: float | None = None

    @property
    def used(self) -> Ints:
        """Craters that the density counts, int64 (b, m)."""
        return np.asarray(self.count - self.left_out, dtype=np.int64)

    def interval(self) -> tuple[Floats, Floats, Floats]:
        """Density, lower and upper bound in craters a km2, (b, m); NaN where nothing is imaged."""
        return density_interval(self.used, self.area_km2, self.confidence)

    def centres(self) -> tuple[Floats, Floats]:
        """Longitude in [-180, 180) and latitude of the cells' centres, degrees (m,)."""
        return moc.cell_centres(self.cell, self.order)


@dataclass(frozen=True)
class ArraySource:
    """Craters and coverage in memory, for notebooks and tests.

    Attributes:
        lon_deg, lat_deg, diameter_m: float64 (n,).
        imaged: order and nested ranges of the imaged ground, one for all diameters.
    """

    body: Body
    lon_deg: Floats
    lat_deg: Floats
    diameter_m: Floats
    imaged: tuple[int, Ints]

    def craters(
        self, box: Box | None, min_diameter_m: float, max_diameter_m: float
    ) -> pd.DataFrame:
        """Craters of those diameters; the box is not looked at."""
        inside = (self.diameter_m >= min_diameter_m) & (self.diameter_m < max_diameter_m)
        columns = {"lon": self.lon_deg, "lat": self.lat_deg, "diameter_m": self.diameter_m}
        return pd.DataFrame({name: values[inside] for name, values in columns.items()})

    def coverage(self, root2: int) -> tuple[int, Ints]:
        """The same ground for every bin."""
        return self.imaged

    def rollup(self, order: int) -> pd.DataFrame | None:
        """None: arrays are counted."""
        return None


def density_map(
    source: CraterSource,
    bins: DiameterBins,
    order: int,
    region: Region | None = None,
    confidence: float = 0.95,
) -> DensityMap:
    """Crater density of every cell and bin.

    Args:
        source: craters and coverage.
        bins: diameter bins.
        order: HEALPix order of the cells, 0 to 12.
        region: clip craters (by their centre), cells and imaged areas to it; None: everything.
        confidence: of the Poisson intervals.

    Raises:
        InputError: the order is out of range, or the region is of another body.
    """
    if not 0 <= order <= MAX_ORDER:
        raise InputError(f"Order {order} is not in 0..{MAX_ORDER}.", "Order 6 has 55-arcmin cells.")
    if region is not None and region.body != source.body:
        raise InputError(f"Region {region.name!r} is on {region.body.name}.", "Use the run's body.")
    ground = _Ground(source, region, order, bins.needed_root2())
    rollup = source.rollup(order) if region is None and bins.aligned.any() else None
    counts, left_out, areas = [], [], []
    for i in range(len(bins)):
        low_m, high_m = float(bins.low_km[i]) * 1e3, float(bins.high_km[i]) * 1e3
        subs = range(int(bins.root2[i, 0]), int(bins.root2[i, 1]) + 1)
        if rollup is not None and bins.aligned[i]:
            counts.append(_from_rollup(rollup, subs))
        else:
            counts.append(_count(moc.cells_of_points(*ground.points(low_m, high_m), order)))
        common = ground.common(subs)
        areas.append(moc.count_in_cells(common, ground.order, order))
        left_out.append(_count(ground.left_out(subs, common, low_m, high_m)))
    cell, (count, less, fine) = _align([counts, left_out, areas], order)
    area_km2 = fine.astype(np.float64) * moc.cell_area_km2(source.body, ground.order)
    return DensityMap(source.body, order, bins, cell, count, less, area_km2, confidence)


class _Ground:
    """A source's craters and coverage, clipped to a region, coverage all at one order."""

    def __init__(
        self, source: CraterSource, region: Region | None, map_order: int, needed: list[int]
    ) -> None:
        self.source, self.region, self.map_order = source, region, map_order
        raw = {k: source.coverage(k) for k in needed}
        # A region's edge is followed in cells a sixteenth of the map's, or as fine as the coverage.
        least = map_order if region is None else map_order + 4
        self.order = max([least, *(at for at, _ in raw.values())])
        clip = None if region is None else region.ranges(self.order)
        self.ranges: dict[int, Ints] = {}
        for k, (at, ranges) in raw.items():
            fine = moc.refine(ranges, at, self.order)
            self.ranges[k] = fine if clip is None else moc.intersect(fine, clip)

    def points(self, low_m: float, high_m: float) -> tuple[Floats, Floats]:
        """Centres of the craters of those diameters."""
        box = None
        if self.region is not None:  # a little wider, so that rounding loses no crater
            west, south, east, north = self.region.bounds
            box = (west - _SLACK_DEG, south - _SLACK_DEG, east + _SLACK_DEG, north + _SLACK_DEG)
        frame = self.source.craters(box, low_m, high_m)
        lon, lat = frame["lon"].to_numpy(np.float64), frame["lat"].to_numpy(np.float64)
        if self.region is None:
            return lon, lat
        inside = self.region.contains(lon, lat)
        return lon[inside], lat[inside]

    def common(self, subs: range) -> Ints:
        """Ground on which all of the root-2 bins were imaged."""
        shared = self.ranges[subs[0]]
        for k in subs[1:]:
            if not np.array_equal(shared, self.ranges[k]):
                shared = moc.intersect(shared, self.ranges[k])
        return shared

    def left_out(self, subs: range, common: Ints, low_m: float, high_m: float) -> Ints:
        """Map cell of each crater on ground where its own size was imaged, but not every size."""
        cells = [np.zeros(0, np.int64)]
        for k in subs:
            excess = moc.subtract(self.ranges[k], common, self.order)
            if len(excess):
                low, high = (float(root2_edge_km(edge)) * 1e3 for edge in (k, k + 1))
                points = self.points(max(low, low_m), min(high, high_m))
                fine = moc.cells_of_points(*points, self.order)
                found = fine[moc.in_ranges(fine, excess)]
                cells.append(found >> (2 * (self.order - self.map_order)))
        return np.concatenate(cells)


def _from_rollup(rollup: pd.DataFrame, subs: range) -> CellValues:
    rows = rollup[rollup["bin"].isin(list(subs))]
    cell, place = np.unique(rows["cell"].to_numpy(np.int64), return_inverse=True)
    n = np.zeros(len(cell), dtype=np.int64)
    np.add.at(n, place, rows["n"].to_numpy(np.int64))
    return cell, n


def _count(cells: Ints) -> CellValues:
    cell, n = np.unique(cells, return_counts=True)
    return cell, n.astype(np.int64)


def _align(quantities: list[list[CellValues]], order: int) -> tuple[Ints, list[Ints]]:
    """Sparse cell values of several quantities and bins over one common list of cells."""
    used = np.zeros(12 * 4**order, dtype=np.bool_)  # cheaper than sorting millions of cells
    for quantity in quantities:
        for cells, _ in quantity:
            used[cells] = True
    cell = np.flatnonzero(used)
    dense = []
    for quantity in quantities:
        table = np.zeros((len(quantity), len(cell)), dtype=np.int64)
        for row, (cells, values) in zip(table, quantity, strict=True):
            row[np.searchsorted(cell, cells)] = values
        dense.append(table)
    return cell, dense
