"""The same density map over other bins, other cells, or as one number a bin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from queries.density.bins import DiameterBins
from queries.density.healpix_map import DensityMap, Ints


def with_bins(density: DensityMap, keep: NDArray[np.int64]) -> DensityMap:
    """The map with only the bins at the given places."""
    bins = density.bins
    return replace(
        density,
        bins=DiameterBins(
            bins.low_km[keep], bins.high_km[keep], bins.root2[keep], bins.aligned[keep]
        ),
        count=density.count[keep],
        left_out=density.left_out[keep],
        area_km2=density.area_km2[keep],
    )


def on_cells(density: DensityMap, cell: Ints) -> DensityMap:
    """The map on another list of cells (ascending); cells that it lacks are not imaged."""
    if not len(density.cell):
        empty = np.zeros((len(density.bins), len(cell)), dtype=np.int64)
        return replace(
            density, cell=cell, count=empty, left_out=empty, area_km2=empty.astype(np.float64)
        )
    at = np.minimum(np.searchsorted(density.cell, cell), len(density.cell) - 1)
    known = density.cell[at] == cell
    return replace(
        density,
        cell=cell,
        count=np.where(known, density.count[:, at], 0),
        left_out=np.where(known, density.left_out[:, at], 0),
        area_km2=np.where(known, density.area_km2[:, at], 0.0),
    )


def as_one_cell(density: DensityMap) -> DensityMap:
    """All imaged cells summed into one: (b, 1) arrays; its cell number means nothing."""
    imaged = density.area_km2 > 0
    return replace(
        density,
        cell=np.zeros(1, dtype=np.int64),
        count=np.where(imaged, density.count, 0).sum(axis=1, keepdims=True),
        left_out=np.where(imaged, density.left_out, 0).sum(axis=1, keepdims=True),
        area_km2=density.area_km2.sum(axis=1, keepdims=True),
    )
