"""Chronology functions: from the age of a surface to its craters of at least 1 km, and back.

References: Neukum (1983) for ``a (exp(b t) - 1) + c t``; O'Brien et al. (2014), Planet. Space Sci.
103, 131, for Vesta.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from cda_db.errors import InputError

Floats = NDArray[np.float64]

# Calcium-aluminium-rich inclusions, Connelly et al. (2012): no surface is older.
SOLAR_SYSTEM_GA = 4.567
_LATEST_GA = 20.0  # the inversion's bracket: errors of few craters may reach beyond 4.567 Ga


@dataclass(frozen=True)
class Chronology(ABC):
    """Density of craters of at least 1 km as a function of age.

    Attributes:
        name: as the field knows it.
        reference: the paper.
    """

    name: str
    reference: str

    @abstractmethod
    def _density(self, age_ga: Floats) -> Floats:
        """N(>=1 km) in km-2 at ages in Ga."""

    @abstractmethod
    def _rate(self, age_ga: Floats) -> Floats:
        """dN(>=1 km)/dt in km-2 Ga-1 at ages in Ga."""

    def density(self, age_ga: ArrayLike) -> Floats:
        """N(>=1 km) in km-2 of surfaces of ``age_ga`` >= 0, same shape."""
        return self._density(_not_negative(age_ga, "age"))

    def rate(self, age_ga: ArrayLike) -> Floats:
        """Formation rate of craters of at least 1 km, km-2 Ga-1, ``age_ga`` ago, same shape."""
        return self._rate(_not_negative(age_ga, "age"))

    def age(self, density_per_km2: ArrayLike) -> Floats:
        """Age in Ga of surfaces with N(>=1 km) = ``density_per_km2`` >= 0, same shape.

        Ages above ``SOLAR_SYSTEM_GA`` come out where the count is too dense for any surface: the
        caller says so rather than cutting them.
        """
        n = _not_negative(density_per_km2, "crater density")
        ages = [self._age(float(value)) for value in n.ravel()]
        return np.array(ages, dtype=np.float64).reshape(n.shape)

    def _age(self, density: float) -> float:
        if density == 0:
            return 0.0

        def miss(age_ga: float) -> float:
            return float(self._density(np.asarray(age_ga))) / density - 1

        return float(brentq(miss, 0.0, _LATEST_GA, xtol=1e-18, rtol=1e-14))


@dataclass(frozen=True)
class ExponentialLinear(Chronology):
    """N(>=1 km) = a (exp(b t) - 1) + c t, t in Ga, N in km-2."""

    a: float
    b: float
    c: float

    def _density(self, age_ga: Floats) -> Floats:
        return np.asarray(self.a * np.expm1(self.b * age_ga) + self.c * age_ga)

    def _rate(self, age_ga: Floats) -> Floats:
        return np.asarray(self.a * self.b * np.exp(self.b * age_ga) + self.c)


# O'Brien et al. (2014): times in Ga, b in 1/Ga, the rest in units of today's rate.
_T_START, _T_BOMBARDMENT, _B = 4.56, 4.1, 6.93
_BOMBARDMENT_FACTOR, _PRIMORDIAL_TAU, _PRIMORDIAL_RATE = 2.0, 0.025, 836.0
_DECAY, _DECAY_OFFSET = 0.0834, 0.001


@dataclass(frozen=True)
class OBrienVesta(Chronology):
    """Vesta after O'Brien et al. (2014): a decaying belt, a bombardment at 4.1 Ga, a dense start.

    The rate relative to today's is, for t < 4.1 Ga, a power-law decay of the main belt plus an
    exponential rise to the late heavy bombardment (twice the decay's value at 4.1 Ga); before it,
    that constant plus an exponential primordial tail. ``scale_per_km2`` turns the dimensionless
    integral into craters of at least 1 km: N = scale x n(t), the model production function of
    Marchi et al. (2014) at 1 km for 1 Ga at today's rate.
    """

    scale_per_km2: float

    def _density(self, age_ga: Floats) -> Floats:
        return np.asarray(self.scale_per_km2 * _obrien(age_ga, _obrien_young, _obrien_old))

    def _rate(self, age_ga: Floats) -> Floats:
        return np.asarray(
            self.scale_per_km2 * _obrien(age_ga, _obrien_rate_young, _obrien_rate_old)
        )


_DECAY_SCALE = (_T_BOMBARDMENT + _DECAY_OFFSET) ** _DECAY
_DECAY_AT_LHB = _DECAY_SCALE * _DECAY_OFFSET**-_DECAY
_LHB_SCALE = (_BOMBARDMENT_FACTOR - 1) * _DECAY_AT_LHB / np.exp(_B * _T_BOMBARDMENT)
_OLD_RATE = _BOMBARDMENT_FACTOR * _DECAY_AT_LHB


def _obrien(
    age_ga: Floats, young: Callable[[Floats], Floats], old: Callable[[Floats], Floats]
) -> Floats:
    t = np.asarray(age_ga, dtype=np.float64)
    return np.where(
        t < _T_BOMBARDMENT, young(np.minimum(t, _T_BOMBARDMENT)), old(np.maximum(t, _T_BOMBARDMENT))
    )


def _obrien_young(t: Floats) -> Floats:
    power = 1 - _DECAY
    start, now = _T_BOMBARDMENT + _DECAY_OFFSET, _T_BOMBARDMENT - t + _DECAY_OFFSET
    decay = _DECAY_SCALE / power * (start**power - now**power)
    return np.asarray(_LHB_SCALE / _B * np.expm1(_B * t) + decay)


def _obrien_old(t: Floats) -> Floats:
    tail = np.exp((t - _T_START) / _PRIMORDIAL_TAU)
    tail_at_lhb = np.exp((_T_BOMBARDMENT - _T_START) / _PRIMORDIAL_TAU)
    primordial = (_PRIMORDIAL_RATE - _OLD_RATE) * _PRIMORDIAL_TAU * (tail - tail_at_lhb)
    at_lhb = _obrien_young(np.asarray(_T_BOMBARDMENT))
    return np.asarray(at_lhb + _OLD_RATE * (t - _T_BOMBARDMENT) + primordial)


def _obrien_rate_young(t: Floats) -> Floats:
    now = _T_BOMBARDMENT - t + _DECAY_OFFSET
    return np.asarray(_LHB_SCALE * np.exp(_B * t) + _DECAY_SCALE * now**-_DECAY)


def _obrien_rate_old(t: Floats) -> Floats:
    tail = np.exp((t - _T_START) / _PRIMORDIAL_TAU)
    return np.asarray(_OLD_RATE + (_PRIMORDIAL_RATE - _OLD_RATE) * tail)


def _not_negative(value: ArrayLike, what: str) -> Floats:
    values = np.asarray(value, dtype=np.float64)
    if not np.all(values >= 0):
        raise InputError(f"A {what} is below 0 or not a number.", "Give values of at least 0.")
    return values
