"""Pixels of one raster file with their validity: windows, means, wrap across +-180 degrees.

Values are float32 grey: one band, or the luminance of a palette or of red, green and blue
(Rec. 601 weights). A pixel is valid when it is not the file's nodata, masked, transparent, NaN,
or one of the special pixels of ISIS (null, saturated).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from cda_db.errors import SceneError
from ingest.refusals import check_path, check_raster, open_raster

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]
_LUMA = np.array([0.299, 0.587, 0.114])
_CHUNK_PIXELS = 2**23
_CACHE_MB = 128
# Special pixels (ISIS "Special Pixels" page): five values at the end of each type's range.
_ISIS_LOWEST_VALID = {"int16": -32752, "float32": -3.4028e38}
_ISIS_BYTE = (1, 254)


@dataclass(frozen=True)
class ReadOptions:
    """How a file is to be read where it leaves a choice; part of a scene's identity.

    Attributes:
        band: 1-based band; None takes the only one, or the grey of a palette or of RGB.
        nodata: value that means "not imaged" when the file does not say.
        longitude: "east" or "west" for a CRS that lost its axis direction.
        z_unit_m: metres of one unit of an elevation model.
        light_deg: where the light of a picture comes from, clockwise from north on the ground.
        allow_indirect: VRTs and files that refer to other folders are accepted.
    """

    band: int | None = None
    nodata: float | None = None
    longitude: str | None = None
    z_unit_m: float | None = None
    light_deg: float | None = None
    allow_indirect: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The stated ones only, as JSON values."""
        named = vars(self).items()
        return {key: value for key, value in named if value is not None and value is not False}


class RasterSource:
    """An open raster. Use it as a context manager; reads raise SceneError when they fail."""

    def __init__(
        self, path: str, options: ReadOptions | None = None, *, georeferenced: bool = True
    ) -> None:
        self.options = options or ReadOptions()
        self.path = check_path(path)
        self._stack = ExitStack()
        self._stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE_MB * 2**20))
        self.dataset = self._stack.enter_context(
            open_raster(self.path, self.options.allow_indirect)
        )
        if georeferenced:
            check_raster(self.dataset, self.path)
        self.width: int = self.dataset.width
        self.height: int = self.dataset.height
        self.dtype = str(self.dataset.dtypes[0])
        self.bands = _bands(self.dataset, self.path, self.options.band)
        self.wrap_columns: int | None = None
        self.around: tuple[Placed, ...] = ()
        self._grey = _palette_grey(self.dataset, self.bands)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def enable_wrap(self, period: float | None) -> None:
        """Let columns wrap when the raster spans ``period`` (map units for 360 degrees)."""
        t = self.dataset.transform
        if period is None or t.b != 0 or t.d != 0:
            return
        columns = period / abs(t.a)
        # A quarter of a pixel over the whole circle: thumbnails round their pixel size.
        if abs(columns - round(columns)) < 0.25 and self.width >= round(columns):
            self.wrap_columns = round(columns)

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of all that can be read: the raster and what is around it."""
        boxes = [(0, 0, self.width, self.height), *(placed.box for placed in self.around)]
        left, top, right, bottom = zip(*boxes, strict=True)
        return min(left), min(top), max(right), max(bottom)

    def read(self, col0: int, row0: int, columns: int, rows: int) -> tuple[Values, Mask]:
        """Values and validity (rows, columns) of a window.

        Outside the raster are the pixels of the files around it, the first that has a valid one;
        where there is none, nothing is valid.
        """
        if min(col0, row0) >= 0 and col0 + columns <= self.width and row0 + rows <= self.height:
            return self._read(Window(col0, row0, columns, rows))
        values = np.zeros((rows, columns), dtype=np.float32)
        valid = np.zeros((rows, columns), dtype=bool)
        self._read_around(values, valid, col0, row0)
        top, bottom = max(row0, 0), min(row0 + rows, self.height)
        if top >= bottom:
            return values, valid
        for target, start, count in self._segments(col0, columns):
            part = np.s_[top - row0 : bottom - row0, target : target + count]
            values[part], valid[part] = self._read(Window(start, top, count, bottom - top))
        return values, valid

    def _read_around(self, values: Values, valid: Mask, col0: int, row0: int) -> None:
        """Fill a window from the files around, in place; the raster's own part comes after."""
        rows, columns = valid.shape
        for placed in self.around:
            left, top, right, bottom = placed.box
            x0, x1 = max(left, col0), min(right, col0 + columns)
            y0, y1 = max(top, row0), min(bottom, row0 + rows)
            if x0 >= x1 or y0 >= y1:
                continue
            part = np.s_[y0 - row0 : y1 - row0, x0 - col0 : x1 - col0]
            found, good = placed.source.read(x0 - left, y0 - top, x1 - x0, y1 - y0)
            new = good & ~valid[part]
            values[part][new] = found[new]
            valid[part] |= good

    def _segments(self, col0: int, columns: int) -> list[tuple[int, int, int]]:
        """(offset in the window, first column, count) of the pieces that lie in the raster."""
        if self.wrap_columns is None:
            left, right = max(col0, 0), min(col0 + columns, self.width)
            return [(left - col0, left, right - left)] if left < right else []
        pieces, done = [], 0
        while done < columns:
            start = (col0 + done) % self.wrap_columns
            count = min(self.wrap_columns - start, columns - done)
            pieces.append((done, start, count))
            done += count
        return pieces

    def _read(self, window: Window) -> tuple[Values, Mask]:
        try:
            raw = self.dataset.read(list(self.bands), window=window)
            valid = self._validity(raw, window)
        except RasterioIOError as error:
            raise SceneError(
                f"{self.path} cannot be read to its end ({error.__cause__ or error}).",
                "The file is truncated or damaged: fetch it again.",
            ) from error
        if self._grey is not None:
            return self._grey[raw[0]], valid
        if len(self.bands) == 3:
            return np.tensordot(_LUMA, raw, axes=1).astype(np.float32), valid
        grey = raw[0].astype(np.float32)
        if not valid.all():
            grey[~valid] = 0.0
        return grey, valid

    def _validity(self, raw: NDArray[Any], window: Window) -> Mask:
        valid = np.ones(raw.shape[1:], dtype=bool)
        for index, values in zip(self.bands, raw, strict=True):
            if np.issubdtype(values.dtype, np.floating):
                valid &= np.isfinite(values)
            for nodata in {self.dataset.nodatavals[index - 1], self.options.nodata} - {None}:
                valid &= values != nodata
            if self.dataset.driver.startswith("ISIS"):
                valid &= _not_special(values)
            flags = self.dataset.mask_flag_enums[index - 1]
            if MaskFlags.per_dataset in flags:
                valid &= self.dataset.read_masks(index, window=window) > 0
        return valid

    def mean(
        self, col0: int, row0: int, columns: int, rows: int, kx: int, ky: int
    ) -> tuple[Values, Mask]:
        """Area means (rows, columns) over blocks of ``ky`` x ``kx`` pixels from (col0, row0).

        A mean is over the valid pixels; it is valid where at least half of the block's pixels
        that lie in the raster are. Memory is bounded whatever kx and ky.
        """
        if kx == 1 and ky == 1:
            return self.read(col0, row0, columns, rows)
        values = np.zeros((rows, columns), dtype=np.float32)
        valid = np.zeros((rows, columns), dtype=bool)
        wide = max(1, min(columns, _CHUNK_PIXELS // (kx * ky)))
        high = max(1, _CHUNK_PIXELS // (wide * kx * ky))
        for row in range(0, rows, high):
            for column in range(0, columns, wide):
                n_rows, n_columns = min(high, rows - row), min(wide, columns - column)
                block = (col0 + column * kx, row0 + row * ky, n_columns, n_rows)
                part = np.s_[row : row + n_rows, column : column + n_columns]
                values[part], valid[part] = self._mean_block(*block, kx, ky)
        return values, valid

    def _mean_block(
        self, col0: int, row0: int, columns: int, rows: int, kx: int, ky: int
    ) -> tuple[Values, Mask]:
        values, valid = self.read(col0, row0, columns * kx, rows * ky)
        if valid.all():
            total = _block_sums(values, rows, columns, np.float64)
            return (total / (kx * ky)).astype(np.float32), np.ones((rows, columns), dtype=bool)
        total = _block_sums(values * valid, rows, columns, np.float64)
        count = _block_sums(valid, rows, columns, np.int32)
        left, top, right, bottom = self.extent
        inside_rows = _inside(row0, rows, ky, top, bottom)
        inside_columns = _inside(col0, columns, kx, left, right)
        if self.wrap_columns is not None:
            inside_columns = np.full(columns, kx)
        inside = inside_rows[:, None] * inside_columns[None, :]
        mean = (total / np.maximum(count, 1)).astype(np.float32)
        return mean, (count > 0) & (2 * count >= inside)


@dataclass(frozen=True)
class Placed:
    """A raster and its top left corner in the pixels of another one's grid."""

    source: RasterSource
    x: int
    y: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom on that grid."""
        return self.x, self.y, self.x + self.source.width, self.y + self.source.height


def _block_sums(
    pixels: NDArray[Any], rows: int, columns: int, kind: type[np.generic]
) -> NDArray[Any]:
    """Sums over equal blocks. Rows first: adding whole rows is the fast way through memory."""
    first = np.float32 if pixels.dtype == np.float32 else kind
    down = pixels.reshape(rows, -1, pixels.shape[1]).sum(axis=1, dtype=first)
    return np.asarray(down.reshape(rows, columns, -1).sum(axis=2, dtype=kind))


def _inside(start: int, blocks: int, size: int, first: int, stop: int) -> NDArray[np.int64]:
    """How many of each block's ``size`` pixels lie in [first, stop)."""
    low = start + size * np.arange(blocks)
    return np.asarray(np.clip(low + size, first, stop) - np.clip(low, first, stop))


def _not_special(values: NDArray[Any]) -> Mask:
    kind = str(values.dtype)
    if kind == "uint8":
        return np.asarray((values >= _ISIS_BYTE[0]) & (values <= _ISIS_BYTE[1]))
    lowest = _ISIS_LOWEST_VALID.get(kind)
    return np.ones(values.shape, dtype=bool) if lowest is None else np.asarray(values >= lowest)


def _bands(dataset: Any, path: Path, stated: int | None) -> tuple[int, ...]:
    """Bands whose grey is the picture."""
    if stated is not None:
        if not 1 <= stated <= dataset.count:
            raise SceneError(
                f"{path} has no band {stated}.", f"Say one of 1 to {dataset.count} with --band."
            )
        return (stated,)
    interpretation = list(dataset.colorinterp)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in interpretation for colour in colours):
        return tuple(interpretation.index(colour) + 1 for colour in colours)
    pictures = [i + 1 for i, kind in enumerate(interpretation) if kind != ColorInterp.alpha]
    if len(pictures) == 1:
        return (pictures[0],)
    raise SceneError(f"{path} has {dataset.count} bands.", "Say which one with --band.")


def _palette_grey(dataset: Any, bands: tuple[int, ...]) -> Values | None:
    """Grey of each palette entry (n,), or None where the band has no palette."""
    if dataset.colorinterp[bands[0] - 1] != ColorInterp.palette:
        return None
    table = dataset.colormap(bands[0])
    grey = np.zeros(max(table) + 1, dtype=np.float32)
    for entry, (red, green, blue, _) in table.items():
        grey[entry] = float(np.dot(_LUMA, (red, green, blue)))
    return grey
