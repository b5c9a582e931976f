"""Hillshade of an elevation model, on the grid in which the detector sees it.

Lambert shading of the true ground slope: the gradient is taken in ground metres by the metric of
the grid (so cos(lat) and the scale of a polar map are in it) on elevations that were resampled
to the level first. The light comes from the left of the picture: from the west (azimuth 270
degrees) on maps with north up, and along the rows on a polar map, where it turns with longitude
so that the whole tile is lit alike, as the scenes are that the detector was trained on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ingest.grid import SceneGrid
from ingest.source import Mask, Values
from ingest.sphere import Floats

_LATTICE_PX = 16


@dataclass(frozen=True)
class Shading:
    """How an elevation model is lit.

    Attributes:
        azimuth_deg: where the light comes from, clockwise from the top of the picture.
        altitude_deg: height of the light above the horizon.
        z_unit_m: metres of one unit of the model.
        smooth_px: sigma, in the file's pixels, of the smoothing before up-sampling: elevation
            models are noisy from pixel to pixel, and slopes show it.
    """

    azimuth_deg: float = 270.0
    altitude_deg: float = 30.0
    z_unit_m: float = 1.0
    smooth_px: float = 0.6

    def as_dict(self) -> dict[str, Any]:
        """JSON values for the scene's record."""
        return asdict(self)


def shade(
    elevation: Values,
    valid: Mask,
    grid: SceneGrid,
    corner: tuple[int, int],
    level: float,
    shading: Shading,
) -> tuple[Values, Mask]:
    """Brightness in [-1, 1] of elevations, one pixel smaller on each side.

    Args:
        elevation, valid: (rows + 2, columns + 2) model units at the level.
        grid: the scene's grid at level 1.
        corner: level pixel (col, row) of the first *returned* pixel.
        level: down-sampling factor of the level.
        shading: direction of the light.

    Returns:
        brightness (rows, columns) float32 and its validity; a slope beside an invalid pixel is
        one-sided.
    """
    metres = elevation.astype(np.float64) * shading.z_unit_m
    g_col = _slope(metres, valid, axis=1)
    g_row = _slope(metres, valid, axis=0)
    inner = valid[1:-1, 1:-1]
    g11, g12, g22 = _metric(grid, corner, inner.shape, level)
    det = np.maximum(g11 * g22 - g12**2, 1e-12)
    steepness2 = (g22 * g_col**2 - 2 * g12 * g_col * g_row + g11 * g_row**2) / det
    azimuth, altitude = np.radians(shading.azimuth_deg), np.radians(shading.altitude_deg)
    light_col, light_row = np.sin(azimuth), -np.cos(azimuth)
    length = np.sqrt(g11 * light_col**2 + 2 * g12 * light_col * light_row + g22 * light_row**2)
    rise = (g_col * light_col + g_row * light_row) / np.maximum(length, 1e-6)
    brightness = (np.sin(altitude) - np.cos(altitude) * rise) / np.sqrt(1 + steepness2)
    return brightness.astype(np.float32), inner


def _slope(metres: Floats, valid: Mask, axis: int) -> Floats:
    """Rise a pixel along an axis: the mean of the two one-sided differences that are valid."""
    step = np.diff(metres, axis=axis)
    known = np.take(valid, range(1, valid.shape[axis]), axis) & np.take(
        valid, range(valid.shape[axis] - 1), axis
    )
    step = np.where(known, step, 0.0)
    trim = np.s_[1:-1, :] if axis == 1 else np.s_[:, 1:-1]
    step, known = step[trim], known[trim]
    before = np.take(step, range(step.shape[axis] - 1), axis)
    after = np.take(step, range(1, step.shape[axis]), axis)
    count = np.take(known, range(known.shape[axis] - 1), axis).astype(int)
    count = count + np.take(known, range(1, known.shape[axis]), axis)
    return np.asarray((before + after) / np.maximum(count, 1))


def _metric(
    grid: SceneGrid, corner: tuple[int, int], shape: tuple[int, ...], level: float
) -> tuple[Floats, Floats, Floats]:
    """Ground metric (metres squared a level pixel) of each pixel: g11, g12, g22.

    Computed every 16 pixels and interpolated: it varies as slowly as the map's scale does.
    """
    (rows, row_weights), (columns, column_weights) = _lattice(shape[0]), _lattice(shape[1])
    row, col = np.meshgrid((corner[1] + rows) * level, (corner[0] + columns) * level, indexing="ij")
    right, down = grid.ground_steps(col, row)
    g11, g12, g22 = (
        row_weights @ ((u * v).sum(-1) * level**2) @ column_weights.T
        for u, v in ((right, right), (right, down), (down, down))
    )
    return g11, g12, g22


def _lattice(size: int) -> tuple[Floats, Floats]:
    """Nodes (n,) about every 16 pixels of an axis, linear weights (size, n) of pixel centres."""
    nodes = np.linspace(0.0, size, max(2, size // _LATTICE_PX + 1))
    centres = np.arange(size) + 0.5
    place = centres / size * (len(nodes) - 1)
    first = np.minimum(place.astype(int), len(nodes) - 2)
    weights = np.zeros((size, len(nodes)))
    weights[np.arange(size), first] = 1 - (place - first)
    weights[np.arange(size), first + 1] = place - first
    return nodes, weights
