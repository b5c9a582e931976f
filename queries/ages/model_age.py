"""The result that every method of dating gives: a crater density at 1 km and the age it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from queries.ages.chronology import SOLAR_SYSTEM_GA, Chronology
from queries.ages.systems import ChronologySystem


@dataclass(frozen=True)
class Estimate:
    """A value with its lower and upper 1-sigma bound, all in the same unit."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Estimate:
        """All three times ``factor`` > 0."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def log10(self) -> Estimate:
        """log10 of all three; a bound of 0 becomes -inf."""
        with np.errstate(divide="ignore"):
            return Estimate(*(float(np.log10(v)) for v in (self.value, self.low, self.high)))

    def age(self, chronology: Chronology) -> Estimate:
        """Ages in Ga of the three as densities N(>=1 km) in km-2."""
        return Estimate(*chronology.age([self.value, self.low, self.high]).tolist())


@dataclass(frozen=True)
class ModelAge:
    """A model age and what it was made of.

    Attributes:
        method: ``poisson``, ``cumulative`` or ``differential``.
        system: the chronology system.
        range_km: diameters [low, high) that were used.
        area_km2: counted area; where it depends on the diameter, its mean over the production
            function.
        n: craters inside the range.
        n1_per_km2: N(>=1 km) of the isochron, with 1-sigma bounds.
        age_ga: its age, with the ages of the bounds (not differences).
        resurfacing: the cumulative fit was corrected for older craters beyond the range.
        as_craterstats: age in Ga as Craterstats 3 reads it from its grid (Poisson only, else None).
    """

    method: str
    system: ChronologySystem
    range_km: tuple[float, float]
    area_km2: float
    n: int
    n1_per_km2: Estimate
    age_ga: Estimate
    resurfacing: bool = False
    as_craterstats: Estimate | None = None

    @property
    def a0(self) -> Estimate:
        """log10 of N(>=1 km), the field's a0."""
        return self.n1_per_km2.log10()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before using the number."""
        found = []
        if self.age_ga.value > SOLAR_SYSTEM_GA:
            found.append(f"older than the Solar System ({SOLAR_SYSTEM_GA} Ga): too dense to date")
        elif self.age_ga.high > SOLAR_SYSTEM_GA:
            found.append(f"the upper bound is older than the Solar System ({SOLAR_SYSTEM_GA} Ga)")
        if self.n == 0:
            found.append("no crater in the range: only the upper bound says something")
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Flat, ready for JSON; a0 of a bound at 0 is None."""
        row: dict[str, Any] = {
            "method": self.method,
            "system": self.system.key,
            "system_name": self.system.name,
            "body": self.system.body,
            "range_km": list(self.range_km),
            "area_km2": self.area_km2,
            "n": self.n,
            "resurfacing": self.resurfacing,
        }
        for name, estimate in (
            ("age_ga", self.age_ga),
            ("n1_per_km2", self.n1_per_km2),
            ("a0", self.a0),
            ("as_craterstats_ga", self.as_craterstats),
        ):
            if estimate is not None:
                row |= {
                    f"{name}{suffix}": value if np.isfinite(value) else None
                    for suffix, value in (
                        ("", estimate.value), ("_low", estimate.low), ("_high", estimate.high)
                    )
                }  # fmt: skip
        return row | {"warnings": list(self.warnings)}
