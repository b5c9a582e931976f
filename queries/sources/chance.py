"""How good the best crater looks where none of them is the source.

Every candidate is replaced by a random crater: its age is drawn from the ages of random craters,
its rays are seen or not as craters of that age show them, its small craters are drawn from that
age, and ground and composition are dealt anew among the candidates. What is unknown of a candidate
stays unknown. The best log likelihood ratio of each such planet is what a real ranking must beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cda_db.meteorites import MeteoriteGroup
from queries.sources.candidates import (
    LAUNCH_DIAMETER_KM,
    Candidates,
    EjectaCount,
    FormationAge,
)
from queries.sources.evidence import AgePrior, normal_age_likelihood
from queries.sources.ranking import Constraint
from queries.sources.young import (
    BEST_RAY_P,
    RAYS_DETECTABLE,
    RAYS_FADE_MA,
    RAYS_SHARPNESS,
    AgeModel,
    Moments,
)
from queries.sphere import Floats

SIMULATIONS = 999
_GRID = 500  # ages; their steps of 3 % are finer than any age is known
_DEALT = ("ground_age", "composition")
_BLOCK = 1000  # candidates at a time
_OLD_MA = 10.0 * RAYS_FADE_MA  # a crater dated older than this is neither source nor rayed


def chance_maxima(
    candidates: Candidates,
    constraints: list[Constraint],
    group: MeteoriteGroup,
    rng: np.random.Generator,
    simulations: int = SIMULATIONS,
    prior: AgePrior | None = None,
) -> Floats:
    """Best log ratio of each planet without a source, shape (simulations,).

    Args:
        candidates: what is known, and of which of them.
        constraints: their rows (`weigh`), from which ground and composition are dealt.
        group: the stones.
        rng: draws the planets.
        simulations: planets.
        prior: ages of random craters.
    """
    ages = prior or AgePrior()
    model = AgeModel.of(group.ejection_ma, ages, _GRID)
    others = [_Dealt.of(constraints, name, len(candidates)) for name in _DEALT]
    best = np.full(simulations, -np.inf)
    for start in range(0, len(candidates), _BLOCK):
        part = np.arange(start, min(start + _BLOCK, len(candidates)))
        age_ma = rng.uniform(0.0, ages.oldest_ma, (simulations, len(part)))
        moments = _draw_moments([candidates.ages.get(int(i)) for i in part], model, age_ma, rng)
        age, rays = model.log_ratios(moments, _draw_ray_p(candidates.ray_p[part], age_ma, rng))
        total = age + rays + _launch_size(candidates, part)
        for other in others:
            total += other.draw(part, simulations, rng)
        best = np.maximum(best, total.max(axis=1))
    return best


@dataclass(frozen=True)
class _Dealt:
    """Log ratios of one constraint: who has one, shape (n,), and the values of those who do."""

    has: NDArray[np.bool_]
    values: Floats

    @classmethod
    def of(cls, constraints: list[Constraint], name: str, n: int) -> _Dealt:
        rows = [row for row in constraints if row.name == name and row.verdict != "unknown"]
        has = np.zeros(n, bool)
        has[[row.crater for row in rows]] = True
        return cls(has, np.array([row.log_ratio for row in rows]))

    def draw(self, part: NDArray[np.int64], simulations: int, rng: np.random.Generator) -> Floats:
        """Dealt anew among those of `part` who have one; the others get 0."""
        dealt = np.zeros((simulations, len(part)))
        has = np.flatnonzero(self.has[part])
        if len(has):
            dealt[:, has] = rng.choice(self.values, (simulations, len(has)))
        return dealt


def _launch_size(candidates: Candidates, part: NDArray[np.int64]) -> Floats:
    """The size is no chance: it stays with its crater."""
    return np.where(candidates.diameter_km[part] >= LAUNCH_DIAMETER_KM, 0.0, -np.inf)


def _draw_ray_p(ray_p: Floats, age_ma: Floats, rng: np.random.Generator) -> Floats:
    """p-values of rays as craters of those ages have them; NaN where no search was made."""
    rayed = rng.random(age_ma.shape) < RAYS_DETECTABLE * np.exp(-age_ma / RAYS_FADE_MA)
    p = rng.random(age_ma.shape)
    p[rayed] **= 1.0 / RAYS_SHARPNESS
    p = np.maximum(p, min(BEST_RAY_P, float(np.nanmin(ray_p, initial=1.0))))
    p[:, np.isnan(ray_p)] = np.nan
    return p


def _draw_moments(
    known: Sequence[EjectaCount | FormationAge | None],
    model: AgeModel,
    age_ma: Floats,
    rng: np.random.Generator,
) -> Moments:
    """Age data of random craters of those ages, shape (simulations, len(known)), as moments."""
    result = [np.full(age_ma.shape, float(value)) for value in vars(model.unknown()).values()]
    for i, data in enumerate(known):
        if data is None:
            continue
        if isinstance(data, EjectaCount):
            drawn, moments = _recount(data, model, age_ma[:, i], rng)
        else:
            drawn, moments = _redate(data, model, age_ma[:, i], rng)
        for column, values in zip(result, vars(moments).values(), strict=True):
            column[:, i] = 0.0
            column[drawn, i] = values
    return Moments(*result)


def _recount(
    data: EjectaCount, model: AgeModel, age_ma: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Moments]:
    """Counts of random craters: those that are not old by far, and the moments of each."""
    count = rng.poisson(data.expected_per_ma * age_ma + data.background)
    old = data.expected_per_ma * _OLD_MA + data.background
    young = np.flatnonzero(count <= old + 10.0 * np.sqrt(old) + 10.0)
    values, which = np.unique(count[young], return_inverse=True)
    mean = data.expected_per_ma * model.ages_ma + data.background
    moments = model.moments(values[:, None] * np.log(mean) - mean)
    return young, Moments(*(column[which] for column in vars(moments).values()))


def _redate(
    data: FormationAge, model: AgeModel, age_ma: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Moments]:
    """Published ages of random craters, each with the relative errors of this one."""
    down, up = max(data.low_ma / data.age_ma, 1e-3), data.high_ma / data.age_ma
    error = rng.normal(size=age_ma.shape)
    # Dated too young by one sigma, the truth is the upper bound; too old, it is the lower one.
    dated = age_ma / np.where(error > 0.0, up**error, down**-error)
    young = np.flatnonzero(dated <= _OLD_MA)
    likelihood = [
        normal_age_likelihood(age, age * down, age * up, model.ages_ma) for age in dated[young]
    ]
    return young, model.moments(np.array(likelihood).reshape(-1, len(model.ages_ma)))
