"""The coverage mask: areas, ranges and draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cda_db.errors import InputError
from queries.coverage import Coverage, cell_count, cells_of


@given(st.sets(st.integers(0, 12 * 4**4 - 1), min_size=1, max_size=300))
def test_ranges_are_averaged_to_the_coarser_order(cells: set[int]) -> None:
    ordered = np.array(sorted(cells))
    ranges = np.stack([ordered, ordered + 1], axis=1)
    coverage = Coverage.from_ranges(4, ranges, at_order=2)
    expected = np.bincount(ordered // 16, minlength=cell_count(2)) / 16.0
    assert_allclose(coverage.fraction, expected, atol=1e-6)


@given(st.integers(0, 12 * 4**4 - 2), st.integers(1, 2000))
def test_one_long_range_equals_its_cells(start: int, length: int) -> None:
    stop = min(start + length, cell_count(4))
    cells = np.arange(start, stop)
    whole = Coverage.from_ranges(4, [[start, stop]], at_order=1)
    single = Coverage.from_ranges(4, np.stack([cells, cells + 1], axis=1), at_order=1)
    assert_allclose(whole.fraction, single.fraction, atol=1e-6)


def test_a_band_has_the_area_of_a_zone() -> None:
    """A zone between latitudes has 2 pi (sin north - sin south)."""
    band = Coverage.between_latitudes(-30.0, 60.0, order=6)
    assert_allclose(band.area_sr, 2.0 * np.pi * (np.sqrt(3.0) / 2.0 + 0.5), rtol=2e-3)


def test_draws_lie_on_imaged_ground_and_are_even() -> None:
    fraction = np.zeros(cell_count(2), np.float32)
    fraction[5], fraction[100] = 1.0, 0.5
    coverage = Coverage(2, fraction)
    cells = cells_of(2, *coverage.draw(3000, np.random.default_rng(1)))
    assert set(cells) == {5, 100}
    # Binomial(3000, 2/3): five standard deviations are 129.
    assert abs(int((cells == 5).sum()) - 2000) < 129


def test_wrong_masks_are_refused() -> None:
    with pytest.raises(InputError, match="48"):
        Coverage(1, np.ones(12, np.float32))
    with pytest.raises(InputError, match="Nothing is imaged"):
        Coverage(0, np.zeros(12, np.float32))
    with pytest.raises(InputError, match="outside"):
        Coverage(0, np.full(12, 2.0, np.float32))
