"""One pass over a file: is it whole, where is it valid, how are its values spread?

Strips of rows, so that memory does not grow with the file. The pass reads every pixel, which is
also how a truncated file is found before it is registered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cda_db.errors import SceneError
from ingest.source import RasterSource, Values
from ingest.validity import Validity, block_side, count_blocks, middle_pixels

_STRIP_PIXELS = 2**23
_SAMPLE = 2_000_000


@dataclass(frozen=True)
class Survey:
    """What one pass found.

    Attributes:
        n_valid: valid pixels.
        sample: values of an even sample of the valid pixels, at most about two million.
        validity: which pixels are valid.
    """

    n_valid: int
    sample: Values
    validity: Validity


def survey(source: RasterSource) -> Survey:
    """Read the whole file once.

    Raises:
        SceneError: the file is truncated, or has no valid pixel.
    """
    side = block_side(source.width, source.height)
    step = max(1, int(np.sqrt(source.width * source.height / _SAMPLE)))
    rows_at_once = _strip_rows(source, side)
    samples, counts, middle, n_valid = [], [], [], 0
    for top in range(0, source.height, rows_at_once):
        n_rows = min(rows_at_once, source.height - top)
        values, valid = source.read(0, top, source.width, n_rows)
        n_valid += int(valid.sum())
        first = (-top) % step
        samples.append(values[first::step, ::step][valid[first::step, ::step]])
        counts.append(count_blocks(valid, side))
        middle.append(middle_pixels(valid, side))
    if n_valid == 0:
        raise SceneError(
            f"{source.path} has no valid pixel: it is all nodata.",
            "Check its nodata value (gdalinfo -stats), or leave the file out.",
        )
    validity = Validity(
        source.width, source.height, side, np.concatenate(counts), np.concatenate(middle)
    )
    return Survey(n_valid, np.concatenate(samples), validity)


def _strip_rows(source: RasterSource, side: int) -> int:
    """Rows of a strip: whole blocks of the file and of the validity, within the budget."""
    block: int = source.dataset.block_shapes[0][0]
    unit = side * max(1, round(block / side)) if block < source.height else side
    return max(side, _STRIP_PIXELS // source.width // unit * unit)
