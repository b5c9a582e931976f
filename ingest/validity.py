"""Which pixels of a file are imaged, small enough to be kept whole: counts and samples of blocks.

Blocks have a power of two of pixels a side, one for files up to 67 million pixels. A coarse level's
pixel is valid where half of the file's pixels in it are (as ``RasterSource.mean`` has it); the
finest level is known at the middle pixel of each block, which is unbiased however the gaps lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import rasterio.features
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from ingest.source import Mask
from ingest.sphere import Floats

_MOST_BLOCKS = 2**26
_ROWS = 256
Counts = NDArray[np.uint16]


def block_side(width: int, height: int) -> int:
    """Pixels a side of a file's blocks."""
    side = 1
    while -(-width // side) * -(-height // side) > _MOST_BLOCKS:
        side *= 2
    return side


def count_blocks(valid: Mask, side: int) -> Counts:
    """Valid pixels of each block; the last blocks may be partial."""
    if side == 1:
        return valid.astype(np.uint16)
    rows, columns = (np.arange(0, n, side) for n in valid.shape)
    down = np.add.reduceat(valid, rows, axis=0, dtype=np.uint16)
    return np.asarray(np.add.reduceat(down, columns, axis=1, dtype=np.uint16))


def middle_pixels(valid: Mask, side: int) -> Mask:
    """The pixel in the middle of each block (of a partial one: the last, if it has no middle)."""
    rows, columns = (np.minimum(np.arange(0, n, side) + side // 2, n - 1) for n in valid.shape)
    return valid[np.ix_(rows, columns)]


@dataclass(frozen=True)
class Validity:
    """Validity of a file.

    Attributes:
        width, height: pixels of the file.
        side: pixels a side of a block.
        counts: valid pixels of each block, uint16 (rows, columns).
        middle: validity of each block's middle pixel.
    """

    width: int
    height: int
    side: int
    counts: Counts
    middle: Mask

    def level(self, factor: int) -> PixelMask | None:
        """What a level's pixels show; None where it is finer than the blocks."""
        if factor == 1:
            return PixelMask(self.middle, self.side)
        if factor % self.side:
            return None
        return PixelMask(self.half_valid(factor), factor)

    def half_valid(self, factor: int) -> Mask:
        """Whether half of the pixels in each square of ``factor`` (a multiple of side) is valid."""
        step = factor // self.side
        rows, columns = (np.arange(0, n, step) for n in self.counts.shape)
        high = np.diff(np.append(np.arange(0, self.height, factor), self.height))
        wide = np.diff(np.append(np.arange(0, self.width, factor), self.width))
        half = np.zeros((len(rows), len(columns)), dtype=bool)
        at_once = max(1, _ROWS // step)
        for start in range(0, len(rows), at_once):  # strips: the counts may be 67 million
            part = slice(start, start + at_once)
            strip = self.counts[start * step : (start + at_once) * step]
            down = np.add.reduceat(strip, rows[part] - start * step, axis=0, dtype=np.int64)
            total = np.add.reduceat(down, columns, axis=1)
            half[part] = 2 * total >= high[part, None] * wide[None, :]
        return half

    def only(self, outlines: Sequence[BaseGeometry]) -> Validity:
        """The part in polygons, given in the file's pixel coordinates, to a block."""
        inside = rasterio.features.rasterize(
            outlines, out_shape=self.counts.shape, transform=Affine.scale(self.side),
            dtype="uint8",
        ).astype(bool)  # fmt: skip
        return Validity(
            self.width, self.height, self.side, self.counts * inside, self.middle & inside
        )


@dataclass(frozen=True)
class PixelMask:
    """Validity of squares of ``side`` file pixels."""

    valid: Mask
    side: int

    @cached_property
    def complete(self) -> bool:
        """Whether every pixel is valid."""
        return bool(self.valid.all())

    @cached_property
    def _sums(self) -> NDArray[np.int32]:
        sums = np.zeros(np.add(self.valid.shape, 1), dtype=np.int32)
        np.cumsum(self.valid, axis=0, dtype=np.int32, out=sums[1:, 1:])
        np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
        return sums

    def at(self, column: NDArray[np.int64], row: NDArray[np.int64]) -> Mask:
        """Validity at pixels, which must lie in the file."""
        return np.asarray(self.valid[row // self.side, column // self.side])

    def none_and_all(
        self, left: Floats, top: Floats, right: Floats, bottom: Floats
    ) -> tuple[Mask, Mask]:
        """Of boxes in file pixels, clipped to the file: is nothing valid, is everything?"""
        if self.complete:
            return np.zeros(left.shape, bool), np.ones(left.shape, bool)
        rows, columns = self.valid.shape
        c0, r0 = (
            np.clip(np.floor(low / self.side), 0, n).astype(np.int64)
            for low, n in ((left, columns), (top, rows))
        )
        c1, r1 = (
            np.clip(np.ceil(high / self.side), 0, n).astype(np.int64)
            for high, n in ((right, columns), (bottom, rows))
        )
        sums = self._sums
        count = sums[r1, c1] - sums[r0, c1] - sums[r1, c0] + sums[r0, c0]
        return count == 0, count == (r1 - r0) * (c1 - c0)
