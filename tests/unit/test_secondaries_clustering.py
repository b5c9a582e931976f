"""The clustering flag: its table, its false alarms, its power, and what stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import false_discovery_control, gamma

from cda_db.errors import InputError
from queries.coverage import Coverage, cell_count
from queries.random_populations import from_density, graded_density, plant_clusters
from queries.secondaries.asci import asci
from queries.secondaries.background import local_mean_area
from queries.secondaries.clustering import clustered, p_value, smallest_p
from queries.secondaries.edges import fill_beyond_edges
from queries.secondaries.fdr import q_values
from queries.secondaries.randomness import m2cnd_deg, randomness
from queries.secondaries.voronoi import voronoi_cells

WHOLE = Coverage.whole()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60))
def test_q_values_equal_scipy(p: list[float]) -> None:
    assert_allclose(q_values(p), false_discovery_control(p), atol=1e-12)


def test_unknown_p_values_are_not_counted() -> None:
    q = q_values([0.01, np.nan, 0.5])
    assert_allclose(q[[0, 2]], [0.02, 0.5])
    assert np.isnan(q[1])


def test_the_table_is_the_gamma_law_where_that_fits() -> None:
    """Planar Poisson Voronoi areas follow Gamma(3.5) closely for p from 0.01 to 0.5."""
    for p in (0.5, 0.2, 0.05, 0.02):
        assert_allclose(p_value(gamma.ppf(p, 3.5, scale=1.0 / 3.5)), p, rtol=0.06)


def test_p_values_rise_with_the_area_and_never_pass_the_floor() -> None:
    p = p_value(np.concatenate([[0.0], np.geomspace(1e-5, 5.0, 400)]))
    assert (np.diff(p) >= 0.0).all()
    assert p[0] == smallest_p()
    assert p[-1] == 1.0


def test_p_values_of_random_craters_are_uniform() -> None:
    p = np.concatenate(
        [clustered(*WHOLE.draw(2000, np.random.default_rng(k)), WHOLE).p for k in range(10)]
    )
    for level in (0.01, 0.05, 0.2, 0.5):
        # Neighbouring cells are correlated: twice the binomial error, three of them.
        assert abs((p <= level).mean() - level) < 6.0 * np.sqrt(level * (1 - level) / len(p))


def _holes() -> Coverage:
    return Coverage.where(5, np.repeat(np.random.default_rng(7).random(cell_count(3)) > 0.3, 16))


@pytest.mark.parametrize("coverage", [WHOLE, _holes()], ids=["whole", "holes"])
def test_random_craters_are_seldom_flagged(coverage: Coverage) -> None:
    """Share of populations with any flag: 0.05, and 200 of them leave three standard errors."""
    n = 200
    flags = [
        clustered(*coverage.draw(300, np.random.default_rng([k, 3])), coverage).flagged.any()
        for k in range(n)
    ]
    assert np.mean(flags) <= 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / n)


def test_graded_ground_is_not_flagged() -> None:
    rng = np.random.default_rng(4)
    lon, lat = from_density(5000, 6, graded_density(6, 10.0), rng)
    assert clustered(lon, lat, WHOLE).flagged.sum() <= 3


def test_planted_clusters_are_found() -> None:
    """Contrast 30, 100 craters: at least 70 % found, at most 1.5 % of the background flagged."""
    rng = np.random.default_rng(11)
    lon, lat = WHOLE.draw(5000, rng)
    planted = plant_clusters(lon, lat, WHOLE, rng, clusters=5, size=100, contrast=30.0)
    flagged = clustered(planted.lon_deg, planted.lat_deg, WHOLE).flagged
    member = planted.label >= 0
    assert flagged[member].mean() >= 0.7
    assert flagged[~member].mean() <= 0.015


def test_craters_off_the_imaged_ground_get_no_p() -> None:
    north = Coverage.between_latitudes(0.0, 90.0, order=4)
    lon, lat = north.draw(50, np.random.default_rng(0))
    found = clustered(np.append(lon, 10.0), np.append(lat, -60.0), north)
    assert np.isnan(found.p[-1])
    assert not found.flagged[-1]
    assert not np.isnan(found.p[:-1]).any()


def test_unimaged_ground_is_filled_at_the_density_of_its_surroundings() -> None:
    coverage = _holes()
    lon, lat = coverage.draw(4000, np.random.default_rng(2))
    area = voronoi_cells(lon, lat, coverage).area_sr
    x, y = fill_beyond_edges(lon, lat, area, coverage, 300, np.random.default_rng(3))
    assert (coverage.at(x, y) == 0.0).all()
    missing = 4.0 * np.pi - coverage.area_sr
    expected = 4000 * missing / coverage.area_sr  # every hole is narrower than the margin
    assert abs(len(x) / expected - 1.0) < 0.15


def test_the_background_is_the_mean_cell_of_random_craters() -> None:
    lon, lat = WHOLE.draw(20_000, np.random.default_rng(8))
    area = voronoi_cells(lon, lat, WHOLE).area_sr
    mean = local_mean_area(lon, lat, area, WHOLE)
    assert_allclose(np.median(mean) * 20_000 / (4.0 * np.pi), 1.0, rtol=0.02)


def test_asci_flags_many_random_craters() -> None:
    """The mean less one standard deviation of Gamma(3.5): 14 % of random craters."""
    expected = gamma.cdf(1.0 - 1.0 / np.sqrt(3.5), 3.5, scale=1.0 / 3.5)
    lon, lat = WHOLE.draw(2000, np.random.default_rng(5))
    flagged = asci(lon, lat, np.full(2000, 100.0), WHOLE, np.random.default_rng(6), simulations=10)
    assert_allclose(flagged.mean(), expected, atol=0.03)


def test_asci_bins_are_judged_apart() -> None:
    lon, lat = WHOLE.draw(200, np.random.default_rng(5))
    diameter = np.where(np.arange(200) < 3, 3000.0, 100.0)
    flagged = asci(lon, lat, diameter, WHOLE, np.random.default_rng(6), simulations=3)
    assert not flagged[:3].any()  # three craters have no cells
    with pytest.raises(InputError, match="199"):
        asci(lon, lat, diameter[:-1], WHOLE, np.random.default_rng(6))


def test_second_neighbour_distance_by_hand() -> None:
    """Points at 0, 1 and 3 degrees of the equator: second neighbours at 3, 2 and 3 degrees."""
    assert_allclose(m2cnd_deg([0.0, 1.0, 3.0], [0.0, 0.0, 0.0]), 8.0 / 3.0)


def test_randomness_tells_clustered_even_and_random() -> None:
    rng = np.random.default_rng(9)
    lon, lat = WHOLE.draw(150, rng)
    planted = plant_clusters(lon, lat, WHOLE, rng, clusters=5, size=20, contrast=30.0)
    for row in randomness(planted.lon_deg, planted.lat_deg, WHOLE, rng, simulations=99):
        assert row.verdict == "clustered"
        assert row.p_clustered == 0.01
    golden = (
        (np.arange(150) * 137.50776405) % 360.0,
        np.degrees(np.arcsin((2.0 * np.arange(150) + 1.0) / 150.0 - 1.0)),
    )
    for row in randomness(*golden, WHOLE, rng, simulations=99):
        assert row.verdict == "even"
    p = [row.p_clustered for row in randomness(*WHOLE.draw(150, rng), WHOLE, rng, simulations=99)]
    assert all(0.01 < value < 1.0 for value in p)
