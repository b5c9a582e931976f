"""Production functions, chronologies, epochs: against hand calculation and published values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from cda_db.errors import InputError, NotFoundError
from queries.ages.chronology import ExponentialLinear
from queries.ages.epochs import get_epochs, list_epochs
from queries.ages.production import power_law_centre_km
from queries.ages.systems import get_equilibrium, get_production, get_system, list_systems

SYSTEMS = list_systems()
each_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.key)


def test_neukum_1983_chronology_by_hand() -> None:
    # 5.44e-14 (e^(6.93 x 3.5) - 1) + 8.38e-4 x 3.5, with e^24.255 = 3.4182e10.
    moon = get_system("moon-neukum-1983").chronology
    assert moon.density(3.5) == pytest.approx(5.44e-14 * 3.4182e10 + 2.933e-3, rel=1e-4)
    # Today's rate is c + a b, practically c: 8.38e-4 craters of 1 km a Ga and km2.
    assert moon.rate(0.0) == pytest.approx(8.38e-4, rel=1e-6)


def test_polynomial_by_hand() -> None:
    # At 10 km log10 D = 1: the sum of the coefficients without the first is log10 F.
    production = get_production("Moon, Neukum (1983)")
    exponent = (
        -3.6269 + 0.43662 + 0.79347 + 0.086468 - 0.26485 - 0.066382
        + 0.037923 + 0.010596 - 0.0022496 - 0.00051797 + 0.0000397
    )  # fmt: skip
    assert production.cumulative(10.0) == pytest.approx(10**exponent, rel=1e-12)


def test_table_returns_its_own_bins() -> None:
    # Hartmann (2005), craters km-2 Ga-1 in the bins from 1, 1.41, 2 and 2.83 km.
    published = np.array([3.08e-4, 1.28e-4, 6.85e-5, 3.67e-5])
    edges = 2.0 ** (np.arange(5) / 2)
    bins = get_production("Mars, Hartmann (2005)").between(edges[:-1], edges[1:])
    assert bins / bins[0] == pytest.approx(published / published[0], rel=1e-12)


@each_system
def test_shape_is_one_at_1_km_and_falls(system) -> None:
    low, high = system.production.range_km
    d = np.geomspace(low, high, 500)
    assert system.production.cumulative(1.0) == pytest.approx(1.0, rel=1e-12)
    assert np.all(np.diff(system.production.cumulative(d)) < 0)
    assert np.all(system.production.differential(d) > 0)


@each_system
def test_density_integrates_to_the_cumulative_shape(system) -> None:
    low, high = max(system.production.range_km[0], 0.1), min(system.production.range_km[1], 8.0)
    grid = np.geomspace(low, high, 20_001)
    integral = np.trapezoid(system.production.differential(grid), grid)
    # Exact for polynomials; a table's density is smoothed between its bins.
    tolerance = 1e-5 if "Hartmann" not in system.production.name else 0.02
    assert integral == pytest.approx(float(system.production.between(low, high)), rel=tolerance)


@each_system
def test_rate_integrates_to_density(system) -> None:
    breaks = [t for t in (4.1,) if t < 4.5]
    integral = quad(lambda t: float(system.chronology.rate(t)), 0, 4.5, points=breaks, limit=500)[0]
    assert integral == pytest.approx(float(system.chronology.density(4.5)), rel=1e-6)


@given(index=st.integers(0, len(SYSTEMS) - 1), log10_age=st.floats(-8, float(np.log10(4.5))))
def test_age_inverts_density(index: int, log10_age: float) -> None:
    chronology, age = SYSTEMS[index].chronology, 10**log10_age
    assert chronology.age(chronology.density(age)) == pytest.approx(age, rel=1e-9)


def test_age_of_nothing_is_zero() -> None:
    chronology = ExponentialLinear("x", "y", 5.44e-14, 6.93, 8.38e-4)
    assert chronology.age([0.0, 8.38e-7]).tolist() == pytest.approx([0.0, 1e-3], rel=1e-6)


def test_vesta_by_hand() -> None:
    # n(1) of O'Brien et al. (2014): the bombardment is negligible, (4.101^.9166 - 3.101^.9166) c /
    # .9166 with c = 4.101^.0834: (3.64564 - 2.82177) x 1.12490 / .9166 = 1.01110; 10^-1.723 scales.
    vesta = get_system("vesta-marchi-obrien-2014").chronology
    assert vesta.density(1.0) == pytest.approx(1.0111 * 10**-1.723, rel=2e-4)
    assert vesta.density(4.1 - 1e-9) == pytest.approx(float(vesta.density(4.1)), rel=1e-6)


# Michael (2013), table of epoch boundaries in Ga: (chronology, youngest to oldest).
MICHAEL_2013 = {
    "mars-neukum-ivanov-2001": [0.328, 1.23, 3.37, 3.61, 3.71, 3.83, 3.94],
    "mars-hartmann-2005": [0.274, 1.03, 3.24, 3.39, 3.56, 3.85, 3.96],
}


@pytest.mark.parametrize("key", MICHAEL_2013)
def test_martian_epochs_are_those_published(key: str) -> None:
    ages = get_epochs("mars-michael-2013").boundaries_ga(get_system(key))
    assert ages == pytest.approx(MICHAEL_2013[key], abs=0.006)


def test_epoch_of_an_age() -> None:
    moon, mars = get_system("moon-neukum-1983"), get_system("mars-neukum-ivanov-2001")
    assert get_epochs("moon-wilhelms-1987").epoch_of(0.5, moon) == "Copernican"
    assert get_epochs("moon-wilhelms-1987").epoch_of(1.1, moon) == "Eratosthenian"
    assert get_epochs("moon-wilhelms-1987").epoch_of(4.0, moon) == "Pre-Nectarian"
    assert get_epochs("mars-michael-2013").epoch_of(3.65, mars) == "Early Hesperian"
    assert all(len(e.times_ga or e.densities) == len(e.epochs) - 1 for e in list_epochs())


def test_another_body_is_refused() -> None:
    with pytest.raises(InputError, match="of mars"):
        get_epochs("mars-michael-2013").boundaries_ga(get_system("moon-neukum-1983"))


@pytest.mark.parametrize(
    "name", ["mars-neukum-ivanov-2001", "Mars, Neukum-Ivanov (2001)", "neukumivanov", "NI2001"]
)
def test_systems_by_any_of_their_names(name: str) -> None:
    assert get_system(name).key == "mars-neukum-ivanov-2001"


def test_names_are_unambiguous_and_unknown_ones_refused() -> None:
    names = [n.lower() for s in SYSTEMS for n in (s.key, s.name, *s.aliases)]
    assert len(names) == len(set(names))
    with pytest.raises(NotFoundError, match="martian"):
        get_system("martian")


def test_diameters_beyond_the_function_are_refused() -> None:
    with pytest.raises(InputError, match=r"0\.01 to 300"):
        get_production("Moon, Neukum (1983)").cumulative([1.0, 301.0])


def test_equilibrium_by_hand() -> None:
    # Trask: N(>=D) = 10^-1.1 D^-2, so -dN/dD at 0.1 km = 2 x 10^-1.1 x 10^3.
    trask = get_equilibrium("trask")
    assert trask.cumulative(0.1) == pytest.approx(10**-1.1 * 100)
    assert trask.differential(0.1) == pytest.approx(2 * 10**-1.1 * 1000)


@given(slope=st.floats(0.5, 6), low=st.floats(0.01, 10), width=st.floats(1.01, 3))
def test_centre_of_a_power_law_is_exact(slope: float, low: float, width: float) -> None:
    edges = np.array([low, low * width])
    shape = edges**-slope
    centre = power_law_centre_km(edges[0], edges[1], shape[0], shape[1])
    mean = (shape[0] - shape[1]) / (edges[1] - edges[0])
    assert slope * centre ** (-slope - 1) == pytest.approx(mean, rel=1e-9)
    assert edges[0] < centre < edges[1]
