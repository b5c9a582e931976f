"""Imaged ground as a HEALPix nested mask: which share of each cell was seen.

"Empty is not unimaged": every clustering or ray statistic divides by what was imaged. A mask holds
one order and the imaged fraction (0..1) of every one of its 12 * 4^order cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import hpgeom
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError
from queries.sphere import Floats

MAX_ORDER = 10  # 12.6 million cells, 50 MB: finer ranges are averaged down to it


def cell_count(order: int) -> int:
    """Cells of the whole sphere at that order."""
    return 12 << (2 * order)


def cells_of(order: int, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.int64]:
    """Nested HEALPix cell of each point."""
    cells = hpgeom.angle_to_pixel(
        2**order, np.asarray(lon_deg, float) % 360.0, np.asarray(lat_deg, float)
    )
    return np.asarray(cells, dtype=np.int64)


def cell_centres(order: int, cells: ArrayLike) -> tuple[Floats, Floats]:
    """Longitude (0..360) and latitude of cell centres, in degrees."""
    lon, lat = hpgeom.pixel_to_angle(2**order, np.asarray(cells, dtype=np.int64))
    return np.asarray(lon, float), np.asarray(lat, float)


@dataclass(frozen=True)
class Coverage:
    """Imaged fraction of every nested HEALPix cell.

    Attributes:
        order: HEALPix order; nside is 2**order.
        fraction: shape (12 * 4**order,), float32, 0..1.
    """

    order: int
    fraction: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.fraction.shape != (cell_count(self.order),):
            raise InputError(
                f"A coverage mask of order {self.order} has {self.fraction.size} cells.",
                f"Give one fraction for each of its {cell_count(self.order)} nested cells.",
            )
        if not (self.fraction.min() >= 0.0 and self.fraction.max() <= 1.0):
            raise InputError("Imaged fractions lie outside 0..1.", "Divide by the cell's area.")
        if self.fraction.max() == 0.0:
            raise InputError("Nothing is imaged.", "Give the coverage of the craters' own bin.")

    @classmethod
    def whole(cls, order: int = 0) -> Coverage:
        """The whole sphere, imaged."""
        return cls(order, np.ones(cell_count(order), np.float32))

    @classmethod
    def from_ranges(cls, order: int, ranges: ArrayLike, at_order: int = 8) -> Coverage:
        """From half-open ranges (n, 2) of nested cells at `order`, averaged to `at_order`."""
        at_order = min(at_order, order, MAX_ORDER)
        spans = np.asarray(ranges, dtype=np.int64).reshape(-1, 2)
        size = 4 ** (order - at_order)
        filled = np.zeros(cell_count(at_order) + 1)
        # A range adds its length, clipped to each coarse cell: ramps at both ends, full between.
        first, last = spans[:, 0] // size, (spans[:, 1] - 1) // size
        same = first == last
        np.add.at(filled, first[same], (spans[same, 1] - spans[same, 0]) / size)
        head = (first[~same] + 1) * size - spans[~same, 0]
        tail = spans[~same, 1] - last[~same] * size
        np.add.at(filled, first[~same], head / size)
        np.add.at(filled, last[~same], tail / size)
        step = np.zeros(cell_count(at_order) + 1)
        np.add.at(step, first[~same] + 1, 1.0)
        np.add.at(step, last[~same], -1.0)
        total = (filled + np.cumsum(step))[:-1]
        return cls(at_order, np.clip(total, 0.0, 1.0).astype(np.float32))

    @classmethod
    def where(cls, order: int, inside: NDArray[np.bool_]) -> Coverage:
        """From one truth value a cell."""
        return cls(order, inside.astype(np.float32))

    @classmethod
    def between_latitudes(cls, south_deg: float, north_deg: float, order: int = 7) -> Coverage:
        """The band between two latitudes, edge cells by the share of 64 sub-cells in it."""
        fine = order + 3
        _, lat = cell_centres(fine, np.arange(cell_count(fine)))
        inside = (lat >= south_deg) & (lat <= north_deg)
        return cls(order, inside.reshape(-1, 64).mean(axis=1).astype(np.float32))

    @cached_property
    def complete(self) -> bool:
        """True where every cell is wholly imaged."""
        return bool((self.fraction >= 1.0).all())

    @cached_property
    def area_sr(self) -> float:
        """Imaged solid angle."""
        return float(self.fraction.sum(dtype=np.float64) * 4.0 * np.pi / self.fraction.size)

    def at(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.float32]:
        """Imaged fraction of the cell that holds each point."""
        return self.fraction[cells_of(self.order, lon_deg, lat_deg)]

    def degraded(self, order: int) -> Coverage:
        """The same mask at a coarser (or equal) order, by averaging."""
        if order >= self.order:
            return self
        mean = self.fraction.reshape(cell_count(order), -1).mean(axis=1, dtype=np.float64)
        return Coverage(order, mean.astype(np.float32))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """`n` points uniform over the imaged ground: lon_deg in [-180, 180), lat_deg.

        Inside a partly imaged cell the points are spread over the whole cell.
        """
        if self.complete:
            return draw_sphere(n, rng)
        weight = np.cumsum(self.fraction, dtype=np.float64)
        cells = np.searchsorted(weight, rng.random(n) * weight[-1], side="right")
        return draw_in_cells(self.order, np.minimum(cells, self.fraction.size - 1), rng)


def draw_sphere(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """`n` points uniform on the sphere: lon_deg in [-180, 180), lat_deg."""
    lon = rng.uniform(-180.0, 180.0, n)
    return lon, np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, n)))


def draw_in_cells(order: int, cells: ArrayLike, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """One uniform point in each given cell (nested sub-cells are equal in area).

    The point is the centre of a random sub-cell of order 29: 0.1 mm of an arc second.
    """
    base = np.asarray(cells, dtype=np.int64)
    depth = 29 - order
    sub = base * 4**depth + rng.integers(0, 4**depth, base.size)
    lon, lat = cell_centres(29, sub)
    return np.where(lon >= 180.0, lon - 360.0, lon), lat
