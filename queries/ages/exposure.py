"""Areas that depend on the crater's size: imaged ground by scale, or buffers around a feature.

A scene of 100 m/px does not image 60 m craters, and a buffered count (Tanaka 1982; Fassett & Head
2008, Icarus 195, 61) searches a wider strip for larger craters. Either way craters of diameter D
were looked for on A(D), and the number expected for N(>=1 km) = 1 km-2 is the integral of
A(D) (-dF/dD) over the range. A plain area is A(D) = constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries.ages.production import ProductionFunction

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Exposure:
    """Area searched for craters of each diameter, constant within bins.

    Attributes:
        edges_km: (n + 1,), ascending.
        areas_km2: area for edge[i] <= D < edge[i + 1], (n,), >= 0; nothing is searched beyond the
            edges.
    """

    edges_km: Floats
    areas_km2: Floats

    def __post_init__(self) -> None:
        edges, areas = self.edges_km, self.areas_km2
        if len(edges) != len(areas) + 1 or not np.all(np.diff(edges) > 0) or not edges[0] > 0:
            raise InputError("The diameter edges of the areas do not ascend.", "Sort them.")
        if not np.all(np.isfinite(areas) & (areas >= 0)):
            raise InputError("An area is below 0 or not a number.", "Give areas in km2.")

    def expected(self, production: ProductionFunction, range_km: tuple[float, float]) -> float:
        """Craters in [low, high) of a surface with N(>=1 km) = 1 km-2."""
        edges = np.clip(self.edges_km, *range_km)
        here = edges[1:] > edges[:-1]
        craters = production.between(edges[:-1][here], edges[1:][here])
        return float(np.sum(self.areas_km2[here] * craters))

    def mean_area_km2(self, production: ProductionFunction, range_km: tuple[float, float]) -> float:
        """Area weighted by the craters that the production function puts into each diameter."""
        return self.expected(production, range_km) / float(production.between(*range_km))


def expected_craters(
    area: float | Exposure, production: ProductionFunction, range_km: tuple[float, float]
) -> float:
    """Craters in the range for N(>=1 km) = 1 km-2.

    Raises:
        InputError: nothing in the range was searched.
    """
    if isinstance(area, Exposure):
        expected = area.expected(production, range_km)
    else:
        expected = area * float(production.between(*range_km))
    if not expected > 0:
        raise InputError(
            f"No ground was searched for craters of {range_km[0]:g} to {range_km[1]:g} km.",
            "Take a range that the images can show.",
        )
    return expected
