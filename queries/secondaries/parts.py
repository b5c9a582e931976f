"""Voronoi cells of many craters in parts, with memory for one part only.

A part is a run of HEALPix cells with the craters in them, its core, and as many craters around as
it takes: a triangle is one of all craters' Delaunay triangles where no crater lies inside its
circumcircle. So the HEALPix cells that the circumcircles of the core's triangles reach are added
until there are no more to add, and the core's cells are then exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import hpgeom
import numpy as np
from numpy.typing import NDArray

from queries.coverage import cell_count, cells_of
from queries.secondaries.delaunay import Fan, fan_of
from queries.sphere import Floats, lonlat

_IN_CELL = 500  # craters, on average
_LEAST = 5  # members: fewer span no volume
_NEAR = 0.25  # of a cell's side: circumcircles within it stay in the cell and its neighbours

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Craters of one part.

    Attributes:
        core: indices of the craters whose cells are exact here, ascending.
        members: indices of all craters taken along, ascending.
        fan: pieces of the core's cells, numbered as in `members`.
    """

    core: Ints
    members: Ints
    fan: Fan


def parts_of(points: Floats, core: int, in_cell: int = _IN_CELL) -> Iterator[Part]:
    """Parts whose cores, of about `core` craters, hold each of the distinct points (n, 3) once.

    A part's craters are taken by HEALPix cells that hold `in_cell` of them on average.
    """
    order = int(max(np.log(max(len(points) / (12.0 * in_cell), 1.0)) / np.log(4.0), 0))
    cells = cells_of(order, *lonlat(points))
    sky = _Sky(points, order, np.argsort(cells, kind="stable"), np.sort(cells))
    filled, counts = np.unique(sky.sorted_cells, return_counts=True)
    number = (np.cumsum(counts) - 1) // core
    for k in np.unique(number):
        yield sky.part(filled[number == k])


@dataclass(frozen=True)
class _Sky:
    """All points, by cell of that order."""

    points: Floats
    order: int
    by_cell: Ints
    sorted_cells: Ints

    def part(self, core: Ints) -> Part:
        """The part with these core cells."""
        nside = 2**self.order
        around = np.asarray(hpgeom.neighbors(nside, core), dtype=np.int64).ravel()
        cells = np.union1d(core, around[around >= 0])
        wanted = self._members(core)
        while True:
            members = self._members(cells)
            if len(members) < _LEAST:
                cells = np.unique(self.sorted_cells)
                continue
            fan = fan_of(self.points[members]).of_owners(np.searchsorted(members, wanted))
            more = np.union1d(cells, self._reached(fan))
            if len(more) == len(cells):
                return Part(wanted, members, fan)
            cells = more

    def _members(self, cells: Ints) -> Ints:
        low = np.searchsorted(self.sorted_cells, cells, side="left")
        size = np.searchsorted(self.sorted_cells, cells, side="right") - low
        place = np.arange(int(size.sum())) + np.repeat(low - (np.cumsum(size) - size), size)
        return np.sort(self.by_cell[place])

    def _reached(self, fan: Fan) -> Ints:
        """Cells that the circumcircles of the pieces reach beyond their neighbourhood."""
        reach = fan.reach()
        side = np.sqrt(4.0 * np.pi / cell_count(self.order))
        wide = np.flatnonzero(2.0 * reach > _NEAR * side)
        _, first = np.unique(fan.left[wide], return_index=True)
        wide = wide[first]
        lon, lat = lonlat(fan.centres[fan.left[wide]])
        arc = np.degrees(reach[wide])
        nside = 2**self.order
        found = [
            np.asarray(hpgeom.query_circle(nside, x % 360.0, y, min(r, 179.99), inclusive=True))
            for x, y, r in zip(lon.tolist(), lat.tolist(), arc.tolist(), strict=True)
        ]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
