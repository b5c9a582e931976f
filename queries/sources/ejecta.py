"""Formation ages from small craters on the ejecta blanket, the crater's interior excluded."""

from __future__ import annotations

import numpy as np

from cda_db.errors import InputError
from queries.ages.systems import ChronologySystem
from queries.coverage import Coverage
from queries.rays.counts import SmallCraters, count_sites, exposure_sites
from queries.rays.field import ANNULI
from queries.sources.candidates import EjectaCount, FormationAge
from queries.sphere import Floats, cap_area_sr

INNER_RADII = 1.0
OUTER_RADII = 2.5
_LEAST_IMAGED = 0.25
_LINEAR_GA = 1e-3


def ejecta_counts(
    small: SmallCraters,
    coverage: Coverage,
    lon_deg: Floats,
    lat_deg: Floats,
    diameter_m: Floats,
    body_radius_m: float,
    system: ChronologySystem,
    range_km: tuple[float, float],
    *,
    outer_radii: float = OUTER_RADII,
    threads: int = 2,
) -> dict[int, EjectaCount | FormationAge]:
    """Counts on the imaged ground from the rim to `outer_radii` of every primary.

    Args:
        small: craters of `range_km`, nothing else.
        coverage: the ground on which they were sought.
        lon_deg, lat_deg, diameter_m: the primaries, shape (n,).
        system: production function and chronology of the body.
        range_km: diameters counted; it must lie inside the production function's range.

    Returns:
        Index of the primary -> count and production; primaries of which less than a quarter of
        the blanket was imaged are left out (their age stays unknown).
    """
    if outer_radii <= INNER_RADII:
        raise InputError(
            f"An ejecta blanket of {outer_radii:g} radii ends inside the crater.",
            f"Use more than {INNER_RADII:g} radii.",
        )
    radius_deg = np.degrees(diameter_m / 2.0 / body_radius_m)
    edges = radius_deg[:, None] * np.linspace(INNER_RADII, outer_radii, ANNULI + 1)
    # Every crater in `small` counts, whatever the primary's size: a "primary" of 20 times that.
    limit = np.full(len(lon_deg), 25.0 * small.largest_m)
    counts = count_sites(small, lon_deg, lat_deg, limit, edges, threads=threads).sum(axis=(1, 2))
    seen = exposure_sites(coverage, lon_deg, lat_deg, edges, threads=threads).mean(axis=2)
    rings_km2 = np.diff(cap_area_sr(edges), axis=1) * (body_radius_m / 1000.0) ** 2
    area_km2 = (rings_km2 * seen).sum(axis=1)
    known = area_km2 >= _LEAST_IMAGED * rings_km2.sum(axis=1)
    per_ma = _per_km2_ma(system, range_km)
    return {
        int(i): EjectaCount(int(counts[i]), float(area_km2[i] * per_ma))
        for i in np.flatnonzero(known)
    }


def _per_km2_ma(system: ChronologySystem, range_km: tuple[float, float]) -> float:
    """Craters of those diameters a km2 and Ma at today's rate, which holds for young craters."""
    n1 = float(system.chronology.density(_LINEAR_GA))
    return n1 * float(system.production.between(*range_km)) / (_LINEAR_GA * 1000.0)
