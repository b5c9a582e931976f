"""Evidence that a crater is as young as the launch: its rays and its formation age, jointly.

Rays fade. A crater that is known to be young has rays with nearly the same chance whether it is
the source or not, so rays and age must not count as two witnesses: the ratio of both together is
taken over all ages, and the rays' share of it is what they add to the age. Where the age is
unknown the rays stand for it: a random crater is seldom young enough to show any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from queries.sources.evidence import MODEL_ERROR, AgePrior
from queries.sources.groups import RELATIVE_ERROR
from queries.sphere import Floats

RAYS_DETECTABLE = 0.7  # chance that the search finds the rays of a crater of today
RAYS_FADE_MA = 20.0  # that chance falls with age as exp(-age / this)
RAYS_SHARPNESS = 0.15  # p of a rayed crater is drawn from Beta(this, 1), of others uniformly
BEST_RAY_P = 1e-4  # the smallest p that a search usually gives


@dataclass(frozen=True)
class Moments:
    """Means of an age likelihood, over its mean for random craters; arrays of one shape.

    Attributes:
        source: its mean over the ages that the launch allows.
        source_rayed: the same with every age weighed by the chance of rays.
        random_rayed: chance of rays of a random crater with these age data.
    """

    source: Floats
    source_rayed: Floats
    random_rayed: Floats


@dataclass(frozen=True)
class AgeModel:
    """Ages of the source and of random craters on one grid, and who shows rays; shape (m,).

    Attributes:
        ages_ma: the grid.
        random, source: weights of the two hypotheses, each of sum 1.
        rayed: chance that a crater of that age shows rays in the search.
    """

    ages_ma: Floats
    random: Floats
    source: Floats
    rayed: Floats

    @classmethod
    def of(
        cls, ejection_ma: tuple[float, float], prior: AgePrior | None = None, points: int = 2001
    ) -> AgeModel:
        """Launch at `ejection_ma`: uniform between low and high, half normals of 10 % outside."""
        ages, random = (prior or AgePrior()).grid(points)
        low, high = ejection_ma
        below = np.maximum(low - ages, 0.0) / (RELATIVE_ERROR * low)
        above = np.maximum(ages - high, 0.0) / (RELATIVE_ERROR * high)
        source = random * np.exp(-0.5 * (below**2 + above**2))
        rayed = RAYS_DETECTABLE * np.exp(-ages / RAYS_FADE_MA)
        return cls(ages, random, source / source.sum(), rayed)

    def moments(self, log_likelihood: Floats) -> Moments:
        """Of log likelihoods of age data on the grid, shape (..., m); any constant may be left out.

        Where the launch's ages are so unlikely that their likelihood underflows, it is 0.
        """
        peak = log_likelihood.max(axis=-1, keepdims=True)
        likelihood = np.exp(log_likelihood - peak)
        weights = (self.source, self.source * self.rayed, self.random * self.rayed, self.random)
        *means, random = (likelihood @ weight for weight in weights)
        return Moments(*(np.asarray(mean / random) for mean in means))

    def unknown(self) -> Moments:
        """Where there are no age data."""
        return self.moments(np.zeros(len(self.ages_ma)))

    def log_ratios(self, moments: Moments, ray_p: ArrayLike) -> tuple[Floats, Floats]:
        """Log likelihood ratios of the age data, and of the rays given the age data.

        With the chance `MODEL_ERROR` the age data are as wrong as a random crater's, so that a
        bad age never rules the source out.

        Args:
            moments: of the age data.
            ray_p: of the ray search; NaN where it was not made, which gives 0.
        """
        p = np.asarray(ray_p, float)
        density = np.where(np.isnan(p), 1.0, RAYS_SHARPNESS * p ** (RAYS_SHARPNESS - 1.0))
        anyway = 1.0 + (density - 1.0) * float(self.source @ self.rayed)
        source = moments.source + (density - 1.0) * moments.source_rayed
        random = 1.0 + (density - 1.0) * moments.random_rayed
        age = np.log((1.0 - MODEL_ERROR) * moments.source + MODEL_ERROR)
        both = np.log(((1.0 - MODEL_ERROR) * source + MODEL_ERROR * anyway) / random)
        return age, both - age

    def rays_range(self, moments: Moments) -> tuple[float, float]:
        """What the rays of one crater could add to its age: without any, and at their clearest."""
        _, ends = self.log_ratios(moments, np.array([1.0, BEST_RAY_P]))
        return float(ends.min()), float(ends.max())

    def age_range(self, ray_p: float) -> tuple[float, float]:
        """What the age of one crater could add to its rays: old, and as old as the launch."""
        without, rays = (float(x) for x in self.log_ratios(self.unknown(), ray_p))
        ends = []
        for data in (self.ages_ma >= self.ages_ma[-1], self.source >= self.source.max()):
            with np.errstate(divide="ignore"):
                age, more = self.log_ratios(self.moments(np.log(data.astype(float))), ray_p)
            ends.append(float(age + more) - without - rays)
        return min(ends), max(ends)
