"""Log likelihood ratios of single pieces of evidence: the source against a random crater.

Every function returns natural logarithms. The alternative is always *a random crater of launch
size on the same planet*, so that 0 says nothing either way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import poisson

from queries.sphere import Floats

# How much of the truth the models may miss: no single piece of evidence is stronger than this.
MODEL_ERROR = 0.02
OLDEST_MA = 4000.0


@dataclass(frozen=True)
class AgePrior:
    """Formation ages of random launch-size craters: uniform from 0 to `oldest_ma`.

    A constant impact rate fits the last 3 Ga of the chronologies; craters that are older still
    are all far from any ejection age, so their exact ages do not matter.
    """

    oldest_ma: float = OLDEST_MA

    def grid(self, points: int = 2001) -> tuple[Floats, Floats]:
        """Ages in Ma, log-spaced from 1000 years, and their prior weights (sum 1)."""
        edges = np.concatenate([[0.0], np.geomspace(1e-3, self.oldest_ma, points)])
        return (edges[1:] + edges[:-1]) / 2.0, np.diff(edges) / self.oldest_ma


def poisson_age_likelihood(
    count: int, expected_per_ma: float, ages_ma: Floats, background: float = 0.0
) -> Floats:
    """log P(count | age) of small craters on the ejecta, on a grid of ages.

    Args:
        count: craters of the counted diameters on the counted area.
        expected_per_ma: production on that area per million years.
        background: craters expected there whatever the age (secondaries of others).
    """
    return np.asarray(poisson.logpmf(count, expected_per_ma * ages_ma + background))


def normal_age_likelihood(age_ma: float, low_ma: float, high_ma: float, ages: Floats) -> Floats:
    """log density of a published age with 1-sigma bounds, two half normals, on a grid."""
    sigma = np.where(ages >= age_ma, max(high_ma - age_ma, 1e-6), max(age_ma - low_ma, 1e-6))
    return np.asarray(-0.5 * ((ages - age_ma) / sigma) ** 2)


def ground_log_ratio(
    unit_ma: tuple[float, float], rock_ma: tuple[float, float], share: float, error: float = 0.1
) -> float:
    """Evidence of a mapped unit's age for a rock's crystallisation age.

    Args:
        unit_ma: age range of the unit at the crater.
        rock_ma: crystallisation ages of the group.
        share: of the launch-size craters on mapped ground, how many lie on a unit that overlaps.
        error: chance that the map's unit is not what was launched.
    """
    overlaps = unit_ma[0] <= rock_ma[1] and unit_ma[1] >= rock_ma[0]
    return mark_log_ratio(overlaps, share, error)


def mark_log_ratio(present: bool, share: float, error: float = 0.1) -> float:
    """Evidence of a mark that the source bears, but for `error`, and a `share` of craters too."""
    common = min(max(share, 1e-3), 1.0 - 1e-3)
    return float(np.log((1.0 - error) / common) if present else np.log(error / (1.0 - common)))


def value_log_ratio(
    value: float, mean: float, sigma: float, values: Floats, error: float = 0.1
) -> float:
    """Evidence of a composition: normal about the rock's, against all candidates' values.

    Args:
        value: of the raster at the crater.
        mean, sigma: of the rock, the raster's own error included.
        values: of all candidates; their density is a normal kernel estimate of width sigma.
    """

    def density(x: Floats | float) -> Floats:
        scale = sigma * np.sqrt(2.0 * np.pi)
        return np.asarray(np.exp(-0.5 * ((value - x) / sigma) ** 2) / scale)

    random = float(density(values).mean())
    source = (1.0 - error) * float(density(mean)) + error * random
    return float(np.log(source / random))
