"""Rays and ages as one witness, and planets without a source, against integrals and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import ks_2samp, poisson

from queries.sources.candidates import Candidates, EjectaCount, FormationAge, weigh
from queries.sources.chance import chance_maxima
from queries.sources.evidence import normal_age_likelihood, poisson_age_likelihood
from queries.sources.groups import get_group
from queries.sources.ranking import chance_p, rank
from queries.sources.young import RAYS_DETECTABLE, RAYS_FADE_MA, AgeModel

GROUP = get_group("depleted-shergottites")
MODEL = AgeModel.of((1.1, 1.1))
Floats = NDArray[np.float64]


def test_the_age_ratio_equals_an_integral() -> None:
    """3 craters where 2.5 are expected a Ma, launch at 1.1 Ma +- 10 %, ages uniform to 4 Ga."""
    moments = MODEL.moments(poisson_age_likelihood(3, 2.5, MODEL.ages_ma))
    ratio, rays = MODEL.log_ratios(moments, np.nan)

    def at(t: float) -> float:
        return float(poisson.pmf(3, 2.5 * t))

    def launch(t: float) -> float:
        return float(np.exp(-0.5 * ((t - 1.1) / 0.11) ** 2))

    source = quad(lambda t: at(t) * launch(t), 0, 5)[0] / quad(launch, 0, 5)[0]
    random = quad(at, 0.0, 50.0)[0] / 4000.0
    assert_allclose(ratio, np.log(0.98 * source / random + 0.02), atol=0.02)
    assert rays == 0.0


def test_an_old_crater_is_held_against_but_never_ruled_out() -> None:
    moments = MODEL.moments(poisson_age_likelihood(5000, 2.5, MODEL.ages_ma))
    assert_allclose(MODEL.log_ratios(moments, np.nan)[0], np.log(0.02), atol=1e-3)


def test_rays_stand_for_an_unknown_age() -> None:
    """A source of 1.1 Ma shows rays with 0.7 exp(-1.1 / 20), a random crater with 0.7 20 / 4000."""
    p = np.array([1e-3, 0.5])
    density = 0.15 * p**-0.85
    source = RAYS_DETECTABLE * np.exp(-1.1 / RAYS_FADE_MA)
    random = RAYS_DETECTABLE * RAYS_FADE_MA / 4000.0
    age, rays = MODEL.log_ratios(MODEL.unknown(), p)
    assert_allclose(age, 0.0, atol=1e-9)
    expected = np.log((1.0 + (density - 1.0) * source) / (1.0 + (density - 1.0) * random))
    assert_allclose(rays, expected, atol=0.01)
    assert rays[0] > 3.0
    assert rays[1] < 0.0


def test_rays_say_nothing_more_of_a_crater_that_is_well_dated() -> None:
    """Random craters of 1.1 Ma have rays like the source: the ratio is 1, whatever p."""
    dated = MODEL.moments(normal_age_likelihood(1.1, 1.05, 1.15, MODEL.ages_ma))
    _, rays = MODEL.log_ratios(dated, np.array([1e-4, 0.01, 1.0]))
    assert_allclose(rays, 0.0, atol=0.02)


def test_the_ratio_of_random_craters_is_one_in_the_mean() -> None:
    """Sum over all counts of the ratio times the chance that a random crater has that count."""
    counts = np.arange(4500)
    model = AgeModel.of((1.1, 1.1), points=1001)
    of_count = sum(
        w * poisson.pmf(counts, t) for t, w in zip(model.ages_ma, model.random, strict=True)
    )
    likelihood = np.stack([poisson_age_likelihood(int(k), 1.0, model.ages_ma) for k in counts])
    age, _ = model.log_ratios(model.moments(likelihood), np.nan)
    assert_allclose((np.exp(age) * of_count).sum(), 1.0, atol=1e-3)


def test_ranges_of_what_is_unknown_hold_what_it_can_become() -> None:
    low, high = MODEL.age_range(float("nan"))
    assert_allclose(low, np.log(0.02), atol=1e-3)
    assert high > 8.0
    sharp = MODEL.moments(normal_age_likelihood(1.1, 1.0, 1.2, MODEL.ages_ma))
    assert low < float(MODEL.log_ratios(sharp, np.nan)[0]) < high
    without, clear = MODEL.rays_range(MODEL.unknown())
    assert_allclose([without, clear], MODEL.log_ratios(MODEL.unknown(), [1.0, 1e-4])[1])
    assert without < 0.0 < clear


def test_the_share_of_planets_counts_the_real_one() -> None:
    maxima = np.array([1.0, 2.0, 3.0])
    assert [chance_p(x, maxima) for x in (0.0, 2.0, 9.0)] == [1.0, 0.75, 0.25]


def _some(n: int, rng: np.random.Generator) -> Candidates:
    """Candidates of every kind: counts large and small, published ages, no age; some searched."""
    ages: dict[int, EjectaCount | FormationAge] = {}
    for i in range(0, n, 3):
        ages[i] = EjectaCount(4, 2.0, 0.5) if i % 2 else EjectaCount(1, 0.05)
    for i in range(1, n, 3):
        ages[i] = FormationAge(10.0, 8.0, 14.0)
    low = np.where(rng.random(n) < 0.5, 100.0, 2000.0)
    low[::5] = np.nan
    p = rng.random(n)
    p[::4] = np.nan
    size = np.full(n, 8.0)
    size[0] = 2.0
    return Candidates(np.arange(n), np.zeros(n), np.zeros(n), size, p, ages, low, low + 400.0)


def _without_a_source(given: Candidates, rng: np.random.Generator) -> float:
    """The best log ratio of one planet of random craters, the slow way."""
    n = len(given)
    age = rng.uniform(0.0, 4000.0, n)
    ages: dict[int, EjectaCount | FormationAge] = {}
    for i, data in given.ages.items():
        if isinstance(data, EjectaCount):
            mean = data.expected_per_ma * age[i] + data.background
            ages[i] = replace(data, count=int(rng.poisson(mean)))
        else:
            e = rng.normal()
            dated = age[i] / (1.4**e if e > 0 else 0.8**-e)
            ages[i] = FormationAge(dated, 0.8 * dated, 1.4 * dated)
    p = rng.random(n)
    rayed = rng.random(n) < 0.7 * np.exp(-age / 20.0)
    p[rayed] = rng.beta(0.15, 1.0, int(rayed.sum()))
    p = np.where(np.isnan(given.ray_p), np.nan, np.maximum(p, 1e-4))
    total = np.zeros(n)
    mapped = np.flatnonzero(~np.isnan(given.unit_low_ma))  # type: ignore[arg-type]
    ground = [row.log_ratio for row in weigh(given, GROUP) if row.name == "ground_age"]
    for row in weigh(replace(given, ray_p=p, ages=ages), GROUP):
        if row.name != "ground_age":
            total[row.crater] += row.log_ratio
    total[mapped] += rng.choice(np.array(ground)[mapped], len(mapped))
    return float(total.max())


def test_planets_without_a_source_equal_the_slow_way() -> None:
    given = _some(24, np.random.default_rng(2))
    rng = np.random.default_rng(3)
    slow = [_without_a_source(given, rng) for _ in range(120)]
    fast = chance_maxima(given, weigh(given, GROUP), GROUP, np.random.default_rng(4), 2000)
    # Rounded: many maxima are one of a few values, and the two grids of ages differ by 0.001.
    assert ks_2samp(np.round(slow, 1), np.round(fast, 1)).pvalue > 0.01


def test_reports_without_a_source_are_as_rare_as_said() -> None:
    """Planets drawn by the assumptions: the first is reported on at most 5 % of 200."""
    n = 100
    given = replace(_some(n, np.random.default_rng(5)), unit_low_ma=None, unit_high_ma=None)
    rows = weigh(given, GROUP)
    maxima = chance_maxima(given, rows, GROUP, np.random.default_rng(6), 999)
    others = chance_maxima(given, rows, GROUP, np.random.default_rng(7), 2000)
    rare = np.mean([chance_p(best, maxima) <= 0.05 for best in others])
    assert rare <= 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / 2000) + 3.0 * np.sqrt(0.05 * 0.95 / 999)


@pytest.mark.parametrize("age", [1.1, 60.0])
def test_only_a_crater_of_the_launch_age_is_reported(age: float) -> None:
    """One well dated crater among a thousand undated ones, some 50 of them with chance rays."""
    rng = np.random.default_rng(8)
    p = rng.random(1000)
    p[0] = 1e-4
    ages: dict[int, EjectaCount | FormationAge] = {0: FormationAge(age, 0.95 * age, 1.05 * age)}
    zero = np.zeros(1000)
    given = Candidates(np.arange(1000), zero, zero, np.full(1000, 9.0), p, ages)
    rows = weigh(given, GROUP)
    found = rank(rows, 1000, chance_maxima(given, rows, GROUP, rng))
    assert found.reported == (0 if age == 1.1 else None)
