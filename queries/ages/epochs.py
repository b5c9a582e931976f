"""Geological epochs: their boundaries in time under a chronology system, and the epoch of an age.

References: Wilhelms (1987) and Guo et al. (2024) for the Moon; for Mars Michael (2013), Icarus 226,
885, whose boundaries are crater densities and move with the chronology.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from cda_db.errors import InputError, NotFoundError
from queries.ages.systems import ChronologySystem, tables


@dataclass(frozen=True)
class EpochSystem:
    """Named spans of time of one body.

    Attributes:
        key, name, body, reference: as in ``ChronologySystem``.
        epochs: names, from the youngest to the oldest, (n,).
        times_ga: young ends of ``epochs[1:]``, (n - 1,), or empty where densities define them.
        densities: (diameter_km, N(>= diameter) in km-2) of the same boundaries, or empty.
    """

    key: str
    name: str
    body: str
    reference: str
    epochs: tuple[str, ...]
    times_ga: tuple[float, ...]
    densities: tuple[tuple[float, float], ...]

    def boundaries_ga(self, system: ChronologySystem) -> tuple[float, ...]:
        """Ages between consecutive epochs, ascending, (n - 1,), under ``system``.

        Raises:
            InputError: the system is of another body.
        """
        if system.body != self.body:
            raise InputError(
                f"Epochs {self.name!r} are of {self.body}, {system.name!r} is not.",
                "Take epochs and chronology of one body.",
            )
        if self.times_ga:
            return self.times_ga
        n1 = [n / float(system.production.cumulative(d)) for d, n in self.densities]
        return tuple(system.chronology.age(n1).tolist())

    def epoch_of(self, age_ga: float, system: ChronologySystem) -> str:
        """Name of the epoch that holds ``age_ga``; a boundary belongs to the older one."""
        at = np.searchsorted(self.boundaries_ga(system), age_ga, side="right")
        return self.epochs[int(at)]


@cache
def list_epochs() -> tuple[EpochSystem, ...]:
    """Every epoch system known."""
    return tuple(
        EpochSystem(
            key=row["key"],
            name=row["name"],
            body=row["body"],
            reference=row["reference"],
            epochs=tuple(row["epochs"]),
            times_ga=tuple(row.get("times_ga", [])[1:]),
            densities=tuple(
                (d, n / 1e6)
                for d, n in zip(
                    row.get("diameters_km", []), row.get("densities_per_1e6_km2", []), strict=True
                )
            ),
        )
        for row in tables()["epochs"]
    )


def get_epochs(key: str) -> EpochSystem:
    """The epoch system of that key. Raises NotFoundError."""
    for system in list_epochs():
        if key.strip().lower() == system.key:
            return system
    raise NotFoundError(
        f"Unknown epochs {key!r}.", f"Use one of {', '.join(e.key for e in list_epochs())}."
    )
