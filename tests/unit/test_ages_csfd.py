"""Binning and presentations of crater counts, against brute force and hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cda_db.errors import InputError
from queries.ages.csfd import all_edges, csfd, edges_inside, snap
from queries.ages.csfd_table import csfd_rows

BINNINGS = ["pseudo-log", "root-2", "10/decade"]
diameters = st.lists(st.floats(0.011, 99), min_size=1, max_size=60)


@given(d=diameters, binning=st.sampled_from(BINNINGS))
def test_counts_equal_brute_force(d: list[float], binning: str) -> None:
    found = csfd(d, 7.0, binning)
    for i, (low, high) in enumerate(zip(found.edges_km[:-1], found.edges_km[1:], strict=True)):
        assert found.counts[i] == sum(low <= x < high for x in d)
        assert found.cumulative_counts[i] == sum(x >= low for x in d)
    assert found.counts.sum() == len(d) and found.larger == 0


@given(d=diameters)
def test_a_range_keeps_the_larger_craters_in_the_cumulative_count(d: list[float]) -> None:
    found = csfd(d, 1.0, "pseudo-log", (0.1, 3.2))
    assert found.edges_km[[0, -1]].tolist() == [0.1, 3.0]  # whole bins only
    assert found.larger == sum(x >= 3 for x in d)
    assert found.cumulative_counts[0] == sum(x >= 0.1 for x in d)


def test_edges_are_the_decimal_numbers() -> None:
    # A crater of 0.15 km belongs to the bin from 0.15 km; 1.5 * 0.1 is above 0.15.
    edges = all_edges("pseudo-log").tolist()
    assert all(x in edges for x in (0.011, 0.15, 0.17, 1.7, 250.0))
    assert csfd([0.15], 1.0, "pseudo-log").edges_km.tolist() == [0.15, 0.17]
    assert len([x for x in edges if 1 <= x < 10]) == 18


def test_root2_edges() -> None:
    assert edges_inside("root-2", (1, 4.1)).tolist() == pytest.approx([1, 2**0.5, 2, 8**0.5, 4])


def test_values_by_hand() -> None:
    # 8 craters of 2 km and 2 of 3 km on 100 km2.
    found = csfd([2.0] * 8 + [3.0] * 2, 100.0, "pseudo-log", (2, 3.5))
    assert found.values("cumulative").tolist() == pytest.approx([0.1, 0.02, 0.02])
    assert found.values("differential").tolist() == pytest.approx([0.16, 0, 0.04])
    assert found.values("incremental").tolist() == pytest.approx([0.08, 0, 0.02])
    r_0 = (2 * 2.5) ** 1.5 * 8 / (100 * 0.5)  # (ab)^(3/2) n / (A (b - a))
    assert found.values("r").tolist() == pytest.approx([r_0, 0, (3 * 3.5) ** 1.5 * 2 / 50])


def test_r_of_an_inverse_cube_is_flat() -> None:
    # N(>=D) ~ D^-2, so D^3 dN/dD = 2: the definition of the R-plot. Fine bins, many craters.
    d = np.sqrt(1 / ((np.arange(400_000) + 0.5) / 400_000))  # N(>=D) = D^-2 exactly, D >= 1
    found = csfd(d, 400_000.0, "30/decade", (1, 10))
    assert found.values("r") == pytest.approx(2, rel=0.02)


def test_rows_hold_exact_intervals() -> None:
    # Garwood (1936) at 68.27 % for n = 1: 0.1728 to 3.2995 (Gehrels 1986, tables 1 and 2).
    row = csfd_rows(csfd([2.1], 10.0, "pseudo-log", (2, 2.5)))[0]
    assert row["n"] == 1 and row["cumulative"] == pytest.approx(0.1)
    assert row["cumulative_low"] == pytest.approx(0.01728, abs=1e-5)
    assert row["cumulative_high"] == pytest.approx(0.3300, abs=1e-4)
    assert row["differential_high"] == pytest.approx(0.6600, abs=2e-4)


def test_snap_widens_to_bin_edges() -> None:
    assert snap("pseudo-log", (0.26, 0.63)) == (0.25, 0.7)
    assert snap("pseudo-log", (0.2, 0.7)) == (0.2, 0.7)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: csfd([1.0, -2.0], 1.0), "diameter"),
        (lambda: csfd([1.0], 0.0), "area"),
        (lambda: csfd([], 1.0), "no crater"),
        (lambda: csfd([1.0], 1.0, "octaves"), "octaves"),
        (lambda: csfd([1.0], 1.0, "pseudo-log", (2, 1)), "empty"),
        (lambda: csfd([1.0], 1.0, "pseudo-log", (1.01, 1.05)), "No whole"),
        (lambda: csfd([1.0], 1.0).values("log"), "log"),
    ],
)
def test_bad_input_is_named(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()
