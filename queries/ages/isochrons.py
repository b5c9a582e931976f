"""Isochrons and equilibrium lines as arrays, in the field's presentations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queries.ages.systems import ChronologySystem, Equilibrium

Floats = NDArray[np.float64]


def isochron(
    presentation: str, system: ChronologySystem, age_ga: float, diameter_km: ArrayLike
) -> Floats:
    """Crater population of a surface of ``age_ga``.

    Args:
        presentation: as in ``Csfd.values``; ``incremental`` is craters in a root-2 bin around D.
        diameter_km: any shape, within the production function's range.

    Returns:
        values of the shape of ``diameter_km``, in the units of ``Csfd.values``.
    """
    d = np.asarray(diameter_km, dtype=np.float64)
    n1 = float(system.chronology.density(age_ga))
    if presentation == "cumulative":
        return n1 * system.production.cumulative(d)
    return _from_density(presentation, d, n1 * system.production.differential(d))


def equilibrium_line(presentation: str, line: Equilibrium, diameter_km: ArrayLike) -> Floats:
    """An equilibrium function in a presentation, as ``isochron``."""
    d = np.asarray(diameter_km, dtype=np.float64)
    if presentation == "cumulative":
        return line.cumulative(d)
    return _from_density(presentation, d, line.differential(d))


def _from_density(presentation: str, d: Floats, density: Floats) -> Floats:
    if presentation == "r":
        return np.asarray(density * d**3)
    if presentation == "incremental":
        return np.asarray(density * d * (2**0.25 - 2**-0.25))
    return density
