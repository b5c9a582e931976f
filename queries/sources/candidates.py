"""Constraints of every candidate crater for one meteorite group.

What is not given stays unknown: it counts nothing, and the row says what would settle it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from cda_db.meteorites import MeteoriteGroup
from queries.sources.evidence import (
    AgePrior,
    ground_log_ratio,
    normal_age_likelihood,
    poisson_age_likelihood,
    value_log_ratio,
)
from queries.sources.ranking import Constraint, known, unknown
from queries.sources.young import AgeModel, Moments
from queries.sphere import Floats

LAUNCH_DIAMETER_KM = 3.0


@dataclass(frozen=True)
class EjectaCount:
    """Small craters on an ejecta blanket, its interior excluded.

    Attributes:
        count: craters of the counted diameters.
        expected_per_ma: production on the counted area per Ma, from the chronology.
        background: craters expected whatever the age.
    """

    count: int
    expected_per_ma: float
    background: float = 0.0


@dataclass(frozen=True)
class FormationAge:
    """A published or fitted age in Ma with 1-sigma bounds."""

    age_ma: float
    low_ma: float
    high_ma: float


@dataclass(frozen=True)
class Candidates:
    """Candidate craters and what is known of them; arrays of shape (n,), NaN where unknown.

    Attributes:
        crater_id: the catalogue's.
        lon_deg, lat_deg, diameter_km: where and how large.
        ray_p: p-value of the ray search.
        ages: crater index -> count on its ejecta, or its age.
        unit_low_ma, unit_high_ma: age range of the mapped unit at the crater.
        composition: value of a raster at the crater.
        sources: constraint name -> where its values are from.
    """

    crater_id: NDArray[np.int64]
    lon_deg: Floats
    lat_deg: Floats
    diameter_km: Floats
    ray_p: Floats
    ages: dict[int, EjectaCount | FormationAge] = field(default_factory=dict)
    unit_low_ma: Floats | None = None
    unit_high_ma: Floats | None = None
    composition: Floats | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.crater_id)

    def source(self, name: str) -> str:
        """Where the values of a constraint are from."""
        return self.sources.get(name, "given")


@dataclass(frozen=True)
class Composition:
    """What the rock has: mean and 1-sigma, the raster's error included, and the unit."""

    mean: float
    sigma: float
    unit: str


def weigh(
    candidates: Candidates,
    group: MeteoriteGroup,
    composition: Composition | None = None,
    prior: AgePrior | None = None,
) -> list[Constraint]:
    """All constraints of all candidates: five rows a crater."""
    rows: list[Constraint] = []
    rows += _sizes(candidates)
    rows += _young(candidates, group, prior or AgePrior())
    rows += _ground(candidates, group)
    rows += _compositions(candidates, composition)
    return sorted(rows, key=lambda row: row.crater)


def _sizes(candidates: Candidates) -> list[Constraint]:
    return [
        known(
            i,
            "launch_size",
            float(d),
            0.0 if d >= LAUNCH_DIAMETER_KM else -inf,
            "km",
            candidates.source("launch_size"),
        )
        for i, d in enumerate(candidates.diameter_km)
    ]


def _young(candidates: Candidates, group: MeteoriteGroup, prior: AgePrior) -> list[Constraint]:
    """Rows of the formation age, and of what the rays add to it."""
    model = AgeModel.of(group.ejection_ma, prior)
    rows = []
    for i, p in enumerate(candidates.ray_p):
        data = candidates.ages.get(i)
        if data is None:
            moments = model.unknown()
            rows.append(unknown(i, "formation_age", "Ma", model.age_range(float(p))))
        else:
            likelihood = age_log_likelihood(data, model.ages_ma)
            moments = model.moments(likelihood)
            rows.append(_age(candidates, i, likelihood, moments, model))
        if np.isnan(p):
            rows.append(unknown(i, "rays", "p", model.rays_range(moments)))
        else:
            _, ratio = model.log_ratios(moments, p)
            rows.append(known(i, "rays", float(p), float(ratio), "p", candidates.source("rays")))
    return rows


def _age(
    candidates: Candidates, i: int, likelihood: Floats, moments: Moments, model: AgeModel
) -> Constraint:
    ratio, _ = model.log_ratios(moments, np.nan)
    low, middle, high = (
        _quantile(likelihood, model.ages_ma, model.random, level) for level in (0.16, 0.5, 0.84)
    )
    where = candidates.source("formation_age")
    return known(i, "formation_age", middle, float(ratio), "Ma", where, (low, high))


def age_log_likelihood(data: EjectaCount | FormationAge, ages_ma: Floats) -> Floats:
    """Log likelihood of what is known of a crater's age, on a grid of ages."""
    if isinstance(data, EjectaCount):
        return poisson_age_likelihood(data.count, data.expected_per_ma, ages_ma, data.background)
    return normal_age_likelihood(data.age_ma, data.low_ma, data.high_ma, ages_ma)


def _quantile(log_likelihood: Floats, grid: Floats, prior: Floats, level: float) -> float:
    """Quantile of the age's posterior under the prior of random craters."""
    weight = np.cumsum(prior * np.exp(log_likelihood - log_likelihood.max()))
    return float(grid[np.searchsorted(weight, level * weight[-1])])


def _ground(candidates: Candidates, group: MeteoriteGroup) -> list[Constraint]:
    low, high, rock = candidates.unit_low_ma, candidates.unit_high_ma, group.crystallisation_ma
    n = len(candidates)
    if low is None or high is None or rock is None:
        return [unknown(i, "ground_age", "Ma", (np.log(0.1), np.log(10.0))) for i in range(n)]
    mapped = ~np.isnan(low)
    overlaps = mapped & (low <= rock[1]) & (high >= rock[0])
    share = float(overlaps.sum() / max(mapped.sum(), 1))
    possible = (
        ground_log_ratio((-2.0, -1.0), (0.0, 1.0), share),
        ground_log_ratio((0.0, 1.0), (0.0, 1.0), share),
    )
    return [
        known(
            i,
            "ground_age",
            float((low[i] + high[i]) / 2.0),
            ground_log_ratio((float(low[i]), float(high[i])), rock, share),
            "Ma",
            candidates.source("ground_age"),
            (float(low[i]), float(high[i])),
        )
        if mapped[i]
        else unknown(i, "ground_age", "Ma", possible)
        for i in range(n)
    ]


def _compositions(candidates: Candidates, rock: Composition | None) -> list[Constraint]:
    values = candidates.composition
    n = len(candidates)
    if values is None or rock is None or np.isnan(values).all():
        return [unknown(i, "composition", "", (np.log(0.1), np.log(10.0))) for i in range(n)]
    there = values[~np.isnan(values)]
    ratios = [value_log_ratio(float(v), rock.mean, rock.sigma, there) for v in there]
    possible = min(ratios), max(ratios)
    return [
        unknown(i, "composition", rock.unit, possible)
        if np.isnan(v)
        else known(
            i,
            "composition",
            float(v),
            value_log_ratio(float(v), rock.mean, rock.sigma, there),
            rock.unit,
            candidates.source("composition"),
            (float(v) - rock.sigma, float(v) + rock.sigma),
        )
        for i, v in enumerate(values)
    ]
