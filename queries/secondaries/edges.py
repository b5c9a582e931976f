"""Random craters on the unimaged side of an edge, so that cells there are judged like any other.

A crater at the edge of the imaged ground has a cell cut by the edge. Cut cells are smaller more
often than whole ones (a corner needs fewer neighbours to make a tiny cell), and in the far tail,
where false-discovery control works, the p-values of whole cells are several times too small for
them. So the unimaged ground near an edge is filled with random craters at the local density;
where nothing clusters, the cells of the real ones are then exactly Poisson Voronoi cells.
"""

from __future__ import annotations

import hpgeom
import numpy as np
from numpy.typing import NDArray

from queries.coverage import (
    Coverage,
    cell_centres,
    cell_count,
    draw_in_cells,
)
from queries.secondaries.background import local_mean_area
from queries.sphere import Floats

_MARGIN = 5  # rings of cells, about as many mean distances between craters, past the edge


def fill_beyond_edges(
    lon_deg: Floats,
    lat_deg: Floats,
    area_sr: Floats,
    coverage: Coverage,
    window: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Random craters on unimaged ground near imaged ground, at the local background's density.

    Args:
        lon_deg, lat_deg, area_sr: the craters and their clipped cells, shape (n,).
        coverage: the imaged ground.
        window: craters in a background window.
        rng: where the filling craters fall.

    Returns:
        lon_deg, lat_deg of the filling craters.
    """
    spacing = _spacing_order(len(lon_deg), coverage)
    near = _near_imaged(coverage, spacing)
    cells, share = _unimaged_cells(coverage, spacing, near)
    order = max(spacing, coverage.order)
    lon, lat = cell_centres(order, cells)
    mean = local_mean_area(lon_deg, lat_deg, area_sr, coverage, window, at=(lon, lat))
    expected = share * (4.0 * np.pi / cell_count(order)) / mean
    return draw_in_cells(order, np.repeat(cells, rng.poisson(expected)), rng)


def _spacing_order(n: int, coverage: Coverage) -> int:
    """Order whose cells hold about one crater each."""
    cells = n * 4.0 * np.pi / coverage.area_sr / 12.0
    return int(np.clip(np.floor(np.log(max(cells, 1.0)) / np.log(4.0)), 0, 12))


def _near_imaged(coverage: Coverage, order: int) -> NDArray[np.int64]:
    """Cells of that order with imaged ground in them or within `_MARGIN` rings."""
    if order >= coverage.order:
        size = 4 ** (order - coverage.order)
        imaged = np.flatnonzero(coverage.fraction > 0.0)
        near = (imaged[:, None] * size + np.arange(size)).ravel()
    else:
        near = np.flatnonzero(coverage.degraded(order).fraction > 0.0)
    mark = np.zeros(cell_count(order), bool)
    mark[near] = True
    rim = near
    for _ in range(_MARGIN):
        around = np.unique(np.asarray(hpgeom.neighbors(2**order, rim)).ravel())
        rim = around[(around >= 0) & ~mark[around]]
        if len(rim) == 0:
            break
        mark[rim] = True
    return np.flatnonzero(mark)


def _unimaged_cells(
    coverage: Coverage, order: int, near: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Floats]:
    """Cells, at the finer of the two orders, that are not wholly imaged, and the missing share."""
    if coverage.order > order:
        size = 4 ** (coverage.order - order)
        cells = (near[:, None] * size + np.arange(size)).ravel()
        missing = 1.0 - coverage.fraction[cells].astype(float)
    else:
        cells = near
        missing = 1.0 - coverage.fraction[near // 4 ** (order - coverage.order)].astype(float)
    keep = missing > 0.0
    return cells[keep], missing[keep]
