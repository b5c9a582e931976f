"""What a density map holds, by name and unit, for every export alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.density.healpix_map import DensityMap

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One quantity by bin and cell.

    Attributes:
        values: float64 (b, m), NaN where the bin is not imaged.
        whole: values are whole numbers.
    """

    name: str
    unit: str
    meaning: str
    values: Floats
    whole: bool = False


def density_layers(density: DensityMap) -> list[Layer]:
    """Density, its bounds, counts and imaged area of a map.

    Counts of a cell that is not imaged (a crater whose centre lies just outside the picture) are
    kept in ``DensityMap.count``; as a layer they are unknown there like everything else.
    """
    value, lower, upper = density.interval()
    imaged = density.area_km2 > 0
    share = f"{density.confidence:.0%}"
    return [
        Layer("density", "km-2", "craters a km2 of imaged ground", value),
        Layer("lower", "km-2", f"lower bound, exact Poisson interval {share}", lower),
        Layer("upper", "km-2", f"upper bound, exact Poisson interval {share}", upper),
        Layer("n", "1", "craters counted", np.where(imaged, density.used, np.nan), whole=True),
        Layer("area", "km2", "imaged ground", np.where(imaged, density.area_km2, np.nan)),
    ]


def map_tags(density: DensityMap) -> dict[str, str]:
    """What a reader of an exported map must know, as text."""
    body = density.body
    smoothing = density.smoothing_km
    return {
        "body": body.name,
        "sphere_radius_m": f"{body.radius_m:.1f}",
        "areas": "on the IAU sphere of the semi-major radius",
        "healpix_order": str(density.order),
        "healpix_scheme": "nested, planetocentric latitude, east longitude",
        "diameter_bins_km": "; ".join(density.bins.names),
        "confidence": f"{density.confidence:g}",
        "interval": "exact Poisson (Garwood 1936); counting error only",
        "smoothing_km": "none" if smoothing is None else f"{smoothing:g}",
        "nodata": "not imaged; 0 means imaged and empty",
    }
