"""The ground around a primary: annuli and sectors on the sphere.

Distances are in radii R of the primary. Sector s covers the azimuths 5 s to 5 s + 5 degrees,
clockwise from north.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cda_db.errors import InputError
from queries.sphere import Floats

ANNULI = 6
SECTORS = 72
SECTOR_DEG = 360.0 / SECTORS
SMALL_SHARE = 0.05  # a secondary is at most 5 % of its primary's diameter


@dataclass(frozen=True)
class RayField:
    """Radii of the six logarithmic annuli.

    Attributes:
        inner_radii: start of the innermost annulus, in radii of the primary.
        outer_radii: end of the outermost annulus, in radii of the primary.
        max_arc_deg: the outermost annulus ends here at the latest.
    """

    inner_radii: float
    outer_radii: float
    max_arc_deg: float

    def edges_deg(self, diameter_m: ArrayLike, body_radius_m: float) -> Floats:
        """Edges of the annuli as arcs in degrees, shape (n, 7).

        Raises:
            InputError: a primary so large that its inner edge lies past the limit.
        """
        radius = np.degrees(np.asarray(diameter_m, float) / 2.0 / body_radius_m)
        inner = self.inner_radii * radius
        outer = np.minimum(self.outer_radii * radius, self.max_arc_deg)
        if np.any(inner >= outer):
            largest = float(np.max(np.asarray(diameter_m))) / 1000.0
            raise InputError(
                f"A crater of {largest:.0f} km has no ray field of {self.inner_radii:g} to"
                f" {self.outer_radii:g} radii within {self.max_arc_deg:g} degrees.",
                "Use the field for basins, or leave the largest craters out.",
            )
        steps = np.linspace(0.0, 1.0, ANNULI + 1)
        return np.asarray(inner[..., None] * (outer / inner)[..., None] ** steps)


FIELDS = {
    "near": RayField(2.0, 320.0, 60.0),
    "far": RayField(16.0, 320.0, 60.0),
    "basin": RayField(2.0, 8.0, 90.0),
}


def get_field(name: str) -> RayField:
    """The field of that name: near, far or basin."""
    if name not in FIELDS:
        raise InputError(f"Unknown ray field {name!r}.", f"Use one of {', '.join(FIELDS)}.")
    return FIELDS[name]
