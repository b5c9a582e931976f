"""Poisson ages and isochron fits: Craterstats' numbers, numerical integration, planted surfaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cda_db.errors import InputError
from queries.ages.exposure import Exposure
from queries.ages.fits import cumulative_fit, differential_fit
from queries.ages.poisson import age_likelihood, poisson_age
from queries.ages.systems import ChronologySystem, get_system, list_systems

MARS = get_system("mars-neukum-ivanov-2001")
MOON = get_system("moon-neukum-1983")

# 60 craters, N(>=D) ~ D^-3 from 0.2 km; the range 0.2-0.7 km holds 59 of them.
DIAMETERS_KM = np.round(0.2 * (1 - (np.arange(60) + 0.5) / 60) ** (-1 / 3), 4)
RANGE_KM = (0.2, 0.7)

# What Craterstats 3.2.1 prints for these craters on area_km2 (second column), pseudo-log bins:
# cumulative fit, age, lower, upper (Ga), a0; then the same with the resurfacing correction.
CRATERSTATS = """
moon-neukum-1983 95.6 2.52 2.2 2.82 -2.675 2.4 2.1 2.7 -2.696
moon-neukum-2001 91.4 2.54 2.22 2.84 -2.671 2.41 2.11 2.71 -2.695
moon-hartmann-2010 195.0 2.71 2.37 3 -2.967 2.55 2.23 2.85 -2.995
moon-yue-2022 100.0 2.54 2.22 2.84 -2.71 2.41 2.11 2.7 -2.734
mars-neukum-ivanov-2001 165.0 2.64 2.31 2.93 -2.89 2.49 2.18 2.79 -2.915
mars-ivanov-2001 195.0 2.64 2.31 2.93 -2.962 2.49 2.18 2.79 -2.988
mars-hartmann-2005 193.0 2.48 2.17 2.78 -2.838 2.39 2.09 2.68 -2.855
mars-hartmann-daubar-2016 193.0 2.48 2.17 2.78 -2.838 2.39 2.09 2.68 -2.855
mercury-strom-neukum-1988 45.7 2.49 2.18 2.79 -2.344 2.38 2.08 2.67 -2.364
mercury-neukum-2001 81.9 2.51 2.19 2.81 -2.617 2.39 2.09 2.68 -2.639
mercury-lefeuvre-wieczorek-2011-nonporous 1.52 2.06 1.8 2.32 -0.6255 2.11 1.84 2.38 -0.6152
mercury-lefeuvre-wieczorek-2011-porous 25.1 2.56 2.24 2.88 -2.182 2.4 2.1 2.71 -2.209
vesta-schmedemann-2014-rev4 8.73 2.34 2.04 2.63 -1.335 2.32 2.03 2.61 -1.338
vesta-schmedemann-2014-rev3 8.02 2.32 2.03 2.61 -1.325 2.31 2.01 2.59 -1.328
ceres-hiesinger-2016 2.1 2.41 2.11 2.71 -0.8514 2.35 2.05 2.64 -0.8628
ida-schmedemann-2014 8.6 2.29 2 2.57 -1.254 2.3 2.01 2.58 -1.252
gaspra-schmedemann-2014 4.84 2.29 2 2.57 -1.032 2.29 2 2.58 -1.032
lutetia-schmedemann-2014 6.55 2.29 2 2.57 -1.141 2.3 2.01 2.58 -1.14
phobos-schmedemann-2014-a 223.0 2.29 2 2.57 -2.733 2.28 1.99 2.57 -2.734
phobos-schmedemann-2014-b 3.07 2.3 2.01 2.58 -0.8468 2.3 2.01 2.58 -0.8469
"""
CASES = [line.split() for line in CRATERSTATS.strip().splitlines()]
HALF_DIGIT = 0.00501  # of the last digit printed


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_every_system_fits_as_craterstats(case: list[str]) -> None:
    system = get_system(case[0])
    area, *printed = map(float, case[1:])
    for corrected, (value, low, high, a0) in zip(
        (False, True), np.reshape(printed, (2, 4)), strict=True
    ):
        fit = cumulative_fit(DIAMETERS_KM, area, system, RANGE_KM, resurfacing=corrected)
        age = fit.age_ga
        assert [age.value, age.low, age.high] == pytest.approx([value, low, high], abs=HALF_DIGIT)
        assert fit.a0.value == pytest.approx(a0, abs=0.00051)
        assert fit.n == 59


def test_only_one_system_has_no_numbers_of_craterstats() -> None:
    # Craterstats 3.2.1 ends with an error on Vesta's piecewise chronology.
    assert {s.key for s in list_systems()} - {c[0] for c in CASES} == {"vesta-marchi-obrien-2014"}


@settings(max_examples=20)
@given(n=st.integers(0, 40), area=st.floats(1, 1e5))
def test_poisson_quantiles_equal_integrated_likelihood(n: int, area: float) -> None:
    age = poisson_age([0.3] * n, area, MARS, RANGE_KM)
    # Uniform in N1: integrate the likelihood over N1 by the trapezoid rule, tail beyond 12 sigma.
    per_n1 = area * float(MARS.production.between(*RANGE_KM))
    mu = np.linspace(0, n + 12 * np.sqrt(n + 1) + 20, 20_001)
    likelihood = age_likelihood(age, MARS.chronology.age(mu[::50] / per_n1))
    cdf = np.concatenate([[0], np.cumsum((likelihood[1:] + likelihood[:-1]) / 2)])
    quantiles = np.interp(
        np.array([age.n1_per_km2.low, age.n1_per_km2.value, age.n1_per_km2.high]) * per_n1,
        mu[::50],
        cdf / cdf[-1],
    )
    assert quantiles == pytest.approx([0.15866, 0.5, 0.84134], abs=0.004)


def test_one_sigma_bounds_hold_the_truth_as_often_as_they_say() -> None:
    # Drawn counts of mean 80; a share of 600 has a standard error of 1.9 %.
    rng = np.random.default_rng(6)
    truth, area = 1.5, 80 / float(MARS.chronology.density(1.5) * MARS.production.between(*RANGE_KM))
    ages = [poisson_age([0.3] * n, area, MARS, RANGE_KM).age_ga for n in rng.poisson(80, 600)]
    held = np.mean([age.low <= truth <= age.high for age in ages])
    assert held == pytest.approx(0.683, abs=3 * 0.019)


def test_no_crater_still_gives_an_upper_bound() -> None:
    age = poisson_age([], 1000.0, MARS, (1, 5))
    per_n1 = 1000 * float(MARS.production.between(1, 5))
    # P(no crater) = 15.87 % at mu = -ln 0.1587 = 1.841.
    assert age.n1_per_km2.high * per_n1 == pytest.approx(1.841, abs=1e-3)
    assert "upper bound" in age.warnings[0]


def test_older_than_the_solar_system_is_said() -> None:
    assert "Solar System" in poisson_age([2.0] * 500, 1.0, MARS, (1, 5)).warnings[0]


def population(system: ChronologySystem, age_ga: float, area: float, low: float, high: float):
    """The craters of at least ``low`` km that an isochron expects: its quantiles, no noise."""
    n1 = float(system.chronology.density(age_ga))
    grid = np.geomspace(low, high, 4001)
    expected = area * n1 * system.production.cumulative(grid)
    ranks = np.arange(0.5, expected[0], 1.0)
    return np.interp(-ranks, -expected, grid)


@pytest.mark.parametrize("system", [MARS, MOON, get_system("mars-hartmann-daubar-2016")])
@pytest.mark.parametrize("age_ga", [0.01, 1.0, 3.6])
def test_all_methods_recover_a_planted_age(system: ChronologySystem, age_ga: float) -> None:
    area = 20_000 / float(system.chronology.density(age_ga) * system.production.cumulative(0.25))
    d = population(system, age_ga, area, 0.25, 20)
    truth = float(system.chronology.density(age_ga))
    for n1 in (
        poisson_age(d, area, system, (0.25, 1)).n1_per_km2.value,
        cumulative_fit(d, area, system, (0.25, 1)).n1_per_km2.value,
        differential_fit(d, area, system, (0.25, 1)).n1_per_km2.value,
    ):
        assert n1 == pytest.approx(truth, rel=0.01)


def test_resurfacing_correction_finds_the_young_surface() -> None:
    # A 3.6 Ga surface lost its craters below 1 km 0.5 Ga ago; its larger ones stand.
    area = 2e5
    old = population(MARS, 3.6, area, 0.3, 50)
    young = population(MARS, 0.5, area, 0.3, 50)
    d = np.concatenate([old[old >= 1], young])
    plain = cumulative_fit(d, area, MARS, (0.3, 0.9)).age_ga.value
    corrected = cumulative_fit(d, area, MARS, (0.3, 0.9), resurfacing=True).age_ga.value
    assert corrected == pytest.approx(0.5, rel=0.01)
    assert plain > 0.6
    # The methods that look at the range alone never see the old craters.
    assert differential_fit(d, area, MARS, (0.3, 0.9)).age_ga.value == pytest.approx(0.5, rel=0.02)
    assert poisson_age(d, area, MARS, (0.3, 0.9)).age_ga.value == pytest.approx(0.5, rel=0.01)


def test_areas_by_diameter() -> None:
    # Small craters searched on a tenth of the ground: counting them there gives the same age.
    area = 4e5
    d = population(MARS, 1.0, area, 0.25, 20)
    small = d[d < 0.5]
    seen = np.concatenate([small[::10], d[d >= 0.5]])
    exposure = Exposure(np.array([0.25, 0.5, 1.0]), np.array([area / 10, area]))
    age = poisson_age(seen, exposure, MARS, (0.25, 1.0))
    assert age.age_ga.value == pytest.approx(1.0, rel=0.01)
    assert area / 10 < age.area_km2 < area
    with pytest.raises(InputError, match="No ground"):
        poisson_age(seen, exposure, MARS, (1.0, 2.0))


def test_one_crater_fits_have_a_lower_bound() -> None:
    # 0.98 / sqrt(1): the lower bound is 2 % of the value, not 0.
    n1 = cumulative_fit([2.2], 1000.0, MARS, (2, 5)).n1_per_km2
    assert n1.low / n1.value == pytest.approx(0.02)
    assert n1.high / n1.value == pytest.approx(1.98)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cumulative_fit([1.0], 10.0, MARS, (2, 5)), "No crater"),
        (lambda: cumulative_fit([2.2], 10.0, MARS, (2, 5), resurfacing=True), "at least two bins"),
        (lambda: poisson_age([1.0], -1.0, MARS, (1, 5)), "No ground"),
        (lambda: poisson_age([1.0], 1.0, MARS, (1, 500)), "outside"),
        (lambda: poisson_age([np.nan], 1.0, MARS, (1, 5)), "diameter"),
        (lambda: Exposure(np.array([2.0, 1.0]), np.array([1.0])), "ascend"),
    ],
)
def test_bad_input_is_named(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()
