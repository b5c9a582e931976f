"""From constraints to a ranking: sums of log likelihood ratios, and a posterior with "none".

The prior gives every candidate the same chance, and `PRIOR_NONE` to "none of these": a crater
below the catalogue's size, outside its ground or not recognised. The posterior compares the
candidates with each other; it does not say how often the best of thousands of random craters looks
as good. So the first is reported as the source only where at most `REPORT_CHANCE` of simulated
planets without a source have a crater as good (module `chance`), and where it is more probable
than all others and "none" together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from queries.sphere import Floats

PRIOR_NONE = 0.2
REPORT_CHANCE = 0.05
REPORT_POSTERIOR = 0.5
_TELLS = 1.0  # a log ratio beyond this, either way, is a pass or a fail

NAMES = ("launch_size", "rays", "formation_age", "ground_age", "composition")
SETTLES = {
    "launch_size": "a measured diameter",
    "rays": "a ray search over craters small enough for this primary",
    "formation_age": "a count of small craters on the ejecta blanket (cda query sources --ages)",
    "ground_age": "a map of dated units as polygons (--units)",
    "composition": "a raster of the composition (--composition)",
}


@dataclass(frozen=True)
class Constraint:
    """One piece of evidence for one crater and one group.

    Attributes:
        crater: index of the candidate.
        name: one of `NAMES`.
        value, low, high: what was measured, with its interval; NaN where unknown.
        unit: of the value.
        verdict: pass, fail or unknown; pass and fail beyond a factor of e, else "neutral".
        log_ratio: natural log of the likelihood ratio, 0 where unknown.
        lowest, highest: what it could become if it were known; equal to log_ratio where it is.
        source: where the value is from.
        settles: what would settle an unknown.
    """

    crater: int
    name: str
    value: float
    low: float
    high: float
    unit: str
    verdict: str
    log_ratio: float
    lowest: float
    highest: float
    source: str
    settles: str = ""


def known(
    crater: int,
    name: str,
    value: float,
    log_ratio: float,
    unit: str,
    source: str,
    interval: tuple[float, float] | None = None,
) -> Constraint:
    """A constraint that was measured."""
    low, high = interval or (value, value)
    verdict = "pass" if log_ratio >= _TELLS else "fail" if log_ratio <= -_TELLS else "neutral"
    return Constraint(
        crater, name, value, low, high, unit, verdict, log_ratio, log_ratio, log_ratio, source
    )


def unknown(crater: int, name: str, unit: str, possible: tuple[float, float]) -> Constraint:
    """A constraint that was not measured: it counts nothing, and says what would settle it."""
    nan = float("nan")
    return Constraint(
        crater, name, nan, nan, nan, unit, "unknown", 0.0, *possible, "none", SETTLES[name]
    )


@dataclass(frozen=True)
class Ranking:
    """Candidates in order.

    Attributes:
        log_ratio: summed over constraints, shape (n,); -inf rules a candidate out.
        lowest, highest: the sums if every unknown came out worst, or best.
        posterior: chance of each being the source.
        posterior_none: chance of none of them.
        order: indices of the candidates, best first.
        chance: share of planets without a source whose best crater is as good as this best.
        reported: index of the reported source, None where chance or posterior forbid it.
    """

    log_ratio: Floats
    lowest: Floats
    highest: Floats
    posterior: Floats
    posterior_none: float
    order: NDArray[np.int64]
    chance: float
    reported: int | None


def rank(
    constraints: list[Constraint], n: int, maxima: Floats, prior_none: float = PRIOR_NONE
) -> Ranking:
    """Rank candidates.

    Args:
        constraints: their rows, in any order.
        n: candidates.
        maxima: best log ratios of planets without a source (`chance.chance_maxima`).
        prior_none: prior of "none of these".
    """
    crater = np.array([row.crater for row in constraints], np.int64)
    sums = [
        np.asarray(
            np.bincount(crater, [getattr(row, what) for row in constraints], minlength=n),
            dtype=np.float64,
        )
        for what in ("log_ratio", "lowest", "highest")
    ]
    total = sums[0]
    weight = total + np.log((1.0 - prior_none) / n)
    norm = float(np.logaddexp(logsumexp(weight), np.log(prior_none)))
    posterior = np.exp(weight - norm)
    order = np.lexsort((np.arange(n), -total))
    best = int(order[0])
    chance = chance_p(float(total[best]), maxima)
    stands_out = chance <= REPORT_CHANCE and posterior[best] >= REPORT_POSTERIOR
    return Ranking(
        log_ratio=total,
        lowest=sums[1],
        highest=sums[2],
        posterior=posterior,
        posterior_none=float(np.exp(np.log(prior_none) - norm)),
        order=order,
        chance=chance,
        reported=best if stands_out else None,
    )


def chance_p(best: float, maxima: Floats) -> float:
    """Share of planets without a source whose best crater is as good, the real one counted."""
    return float((1 + np.count_nonzero(maxima >= best)) / (1 + len(maxima)))
