"""Diameter bins: edges exact, user bins aligned or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cda_db.errors import InputError
from queries.density.bins import root2_bin, root2_bins, root2_edge_km, user_bins


def test_edges_by_hand() -> None:
    assert root2_edge_km(-12) == 1 / 64
    assert root2_edge_km(0) == 1
    assert root2_edge_km(1) == pytest.approx(1.4142135623730951, abs=0)
    assert root2_edge_km(10) == 32


def test_edge_belongs_to_the_bin_above() -> None:
    k = np.arange(-12, 22)
    edge_m = root2_edge_km(k) * 1000
    np.testing.assert_array_equal(root2_bin(np.nextafter(edge_m, 0)), k - 1)
    even = k[k % 2 == 0]
    np.testing.assert_array_equal(root2_bin(root2_edge_km(even) * 1000), even)


@given(st.floats(1.0, 5e6))
def test_bin_holds_its_diameter(diameter_m: float) -> None:
    k = root2_bin(diameter_m)
    assert root2_edge_km(k) <= diameter_m / 1000 < root2_edge_km(k + 1)


def test_root2_bins_hold_every_diameter_once() -> None:
    bins = root2_bins(-12, 20)
    diameters = np.exp(np.random.default_rng(3).uniform(np.log(16), np.log(1.4e6), 2000))
    assert (bins.members(diameters).sum(axis=0) == 1).all()
    np.testing.assert_array_equal(bins.members(diameters).argmax(axis=0) - 12, root2_bin(diameters))


def test_user_bins_know_the_root2_bins_they_need() -> None:
    bins = user_bins([1, 2, 3, 2**2.5, 8])
    assert bins.root2.tolist() == [[0, 1], [2, 3], [3, 4], [5, 5]]
    assert bins.aligned.tolist() == [True, False, False, True]
    assert bins.needed_root2() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("edges", [[1], [2, 1], [1, 1], [0.0001, 1], [1, np.nan]])
def test_nonsense_edges_are_refused(edges: list[float]) -> None:
    with pytest.raises(InputError):
        user_bins(edges)
    with pytest.raises(InputError):
        root2_bins(-25, 2)
