"""Exact intervals against published values, hand calculation and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cda_db.errors import InputError
from queries.density.poisson import (
    clopper_pearson_interval,
    density_interval,
    garwood_coverage,
    garwood_interval,
)

# Garwood (1936), table I, 95 % limits (also Gehrels 1986 and Ulm 1990).
GARWOOD_95 = {
    0: (0.0, 3.689),
    1: (0.0253, 5.572),
    2: (0.242, 7.225),
    5: (1.623, 11.668),
    10: (4.795, 18.390),
    30: (20.241, 42.827),
}


@pytest.mark.parametrize("n", GARWOOD_95)
def test_interval_equals_published_table(n: int) -> None:
    lower, upper = garwood_interval(n)
    assert float(lower) == pytest.approx(GARWOOD_95[n][0], abs=6e-4)
    assert float(upper) == pytest.approx(GARWOOD_95[n][1], abs=6e-4)


def test_bounds_are_tail_probabilities() -> None:
    """By definition P(X >= n | lower) = P(X <= n | upper) = 2.5 %, from SciPy's Poisson law."""
    n = np.array([1, 2, 3, 7, 40, 1000, 250_000])
    lower, upper = garwood_interval(n)
    np.testing.assert_allclose(stats.poisson.sf(n - 1, lower), 0.025, rtol=1e-8)
    np.testing.assert_allclose(stats.poisson.cdf(n, upper), 0.025, rtol=1e-8)


@pytest.mark.parametrize("mu", [0.3, 1, 3, 10, 30, 100, 1000])
def test_measured_coverage_equals_exact_coverage(mu: float) -> None:
    trials = 200_000
    counts = np.random.default_rng(20240 + int(mu * 10)).poisson(mu, trials)
    _, lower, upper = density_interval(counts, 1.0)
    measured = float(np.mean((lower <= mu) & (mu <= upper)))
    # The exact coverage from the definition: n is in when neither tail at n is below 2.5 %.
    n = np.arange(int(mu + 20 * np.sqrt(mu) + 50))
    held = (stats.poisson.cdf(n, mu) >= 0.025) & (stats.poisson.sf(n - 1, mu) >= 0.025)
    exact = float(stats.poisson.pmf(n[held], mu).sum())
    error = np.sqrt(exact * (1 - exact) / trials)
    assert garwood_coverage(mu) == pytest.approx(exact, abs=1e-9)
    assert abs(measured - exact) <= 3 * error
    assert measured >= 0.95 - 3 * error


def test_density_is_unknown_where_nothing_is_imaged() -> None:
    density, lower, upper = density_interval([0, 0, 4], [0.0, 2.0, 2.0])
    assert np.isnan([density[0], lower[0], upper[0]]).all()
    assert density[1] == 0 and lower[1] == 0
    assert upper[1] == pytest.approx(-np.log(0.025) / 2)  # n = 0: exp(-upper) = 2.5 %
    assert density[2] == 2


def test_shares_by_hand() -> None:
    lower, upper = clopper_pearson_interval([0, 10, 3, 0], [10, 10, 10, 0])
    edge = 0.025**0.1  # P(all 10) = p^10
    np.testing.assert_allclose(lower[[0, 1]], [0, edge])
    np.testing.assert_allclose(upper[[0, 1]], [1 - edge, 1])
    assert stats.binom.sf(2, 10, lower[2]) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 10, upper[2]) == pytest.approx(0.025)
    assert (lower[3], upper[3]) == (0, 1)


@pytest.mark.parametrize("n", [-1, 1.5, np.nan])
def test_nonsense_counts_are_refused(n: float) -> None:
    with pytest.raises(InputError):
        garwood_interval(n)


def test_nonsense_options_are_refused() -> None:
    with pytest.raises(InputError):
        garwood_interval(1, confidence=95)
    with pytest.raises(InputError):
        clopper_pearson_interval(3, 2)
    with pytest.raises(InputError):
        density_interval(3, -1.0)
