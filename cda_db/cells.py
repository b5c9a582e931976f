"""Sets of nested HEALPix cells: half-open ranges, and border cells with a mask of their parts.

Ranges are int64 (n, 2), sorted and disjoint, of one order. A border is int64 (m, 2): a cell and a
mask whose bit i says that its sub-cell 64 c + i, three orders finer, is in the set.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

EMPTY: Ints = np.zeros((0, 2), dtype=np.int64)
SUB_ORDERS = 3
SUB_CELLS = 4**SUB_ORDERS
_AT_ONCE = 2**17


def to_ranges(cells: Ints) -> Ints:
    """Half-open ranges (n, 2) of sorted, distinct cells."""
    if len(cells) == 0:
        return EMPTY
    breaks = np.flatnonzero(np.diff(cells) != 1)
    starts = cells[np.concatenate([[0], breaks + 1])]
    ends = cells[np.concatenate([breaks, [len(cells) - 1]])] + 1
    return np.stack([starts, ends], axis=1)


def merge(ranges: Ints) -> Ints:
    """Ranges sorted, with those that touch or overlap joined."""
    if not len(ranges):
        return EMPTY
    ordered = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    first = np.append(True, ordered[1:, 0] > reach[:-1])
    last = np.append(np.flatnonzero(first)[1:] - 1, len(ordered) - 1)
    return np.stack([ordered[first, 0], reach[last]], axis=1)


def refine(ranges: Ints, order: int, finer: int) -> Ints:
    """The same set at a finer order."""
    return np.asarray(ranges << (2 * (finer - order)), dtype=np.int64)


def count_in_cells(ranges: Ints, order: int, coarse: int) -> tuple[Ints, Ints]:
    """How many cells of the set lie in each cell of a coarser (or the same) order.

    Args:
        ranges: set of cells of ``order``.
        order, coarse: coarse <= order.

    Returns:
        the coarse cells that hold any, ascending, and the numbers of fine cells in them.
    """
    if not len(ranges):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    shift = 2 * (order - coarse)
    first, last = ranges[:, 0] >> shift, (ranges[:, 1] - 1) >> shift
    which, cell = expand(first, last - first + 1)
    lo = np.maximum(ranges[which, 0], cell << shift)
    hi = np.minimum(ranges[which, 1], (cell + 1) << shift)
    begin = np.flatnonzero(np.append(True, np.diff(cell) > 0))  # ascending, as the ranges are
    return cell[begin], np.add.reduceat(hi - lo, begin)


def expand(start: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Row number and value for start[i], start[i] + 1, ..., count[i] of them a row."""
    row = np.repeat(np.arange(len(start)), count)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, start[row] + offset


def masks_of(inside: NDArray[np.bool_]) -> Ints:
    """Masks (m,) of sub-cells (m, 64)."""
    return np.packbits(inside, axis=1, bitorder="little").view("<i8")[:, 0].astype(np.int64)


def border_ranges(border: Ints) -> Ints:
    """The parts of border cells as ranges three orders finer; cells ascend."""
    full = border[:, 1] == -1
    found = [SUB_CELLS * to_ranges(border[full, 0])]
    mixed = border[~full]
    for start in range(0, len(mixed), _AT_ONCE):
        cell, mask = mixed[start : start + _AT_ONCE].T
        octets = np.ascontiguousarray(mask, dtype="<i8").view(np.uint8).reshape(-1, 8)
        inside = np.unpackbits(octets, axis=1, bitorder="little").astype(bool)
        found.append(to_ranges((cell[:, None] * SUB_CELLS + np.arange(SUB_CELLS))[inside]))
    return merge(np.concatenate(found))


def union(order: int, parts: Iterable[tuple[int, Ints, Ints]]) -> Ints:
    """The union of sets (order, ranges, border) as ranges of one order, the finest sub-cells'."""
    found = [EMPTY]
    for at, ranges, border in parts:
        found.append(refine(ranges, at, order))
        found.append(refine(border_ranges(border), at + SUB_ORDERS, order))
    return merge(np.concatenate(found))
