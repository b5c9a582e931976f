"""The baseline: the group's Automatic Secondary Crater Identification, re-coded.

Craters of one diameter bin are compared with random populations of the same number over the same
ground: a crater is called a secondary where its Voronoi cell is smaller than the mean of the
random cells less one standard deviation. This is our reading of the rule of Lagain et al. (2021,
Earth and Space Science 8, e2020EA001598), whose program is not public: bins and number of
simulations are theirs. There is no correction for many craters or for uneven ground.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError
from queries.coverage import Coverage
from queries.secondaries.voronoi import voronoi_cells
from queries.sphere import Floats

BINS_M = (0.0, 88.0, 125.0, 177.0, 250.0, 354.0, 500.0, 707.0, 1000.0, 1410.0, 2000.0, np.inf)
SIMULATIONS = 300
_LEAST = 4


def random_areas(
    n: int, coverage: Coverage, rng: np.random.Generator, simulations: int = SIMULATIONS
) -> Floats:
    """Voronoi areas (steradian) of random populations of n craters, sorted, all pooled."""
    areas = [
        voronoi_cells(*coverage.draw(n, rng), coverage, rough=True).area_sr
        for _ in range(simulations)
    ]
    return np.sort(np.concatenate(areas))


def threshold_sr(areas_sr: Floats, share: float | None = None) -> float:
    """Area below which a crater is called a secondary.

    Args:
        areas_sr: random areas, sorted.
        share: where given, the quantile of the random areas to use instead of mean - sd, which
            makes the rule's false alarms equal to another method's.
    """
    if share is not None:
        return float(np.quantile(areas_sr, share))
    return float(areas_sr.mean() - areas_sr.std())


def asci(
    lon_deg: ArrayLike,
    lat_deg: ArrayLike,
    diameter_m: ArrayLike,
    coverage: Coverage,
    rng: np.random.Generator,
    *,
    simulations: int = SIMULATIONS,
    share: float | None = None,
    bins_m: tuple[float, ...] = BINS_M,
) -> NDArray[np.bool_]:
    """Flags of the rule, shape (n,), each diameter bin on its own.

    Bins of fewer than four craters are not flagged.

    Raises:
        InputError: diameters and positions differ in number.
    """
    lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
    diameter = np.asarray(diameter_m, float)
    if diameter.shape != lon.shape:
        raise InputError(
            f"{lon.size} positions but {diameter.size} diameters.", "Give one of each a crater."
        )
    flagged = np.zeros(len(lon), bool)
    number = np.digitize(diameter, bins_m)
    for k in np.unique(number):
        members = np.flatnonzero(number == k)
        if len(members) < _LEAST:
            continue
        areas = voronoi_cells(lon[members], lat[members], coverage, rough=True).area_sr
        random = random_areas(len(members), coverage, rng, simulations)
        flagged[members] = areas < threshold_sr(random, share)
    return flagged
