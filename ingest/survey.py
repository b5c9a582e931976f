"""One pass over a file: is it whole, where is it valid, how are its values spread?

Strips of rows, so that memory does not grow with the file. The pass reads every pixel, which is
also how a truncated file is found before it is registered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import SceneError
from ingest.source import Mask, RasterSource, Values

_STRIP_PIXELS = 2**23
_SAMPLE = 2_000_000
MASK_SIDE = 1024


@dataclass(frozen=True)
class Survey:
    """What one pass found.

    Attributes:
        n_valid: valid pixels.
        sample: values of an even sample of the valid pixels, at most about two million.
        reduced: (rows, columns) blocks of ``factor`` pixels a side of which half is valid.
        factor: side of those blocks, 1 for files up to 1024 pixels.
        answers: validity of each asked pixel, one array for each list asked.
    """

    n_valid: int
    sample: Values
    reduced: Mask
    factor: int
    answers: tuple[Mask, ...]


def survey(
    source: RasterSource, questions: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...] = ()
) -> Survey:
    """Read the whole file once.

    Args:
        source: the open file.
        questions: (row, column) arrays of pixels whose validity is asked; outside is invalid.

    Raises:
        SceneError: the file is truncated, or has no valid pixel.
    """
    factor = -(-max(source.width, source.height) // MASK_SIDE)
    step = max(1, int(np.sqrt(source.width * source.height / _SAMPLE)))
    rows_at_once = _strip_rows(source, factor)
    orders = [np.argsort(rows, kind="stable") for rows, _ in questions]
    answers = [np.zeros(rows.shape, dtype=bool) for rows, _ in questions]
    sorted_rows = [rows[order] for (rows, _), order in zip(questions, orders, strict=True)]
    samples, reduced, n_valid = [], [], 0
    for top in range(0, source.height, rows_at_once):
        n_rows = min(rows_at_once, source.height - top)
        values, valid = source.read(0, top, source.width, n_rows)
        n_valid += int(valid.sum())
        first = (-top) % step
        samples.append(values[first::step, ::step][valid[first::step, ::step]])
        reduced.append(_reduce(valid, factor))
        for i, (_, columns) in enumerate(questions):
            low, high = np.searchsorted(sorted_rows[i], [top, top + n_rows])
            asked = orders[i][low:high]
            column = columns[asked]
            inside = (column >= 0) & (column < source.width)
            found = valid[sorted_rows[i][low:high] - top, np.clip(column, 0, source.width - 1)]
            answers[i][asked] = found & inside
    if n_valid == 0:
        raise SceneError(
            f"{source.path} has no valid pixel: it is all nodata.",
            "Check its nodata value (gdalinfo -stats), or leave the file out.",
        )
    return Survey(n_valid, np.concatenate(samples), np.concatenate(reduced), factor, tuple(answers))


def _strip_rows(source: RasterSource, factor: int) -> int:
    """Rows of a strip: whole blocks of the file and of the reduced mask, within the budget."""
    block: int = source.dataset.block_shapes[0][0]
    unit = factor * max(1, round(block / factor)) if block < source.height else factor
    return max(factor, _STRIP_PIXELS // source.width // unit * unit)


def _reduce(valid: Mask, factor: int) -> Mask:
    if factor == 1:
        return valid
    rows, columns = valid.shape
    row_edges, column_edges = np.arange(0, rows, factor), np.arange(0, columns, factor)
    counts = np.add.reduceat(
        np.add.reduceat(valid, row_edges, axis=0, dtype=np.int64), column_edges, axis=1
    )
    n_rows = np.diff(np.append(row_edges, rows))
    n_columns = np.diff(np.append(column_edges, columns))
    return np.asarray(2 * counts >= n_rows[:, None] * n_columns[None, :])
