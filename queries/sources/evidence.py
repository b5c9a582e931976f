"""Log likelihood ratios of single pieces of evidence: the source against a random crater.

Every function returns natural logarithms. The alternative is always *a random crater of launch
size on the same planet*, so that 0 says nothing either way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from scipy.stats import poisson

from queries.sources.groups import RELATIVE_ERROR
from queries.sphere import Floats

# How much of the truth the models may miss: no single piece of evidence is stronger than this.
MODEL_ERROR = 0.02
RAYS_DETECTABLE = 0.7  # chance that a young source shows rays in the search
RAYS_SHARPNESS = 0.15  # p of a rayed source is drawn from Beta(this, 1)
OLDEST_MA = 4000.0


def rays_log_ratio(p: ArrayLike) -> Floats:
    """From the p-value of the ray search.

    A random crater's p is uniform. The source's is Beta(`RAYS_SHARPNESS`, 1) with the chance
    `RAYS_DETECTABLE` that its rays are there to see, else uniform: at p = 0.01 the ratio is 5.6,
    at 0.001 it is 37; a crater without rays loses a factor of at most 2.5.
    """
    value = np.asarray(p, float)
    rayed = RAYS_SHARPNESS * value ** (RAYS_SHARPNESS - 1.0)
    return np.asarray(np.log(RAYS_DETECTABLE * rayed + 1.0 - RAYS_DETECTABLE))


def rays_range() -> tuple[float, float]:
    """Lowest ratio (p = 1) and the ratio at p = 0.0001, the smallest a search usually gives."""
    return float(rays_log_ratio(1.0)), float(rays_log_ratio(1e-4))


@dataclass(frozen=True)
class AgePrior:
    """Formation ages of random launch-size craters: uniform from 0 to `oldest_ma`.

    A constant impact rate fits the last 3 Ga of the chronologies; craters that are older still
    are all far from any ejection age, so their exact ages do not matter.
    """

    oldest_ma: float = OLDEST_MA

    def grid(self) -> tuple[Floats, Floats]:
        """Ages in Ma, log-spaced from 1000 years, and their prior weights (sum 1)."""
        edges = np.concatenate([[0.0], np.geomspace(1e-3, self.oldest_ma, 2001)])
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


def age_log_ratio(
    log_likelihood: Floats, ages_ma: Floats, prior: Floats, ejection_ma: tuple[float, float]
) -> float:
    """Evidence of a formation age for a launch at the ejection age.

    Args:
        log_likelihood: of the age data on the grid.
        ages_ma, prior: the grid and its weights (`AgePrior.grid`).
        ejection_ma: 1-sigma low and high of the launch; uniform between, half normals outside.
    """
    low, high = ejection_ma
    below = np.maximum(low - ages_ma, 0.0) / (RELATIVE_ERROR * low)
    above = np.maximum(ages_ma - high, 0.0) / (RELATIVE_ERROR * high)
    at_launch = prior * np.exp(-0.5 * (below**2 + above**2))
    at_launch /= at_launch.sum()
    with np.errstate(divide="ignore"):
        source = logsumexp(log_likelihood + np.log(at_launch))
        random = logsumexp(log_likelihood + np.log(prior))
    return soften(float(source - random))


def soften(log_ratio: float, error: float = MODEL_ERROR) -> float:
    """The ratio where the model of the evidence is wrong with the chance `error`."""
    return float(np.logaddexp(np.log1p(-error) + log_ratio, np.log(error)))


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
