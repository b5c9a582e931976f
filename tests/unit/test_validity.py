"""Which pixels are imaged, kept in blocks: against looking at every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import validity
from ingest.validity import PixelMask, Validity, block_side, count_blocks, middle_pixels


def make(valid: np.ndarray, side: int) -> Validity:
    """As a survey would, in strips of whole blocks."""
    cuts = range(0, valid.shape[0], 3 * side)
    strips = [valid[top : top + 3 * side] for top in cuts]
    return Validity(
        valid.shape[1], valid.shape[0], side,
        np.concatenate([count_blocks(strip, side) for strip in strips]),
        np.concatenate([middle_pixels(strip, side) for strip in strips]),
    )  # fmt: skip


def brute(valid: np.ndarray, factor: int) -> np.ndarray:
    """Half or more of each square is valid, square by square."""
    rows, columns = (range(0, n, factor) for n in valid.shape)
    return np.array([[
        valid[r : r + factor, c : c + factor].mean() >= 0.5 for c in columns] for r in rows
    ])  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 8, 32]), st.integers(0, 2**32 - 1), st.floats(0.2, 0.95),
)  # fmt: skip
def test_levels_by_brute_force(
    width: int, height: int, side: int, factor: int, seed: int, share: float
) -> None:
    valid = np.random.default_rng(seed).random((height, width)) < share
    kept = make(valid, side)
    pixels = kept.level(factor)
    row, col = (index.ravel() for index in np.indices(valid.shape))
    if factor == 1:
        assert pixels is not None
        np.testing.assert_array_equal(
            pixels.at(col, row),
            valid[np.minimum(row // side * side + side // 2, height - 1),
                  np.minimum(col // side * side + side // 2, width - 1)],
        )  # fmt: skip
    elif factor % side:
        assert pixels is None
    else:
        assert pixels is not None
        half = brute(valid, factor)
        np.testing.assert_array_equal(pixels.valid, half)
        with pytest.MonkeyPatch.context() as patch:  # in strips, as large files are
            patch.setattr(validity, "_ROWS", 16)
            np.testing.assert_array_equal(kept.half_valid(factor), half)
        np.testing.assert_array_equal(pixels.at(col, row), half[row // factor, col // factor])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-30, 90), min_size=4, max_size=4), st.integers(0, 99), st.floats(0, 1))
def test_boxes_that_hold_nothing_or_everything(sides: list[float], seed: int, share: float) -> None:
    valid = np.random.default_rng(seed).random((7, 9)) < share
    pixels = PixelMask(valid, 8)
    left, right = sorted(sides[:2])
    top, bottom = sorted(sides[2:])
    none, full = pixels.none_and_all(*(np.array([v]) for v in (left, top, right, bottom)))
    every = np.kron(valid, np.ones((8, 8), bool))
    rows = slice(max(int(np.floor(top / 8)), 0) * 8, max(int(np.ceil(bottom / 8)), 0) * 8)
    columns = slice(max(int(np.floor(left / 8)), 0) * 8, max(int(np.ceil(right / 8)), 0) * 8)
    part = every[rows, columns]
    if part.size:
        assert (none[0], full[0]) == (not part.any() and not valid.all(), part.all())


def test_blocks_stay_within_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 8192 x 8192 is 2^26; a CTX tile of 47,420 px has 5,928 blocks of 8 a side."""
    assert block_side(8192, 8192) == 1 and block_side(8193, 8192) == 2
    assert block_side(47_420, 47_420) == 8
    assert block_side(2**17, 2**17) == 16
    monkeypatch.setattr(validity, "_MOST_BLOCKS", 100)
    assert block_side(41, 40) == 8
