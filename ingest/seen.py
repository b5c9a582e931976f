"""Pixels of a scene as seen, at any level: straight from the file, or through a view.

A scene that is its file's own grid is averaged by whole blocks (exact area means). Everything
else (views, up-sampling, levels that are no integer) goes through one resampler: each wanted
pixel's centre is carried to the file's pixel grid, the file is averaged down to about the wanted
scale there, and sampled bilinearly (elevations that are up-sampled: smoothed by ``smooth_px``
and sampled by cubic splines, whose slopes have no facets). Both honour nodata, and columns wrap
where the file spans 360 degrees.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ingest.grid import SceneGrid
from ingest.projection import SourceFrame
from ingest.source import Mask, RasterSource, Values
from ingest.sphere import Floats

_BLOCK = 512  # wanted pixels a side that are resampled at once
_WINDOW_PIXELS = 2**22
_MARGIN = 12  # file pixels around a window: past the reach of the spline's prefilter


class SeenPixels:
    """A scene's pixels on the grid of any level.

    Args:
        source: the open file.
        frame: its CRS, normalised.
        grid: the scene's grid as seen, at level 1.
        as_is: the grid is the file's own.
        smooth_px: None for bilinear up-sampling; for elevations the width (sigma, file pixels
            of equal ground length) by which they are smoothed before cubic up-sampling.
    """

    def __init__(
        self,
        source: RasterSource,
        frame: SourceFrame,
        grid: SceneGrid,
        *,
        as_is: bool,
        smooth_px: float | None = None,
    ) -> None:
        self.source, self.frame, self.grid = source, frame, grid
        self.as_is, self.smooth_px = as_is, smooth_px
        period = frame.period
        source.enable_wrap(period)
        self._inverse = ~source.dataset.transform
        self._period_columns = None
        if period is not None and source.dataset.transform.b == 0:
            self._period_columns = period / abs(source.dataset.transform.a)

    def window(
        self, level: float, col0: int, row0: int, columns: int, rows: int
    ) -> tuple[Values, Mask]:
        """Values and validity (rows, columns) from level pixel (col0, row0)."""
        if self.as_is and level >= 1 and float(level).is_integer():
            k = int(level)
            values, valid = self.source.mean(col0 * k, row0 * k, columns, rows, k, k)
            return values, valid & self._inside(level, col0, row0, columns, rows)
        values = np.zeros((rows, columns), dtype=np.float32)
        valid = np.zeros((rows, columns), dtype=bool)
        for row in range(0, rows, _BLOCK):
            for column in range(0, columns, _BLOCK):
                size = (min(_BLOCK, columns - column), min(_BLOCK, rows - row))
                part = np.s_[row : row + size[1], column : column + size[0]]
                values[part], valid[part] = self._block(level, col0 + column, row0 + row, *size)
        return values, valid & self._inside(level, col0, row0, columns, rows)

    def _inside(self, level: float, col0: int, row0: int, columns: int, rows: int) -> Mask:
        """Level pixels that begin in the scene, or in the files around it (the last may go on)."""
        left, top, right, bottom = 0, 0, self.grid.width, self.grid.height
        if self.source.around:
            left, top, right, bottom = self.source.extent
        col = (col0 + np.arange(columns)) * level
        row = (row0 + np.arange(rows)) * level
        # a level pixel over the scene's first column may begin before it
        inside_columns = (col > left - level) & (col < right)
        inside_rows = (row > top - level) & (row < bottom)
        return np.asarray(inside_rows[:, None] & inside_columns[None, :])

    def file_pixels(self, col: Floats, row: Floats) -> tuple[Floats, Floats]:
        """The file's pixel coordinates of the scene's pixel coordinates; NaN off the sphere."""
        if self.as_is:
            return np.asarray(col, dtype=np.float64), np.asarray(row, dtype=np.float64)
        lon, lat = self.grid.to_lonlat(col, row)
        return self.file_pixels_of(lon, np.where(np.abs(lat) <= 90.0, lat, np.nan))

    def file_pixels_of(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
        """The file's pixel coordinates of points; NaN where its map does not reach."""
        x, y = self.frame.from_lonlat(lon_deg, lat_deg)
        t = self._inverse
        col, row = t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f
        if self._period_columns is not None:
            centre = self.source.width / 2
            col = col - self._period_columns * np.round((col - centre) / self._period_columns)
        lost = ~(np.isfinite(col) & np.isfinite(row))
        return np.where(lost, np.nan, col), np.where(lost, np.nan, row)

    def _block(
        self, level: float, col0: int, row0: int, columns: int, rows: int
    ) -> tuple[Values, Mask]:
        col = np.asarray((col0 + np.arange(columns) + 0.5) * level, dtype=np.float64)
        row = np.asarray((row0 + np.arange(rows) + 0.5) * level, dtype=np.float64)
        if self.as_is and self.smooth_px is None and level < 1:
            return self._enlarge(col, row)
        seen_row, seen_col = np.meshgrid(row, col, indexing="ij")
        return self._sample(*self.file_pixels(seen_col, seen_row))

    def _enlarge(self, col: Floats, row: Floats) -> tuple[Values, Mask]:
        """``_sample`` where the file's own grid is up-sampled: columns (c,) and rows (r,) apart."""
        col = self._unwrap(col, np.isfinite(col))
        col0, row0 = int(col[0]) - _MARGIN, int(row[0]) - _MARGIN
        columns, rows = int(col[-1] - col0) + _MARGIN + 1, int(row[-1] - row0) + _MARGIN + 1
        values, valid = self.source.mean(col0, row0, columns, rows, 1, 1)
        where = row - row0 - 0.5, col - col0 - 0.5
        weight = np.ones((len(row), len(col)))
        if not valid.all():
            weight = _bilinear(valid.astype(np.float64), *where)
            values = np.where(valid, values, np.float32(0))
        sampled = _bilinear(values.astype(np.float64), *where) / np.maximum(weight, 1e-6)
        extent = self.source.extent
        in_rows = (row >= extent[1]) & (row <= extent[3])
        in_columns = (col >= extent[0]) & (col <= extent[2])
        inside = in_rows[:, None] & (in_columns | (self.source.wrap_columns is not None))
        return sampled.astype(np.float32), (weight >= 0.5) & inside

    def _sample(self, col: Floats, row: Floats) -> tuple[Values, Mask]:
        """Values at file pixel coordinates, in pieces whose file window is bounded."""
        known = np.isfinite(col)
        if not known.any():
            return np.zeros(col.shape, np.float32), known
        col = self._unwrap(col, known)
        step_x, step_y = _file_steps(col), _file_steps(row)
        kx, ky = max(1, int(step_x + 1e-6)), max(1, int(step_y + 1e-6))
        left, right = np.nanmin(col), np.nanmax(col)
        top, bottom = np.nanmin(row), np.nanmax(row)
        extent = self.source.extent
        if right < extent[0] - _MARGIN or bottom < extent[1] - _MARGIN or top > extent[3] + _MARGIN:
            return np.zeros(col.shape, np.float32), np.zeros(col.shape, bool)
        if (right - left) / kx * (bottom - top) / ky > _WINDOW_PIXELS and max(col.shape) > 32:
            return self._halves(col, row)
        col0, row0 = int(left) - _MARGIN * kx, int(top) - _MARGIN * ky
        columns = int((right - col0) / kx) + _MARGIN + 1
        rows = int((bottom - row0) / ky) + _MARGIN + 1
        values, valid = self.source.mean(col0, row0, columns, rows, kx, ky)
        where = np.stack([(row - row0) / ky - 0.5, (col - col0) / kx - 0.5])
        finest = min(step_x, step_y)
        sigma = None
        if self.smooth_px is not None and finest < 1:  # as wide on the ground in x as in y
            sigma = (self.smooth_px * step_y / finest / ky, self.smooth_px * step_x / finest / kx)
        sampled, ok = _interpolate(values, valid, np.where(known, where, -9.0), sigma)
        in_rows = (row >= extent[1]) & (row <= extent[3])
        in_columns = (col >= extent[0]) & (col <= extent[2])
        return sampled, ok & known & in_rows & (in_columns | (self.source.wrap_columns is not None))

    def _halves(self, col: Floats, row: Floats) -> tuple[Values, Mask]:
        axis = 0 if col.shape[0] >= col.shape[1] else 1
        middle = col.shape[axis] // 2
        parts = [
            self._sample(c, r)
            for c, r in zip(
                np.split(col, [middle], axis), np.split(row, [middle], axis), strict=True
            )
        ]
        return (
            np.concatenate([part[0] for part in parts], axis),
            np.concatenate([part[1] for part in parts], axis),
        )

    def _unwrap(self, col: Floats, known: Mask) -> Floats:
        """Columns on the turn of the sphere that keeps this block together."""
        if self.source.wrap_columns is None:
            return col
        around = float(self.source.wrap_columns)
        middle = col[known].flat[int(known.sum()) // 2]
        return np.asarray(col - around * np.round((col - middle) / around))


def _file_steps(coordinate: Floats) -> float:
    """File pixels for one wanted pixel along one file axis (median over a block)."""
    steps = [
        np.abs(np.diff(coordinate, axis=axis)) for axis in (0, 1) if coordinate.shape[axis] > 1
    ]
    medians = [np.nanmedian(step) if np.isfinite(step).any() else 1.0 for step in steps]
    return max(float(np.hypot.reduce([0.0, *medians])), 1e-6)


def _interpolate(
    values: Values, valid: Mask, where: NDArray[np.float64], sigma: tuple[float, float] | None
) -> tuple[Values, Mask]:
    """Sample at (row, col) indices; invalid neighbours have no weight."""
    weight = ndimage.map_coordinates(valid.astype(np.float32), where, order=1, cval=0.0)
    if sigma is not None and valid.any():
        filled = values if valid.all() else _fill_nearest(values, valid)
        smooth = ndimage.gaussian_filter(filled, sigma, mode="nearest")
        sampled = ndimage.map_coordinates(smooth, where, order=3, mode="nearest")
    else:
        total = ndimage.map_coordinates(values * valid, where, order=1, cval=0.0)
        sampled = np.asarray(total / np.maximum(weight, 1e-6), dtype=np.float32)
    return sampled, np.asarray(weight >= 0.5)


def _bilinear(values: Floats, row: Floats, col: Floats) -> Floats:
    """Values at the crossings of row (r,) and column (c,) indices, shape (r, c)."""
    for axis, index in ((0, row), (1, col)):
        before = np.floor(index).astype(int)
        share = (index - before)[:, None] if axis == 0 else index - before
        first = np.take(values, before, axis)
        values = first + (np.take(values, before + 1, axis) - first) * share
    return values


def _fill_nearest(values: Values, valid: Mask) -> Values:
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])
