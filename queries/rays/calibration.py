"""From the ray statistic to a p-value, by controls.

No fixed threshold works: the 1 % point of T moves from 3.7 to 6.5 with the patchiness of the
ground. So T is ranked among controls of like latitude, coverage, density and size. The controls
are halved on these covariates in turn for as long as each half keeps enough of them; within such
a stratum the p-value is the share of controls at least as high, and past the 90 % point the tail
is a generalised Pareto distribution fitted by probability-weighted moments (Hosking & Wallis
1987). It is trusted down to a tenth of one over the stratum's number of controls, which is the
smallest p-value ever given.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import beta

from cda_db.errors import InputError
from queries.sphere import Floats

LEAST_CONTROLS = 500
_TAIL = 0.10
_LEAST_TAIL = 20
_BEYOND = 10.0  # the fit is trusted so many times past the rarest control


@dataclass(frozen=True)
class Tail:
    """The distribution of T in one stratum.

    Attributes:
        controls: T of its controls, sorted.
        threshold: where the fitted tail begins; infinite where too few different values are left
            above the 90 % point for a fit: then ranks are all there is.
        shape, scale: of the generalised Pareto distribution of T - threshold.
    """

    controls: Floats
    threshold: float
    shape: float
    scale: float

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that this stratum gives."""
        n = len(self.controls)
        return 1.0 / (_BEYOND * n) if np.isfinite(self.threshold) else 1.0 / (n + 1.0)

    def p_value(self, t: Floats) -> Floats:
        """Chance of a T at least as high among such controls."""
        n = len(self.controls)
        above = n - np.searchsorted(self.controls, t, side="left")
        ranked = (above + 1.0) / (n + 1.0)
        if not np.isfinite(self.threshold):
            return np.asarray(ranked)
        excess = np.maximum(t - self.threshold, 0.0)
        share = float((self.controls > self.threshold).mean())
        fitted = share * pareto_survival(excess, self.shape, self.scale)
        p = np.where(t > self.threshold, fitted, ranked)
        return np.clip(p, self.smallest_p, 1.0)


def pareto_survival(excess: Floats, shape: float, scale: float) -> Floats:
    """1 - F of the generalised Pareto distribution; a negative shape ends at -scale / shape."""
    if abs(shape) < 1e-9:
        return np.asarray(np.exp(-excess / scale))
    inside = np.maximum(1.0 + shape * excess / scale, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(inside ** (-1.0 / shape))


def fit_pareto(excess: Floats) -> tuple[float, float]:
    """Shape and scale by probability-weighted moments (Hosking & Wallis 1987, eq. 7)."""
    x = np.sort(excess)
    n = len(x)
    rank = (np.arange(1, n + 1) - 0.35) / n
    a0, a1 = float(x.mean()), float(np.mean(x * (1.0 - rank)))
    shape = 2.0 - a0 / (a0 - 2.0 * a1)
    scale = 2.0 * a0 * a1 / (a0 - 2.0 * a1)
    return shape, scale


def fit_tail(t: Floats) -> Tail:
    """The distribution of one stratum's controls."""
    controls = np.sort(t)
    threshold = float(np.quantile(controls, 1.0 - _TAIL))
    excess = controls[controls > threshold] - threshold
    if len(np.unique(excess)) < _LEAST_TAIL:
        return Tail(controls, float("inf"), 0.0, 1.0)
    return Tail(controls, threshold, *fit_pareto(excess))


@dataclass(frozen=True)
class Stratum:
    """A node of the halving: a leaf holds a tail, an inner node a cut and two halves."""

    tail: Tail | None = None
    axis: int = -1
    cut: float = 0.0
    halves: tuple[Stratum, ...] = field(default=())

    def leaves(self) -> list[Tail]:
        """The tails of all leaves below."""
        if self.tail is not None:
            return [self.tail]
        return [tail for half in self.halves for tail in half.leaves()]

    def p_value(self, t: Floats, covariates: Floats) -> tuple[Floats, Floats]:
        """p of each T and the smallest p of its stratum, both of shape (n,)."""
        if self.tail is not None:
            return self.tail.p_value(t), np.full(len(t), self.tail.smallest_p)
        p, least = np.empty(len(t)), np.empty(len(t))
        high = covariates[:, self.axis] > self.cut
        for half, part in zip(self.halves, (~high, high), strict=True):
            if part.any():
                p[part], least[part] = half.p_value(t[part], covariates[part])
        return p, least


def calibrate(t: Floats, covariates: Floats, least: int = LEAST_CONTROLS) -> Stratum:
    """Strata and tails from controls.

    Args:
        t: statistic of each control, shape (n,).
        covariates: shape (n, c), in order of importance.
        least: controls that a stratum keeps at least.

    Raises:
        InputError: fewer controls than one stratum needs.
    """
    if len(t) < least:
        raise InputError(
            f"{len(t)} controls cannot calibrate a ray search.", f"Use at least {least}."
        )
    return _halve(t, covariates, least, 0, 0)


def _halve(t: Floats, covariates: Floats, least: int, axis: int, failed: int) -> Stratum:
    count = covariates.shape[1]
    if failed >= count:
        return Stratum(tail=fit_tail(t))
    values = covariates[:, axis]
    cut = float(np.median(values))
    high = values > cut
    following = (axis + 1) % count
    if min(int(high.sum()), int((~high).sum())) < least:
        return _halve(t, covariates, least, following, failed + 1)
    halves = tuple(_halve(t[part], covariates[part], least, following, 0) for part in (~high, high))
    return Stratum(axis=axis, cut=cut, halves=halves)


@dataclass(frozen=True)
class HeldOut:
    """Share of held-out controls with p at or below a nominal rate, with its 95 % interval."""

    nominal: float
    share: float
    low: float
    high: float
    controls: int


def held_out_check(
    t: Floats,
    covariates: Floats,
    rng: np.random.Generator,
    *,
    nominal: tuple[float, ...] = (0.05, 0.01, 0.001),
    least: int = LEAST_CONTROLS,
) -> list[HeldOut]:
    """False-alarm rates on one random half of the controls, calibrated on the other, both ways."""
    order = rng.permutation(len(t))
    halves = order[: len(t) // 2], order[len(t) // 2 :]
    p = np.empty(len(t))
    for fit, test in (halves, halves[::-1]):
        strata = calibrate(t[fit], covariates[fit], min(least, len(fit)))
        p[test], _ = strata.p_value(t[test], covariates[test])
    return [_share(p, rate) for rate in nominal]


def _share(p: Floats, rate: float) -> HeldOut:
    n, hits = len(p), int((p <= rate).sum())
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return HeldOut(rate, hits / n, low, high, n)
