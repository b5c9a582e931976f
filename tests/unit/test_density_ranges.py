"""Range arithmetic against sets of integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from queries import moc

ORDER = 2
CELLS = 12 * 4**ORDER
sets = st.sets(st.integers(0, CELLS - 1))


def as_ranges(cells: set[int]) -> moc.Ints:
    array = np.array(sorted(cells), dtype=np.int64)
    return moc.merge(np.stack([array, array + 1], axis=1))


def as_set(ranges: moc.Ints) -> set[int]:
    assert (ranges[:, 0] < ranges[:, 1]).all()
    assert (ranges[1:, 0] >= ranges[:-1, 1]).all()
    return {int(c) for lo, hi in ranges for c in range(lo, hi)}


@given(sets, sets)
def test_set_operations(a: set[int], b: set[int]) -> None:
    assert as_set(as_ranges(a)) == a
    assert as_set(moc.intersect(as_ranges(a), as_ranges(b))) == a & b
    assert as_set(moc.subtract(as_ranges(a), as_ranges(b), ORDER)) == a - b
    both = np.concatenate([as_ranges(a), as_ranges(b)])
    assert as_set(moc.merge(both)) == a | b


@given(sets)
def test_membership_refinement_and_counts(a: set[int]) -> None:
    ranges = as_ranges(a)
    assert set(np.flatnonzero(moc.in_ranges(np.arange(CELLS), ranges))) == a
    assert as_set(moc.refine(ranges, ORDER, ORDER + 1)) == {4 * c + i for c in a for i in range(4)}
    cells, n = moc.count_in_cells(ranges, ORDER, 1)
    brute = np.bincount([c // 4 for c in sorted(a)], minlength=48)
    assert dict(zip(cells.tolist(), n.tolist(), strict=True)) == {
        i: int(k) for i, k in enumerate(brute) if k
    }
