"""The local background of a crater: what its Voronoi cell would measure if nothing clustered.

Windows are blocks of 3 x 3 HEALPix cells (the cell that holds the crater and its neighbours), at
the order at which a block holds about `WINDOW` craters on average; where it holds fewer than
`LEAST`, the next coarser blocks are used, in the end all craters. Within a window the *median*
cell area is taken, which clusters of less than half the craters cannot drag far, and turned into
a mean by the ratio of Poisson Voronoi cells.
"""

from __future__ import annotations

import hpgeom
import numpy as np
from numpy.typing import NDArray

from queries.coverage import Coverage, cell_count, cells_of
from queries.sphere import Floats

WINDOW = 300
LEAST = 75
MEDIAN_TO_MEAN = 0.9104  # median / mean area of Poisson Voronoi cells (simulated, make_table)


def local_mean_area(
    lon_deg: Floats,
    lat_deg: Floats,
    area_sr: Floats,
    coverage: Coverage,
    window: int = WINDOW,
    at: tuple[Floats, Floats] | None = None,
) -> Floats:
    """Mean cell area (steradian) of the ground around each crater, or around the points `at`.

    Args:
        lon_deg, lat_deg, area_sr: the craters and their cells, shape (n,).
        coverage: sets the size of the windows, through the mean density.
        window: craters in a window, on average at least.
        at: (lon_deg, lat_deg) of other points, shape (m,).
    """
    lon, lat = (lon_deg, lat_deg) if at is None else at
    median = np.full(len(lon), np.nan)
    todo = np.arange(len(lon))
    for order in range(window_order(len(area_sr), coverage, window), -1, -1):
        cells = cells_of(order, lon_deg, lat_deg)
        blocks, which = np.unique(cells_of(order, lon[todo], lat[todo]), return_inverse=True)
        medians, counts = _block_medians(order, blocks, cells, area_sr)
        enough = counts[which] >= LEAST
        median[todo[enough]] = medians[which[enough]]
        todo = todo[~enough]
        if len(todo) == 0:
            break
    median[todo] = np.median(area_sr)
    return median / MEDIAN_TO_MEAN


def window_order(n: int, coverage: Coverage, window: int = WINDOW) -> int:
    """Finest order at which nine cells hold at least `window` craters on average."""
    expected = 9.0 * n * (4.0 * np.pi / coverage.area_sr) / cell_count(0)
    return int(max(np.floor(np.log(max(expected / window, 1.0)) / np.log(4.0)), 0))


def _block_medians(
    order: int, blocks: NDArray[np.int64], cells: NDArray[np.int64], area: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Median area and count of craters in the 3 x 3 cells around each block's cell."""
    by_cell = np.argsort(cells, kind="stable")
    ordered, areas = cells[by_cell], area[by_cell]
    medians, counts = np.empty(len(blocks)), np.empty(len(blocks), np.int64)
    for start in range(0, len(blocks), 20_000):
        part = slice(start, start + 20_000)
        members = _block_cells(order, blocks[part])
        low = np.searchsorted(ordered, members, side="left")
        size = np.searchsorted(ordered, members, side="right") - low
        size[members < 0] = 0
        block = np.repeat(np.arange(len(members)), size.sum(axis=1))
        values = areas[_expand(low.ravel(), size.ravel())]
        medians[part], counts[part] = _segment_medians(block, values, len(members))
    return medians, counts


def _block_cells(order: int, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each cell and its 8 neighbours, -1 where there are fewer and where one repeats."""
    around = np.asarray(hpgeom.neighbors(2**order, cells), dtype=np.int64).reshape(-1, 8)
    members = np.sort(np.concatenate([cells[:, None], around], axis=1), axis=1)
    members[:, 1:][members[:, 1:] == members[:, :-1]] = -1
    return np.asarray(members)


def _expand(start: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenated ranges start[i] .. start[i] + size[i]."""
    offset = np.cumsum(size) - size
    return np.asarray(np.arange(int(size.sum())) + np.repeat(start - offset, size))


def _segment_medians(
    segment: NDArray[np.int64], values: Floats, n: int
) -> tuple[Floats, NDArray[np.int64]]:
    ordered = values[np.lexsort((values, segment))]
    counts = np.bincount(segment, minlength=n)
    first = np.cumsum(counts) - counts
    last = max(len(ordered) - 1, 0)
    low = np.minimum(first + np.maximum(counts - 1, 0) // 2, last)
    high = np.minimum(first + counts // 2, last)
    medians = (ordered[low] + ordered[high]) / 2.0 if len(ordered) else np.full(n, np.nan)
    return np.where(counts > 0, medians, np.nan), counts
