"""Counts of small craters in the annuli and sectors around many sites.

Craters are kept as vectors sorted by nested HEALPix cell, so that a site reads a few hundred
contiguous slices; each crater within reach is then binned exactly, about 25 ns a crater and core.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import hpgeom
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError
from queries.coverage import Coverage, cell_count, cells_of
from queries.rays.field import ANNULI, SECTORS, SMALL_SHARE
from queries.sphere import Floats, local_frame, lonlat, unit_vectors

_BLOCK = 16_384  # craters binned at a time: what stays in a core's cache
_BINS = (ANNULI + 2) * SECTORS
_RADIAL, _ACROSS = 6, 4  # samples of the exposure of one bin, outwards and across


class SmallCraters:
    """Craters of a body, ready to be counted around sites.

    Args:
        lon_deg, lat_deg, diameter_m: shape (n,).
        order: HEALPix order of the index; by default about 100 craters a cell.
    """

    def __init__(
        self,
        lon_deg: ArrayLike,
        lat_deg: ArrayLike,
        diameter_m: ArrayLike,
        order: int | None = None,
    ) -> None:
        lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
        diameter = np.asarray(diameter_m, np.float32)
        if not lon.shape == lat.shape == diameter.shape or lon.ndim != 1:
            raise InputError(
                "Longitudes, latitudes and diameters differ in number.", "Give one each a crater."
            )
        guess = np.log(max(len(lon) / 1200.0, 1.0)) / np.log(4.0)
        self.order = int(np.clip(round(guess), 0, 8)) if order is None else order
        cells = cells_of(self.order, lon, lat)
        by_cell = np.argsort(cells, kind="stable")
        self.vectors = np.ascontiguousarray(unit_vectors(lon[by_cell], lat[by_cell]).T)
        self.diameter_m = diameter[by_cell]
        self.starts = np.searchsorted(cells[by_cell], np.arange(cell_count(self.order) + 1))
        self.largest_m = float(diameter.max()) if len(diameter) else 0.0

    def within(self, lon_deg: float, lat_deg: float, arc_deg: float) -> list[slice]:
        """Slices of the sorted craters that hold everything within an arc, and some more."""
        ranges = hpgeom.query_circle(
            2**self.order,
            lon_deg % 360.0,
            lat_deg,
            min(arc_deg, 179.99),
            inclusive=True,
            return_pixel_ranges=True,
        )
        bounds = self.starts[np.asarray(ranges, dtype=np.int64)]
        return [slice(a, b) for a, b in bounds.tolist() if b > a]

    def count(
        self, lon_deg: float, lat_deg: float, edges_deg: Floats, largest_m: float
    ) -> NDArray[np.int64]:
        """Craters up to `largest_m` by annulus and sector: shape (6, 72)."""
        slices = self.within(lon_deg, lat_deg, float(edges_deg[-1]))
        frame = local_frame(lon_deg, lat_deg)
        bins = np.zeros(_BINS, np.int64)
        for block in _blocks(slices):
            vectors = np.concatenate([self.vectors[:, part] for part in block], axis=1)
            index = _bin(frame @ vectors, edges_deg)
            if largest_m < self.largest_m:
                small = np.concatenate([self.diameter_m[part] for part in block]) <= largest_m
                index = index[small]
            bins += np.bincount(index, minlength=_BINS)
        return np.asarray(bins.reshape(ANNULI + 2, SECTORS)[1:-1])


def _blocks(slices: list[slice]) -> list[list[slice]]:
    """The slices, cut and grouped so that a group holds about `_BLOCK` craters."""
    groups: list[list[slice]] = []
    group: list[slice] = []
    room = _BLOCK
    for part in slices:
        start = part.start
        while start < part.stop:
            stop = min(part.stop, start + room)
            group.append(slice(start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                groups.append(group)
                group, room = [], _BLOCK
    return [*groups, group] if group else groups


def _bin(local: Floats, edges_deg: Floats) -> NDArray[np.int64]:
    """Bin of each local vector (3, m): 72 * (annulus + 1) + sector; 0 inside, 7 outside."""
    sector = np.arctan2(-local[0], -local[1])
    sector += np.pi
    sector *= SECTORS / (2.0 * np.pi)
    index = sector.astype(np.int64)
    index[index == SECTORS] = 0
    # Squared chords keep small arcs exact where the cosine would not.
    chord2 = 4.0 * np.sin(np.radians(edges_deg) / 2.0) ** 2
    distance2 = local[0] * local[0]
    distance2 += local[1] * local[1]
    below = local[2] - 1.0
    distance2 += below * below
    annulus = np.zeros(len(index), np.int8)
    for edge in chord2:
        annulus += distance2 >= edge
    index += annulus.astype(np.int64) * SECTORS
    return np.asarray(index)


def count_sites(
    craters: SmallCraters,
    lon_deg: Floats,
    lat_deg: Floats,
    diameter_m: Floats,
    edges_deg: Floats,
    *,
    threads: int = 2,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.int32]:
    """Counts around many sites, shape (n, 6, 72), of craters up to 5 % of each site's diameter.

    Args:
        craters: the small craters.
        lon_deg, lat_deg, diameter_m: the sites, shape (n,).
        edges_deg: annuli of each site, shape (n, 7).
        threads: NumPy works outside the interpreter's lock, so threads share the index.
        progress: called with the number of sites done since the last call.
    """
    result = np.empty((len(lon_deg), ANNULI, SECTORS), np.int32)

    def work(part: range) -> int:
        for i in part:
            result[i] = craters.count(
                float(lon_deg[i]), float(lat_deg[i]), edges_deg[i], SMALL_SHARE * diameter_m[i]
            )
        return len(part)

    _in_threads(work, len(lon_deg), threads, progress)
    return result


def exposure_sites(
    coverage: Coverage,
    lon_deg: Floats,
    lat_deg: Floats,
    edges_deg: Floats,
    *,
    threads: int = 2,
) -> NDArray[np.float32]:
    """Imaged share (0..1) of each annulus and sector of each site, shape (n, 6, 72)."""
    result = np.ones((len(lon_deg), ANNULI, SECTORS), np.float32)
    if coverage.complete:
        return result

    def work(part: range) -> int:
        for i in part:
            result[i] = exposure(coverage, float(lon_deg[i]), float(lat_deg[i]), edges_deg[i])
        return len(part)

    _in_threads(work, len(lon_deg), threads, None)
    return result


def exposure(
    coverage: Coverage, lon_deg: float, lat_deg: float, edges_deg: Floats
) -> NDArray[np.float32]:
    """Imaged share of the annuli and sectors of one site, shape (6, 72).

    Sampled at 24 points a bin that share its solid angle evenly.
    """
    middle = (np.arange(_RADIAL) + 0.5) / _RADIAL
    chord2 = np.sin(np.radians(edges_deg) / 2.0) ** 2  # proportional to the area of a cap
    cap = (chord2[:-1, None] + np.diff(chord2)[:, None] * middle).ravel()
    azimuth = np.radians((np.arange(SECTORS * _ACROSS) + 0.5) * 360.0 / (SECTORS * _ACROSS))
    arc = 2.0 * np.arcsin(np.sqrt(cap))[:, None]
    local = np.stack(
        [
            np.sin(arc) * np.sin(azimuth),
            np.sin(arc) * np.cos(azimuth),
            np.broadcast_to(np.cos(arc), (len(cap), len(azimuth))),
        ],
        axis=-1,
    )
    seen = coverage.at(*lonlat(local.reshape(-1, 3) @ local_frame(lon_deg, lat_deg)))
    samples = seen.reshape(ANNULI, _RADIAL, SECTORS, _ACROSS)
    return np.asarray(samples.mean(axis=(1, 3), dtype=np.float32))


def _in_threads(
    work: Callable[[range], int], n: int, threads: int, progress: Callable[[int], None] | None
) -> None:
    parts = [range(start, min(start + 64, n)) for start in range(0, n, 64)]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for done in pool.map(work, parts):
            if progress is not None:
                progress(done)
