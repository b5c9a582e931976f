"""Is an area as a whole random? Two measures against random populations over the same ground.

M2CND is the mean distance to the second-closest neighbour, SDAA the standard deviation of the
Voronoi ("adjacent") areas: Michael et al. (2012, Icarus 218, 169), on the sphere as Riedel et al.
(2021, JGR Planets 126, e2020JE006693). Clustering lowers the first and raises the second; the
opposite is a population that is too even (a saturated surface, an incomplete count).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from queries.coverage import Coverage
from queries.secondaries.voronoi import voronoi_cells
from queries.sphere import Floats, unit_vectors


@dataclass(frozen=True)
class Randomness:
    """One measure of one population.

    Attributes:
        measure: "m2cnd_deg" (degrees of arc) or "sdaa_sr" (steradian).
        value: of the craters given.
        random_mean, random_sd: of the simulated populations.
        sigma: (value - random_mean) / random_sd.
        p_clustered: share of populations (the given one counted in) at least as clustered.
        p_even: the same for at least as even.
        verdict: "clustered", "even" or "random", two-sided at the asked rate.
    """

    measure: str
    value: float
    random_mean: float
    random_sd: float
    sigma: float
    p_clustered: float
    p_even: float
    verdict: str


def m2cnd_deg(lon_deg: ArrayLike, lat_deg: ArrayLike) -> float:
    """Mean arc in degrees to the second-closest neighbour."""
    vectors = unit_vectors(lon_deg, lat_deg)
    chord, _ = cKDTree(vectors).query(vectors, k=[3])
    return float(np.degrees(2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))).mean())


def sdaa_sr(lon_deg: ArrayLike, lat_deg: ArrayLike, coverage: Coverage) -> float:
    """Standard deviation in steradian of the Voronoi areas clipped to coverage."""
    return float(voronoi_cells(lon_deg, lat_deg, coverage).area_sr.std())


def randomness(
    lon_deg: ArrayLike,
    lat_deg: ArrayLike,
    coverage: Coverage,
    rng: np.random.Generator,
    *,
    simulations: int = 999,
    rate: float = 0.05,
    progress: Callable[[int], None] | None = None,
) -> tuple[Randomness, Randomness]:
    """M2CND and SDAA of the craters against `simulations` random populations.

    The smallest p attainable is 1 / (simulations + 1); each measure's false-alarm rate is `rate`
    by construction (the test is exact: the craters rank among populations drawn like them).
    """
    lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
    random = np.empty((simulations, 2))
    for k in range(simulations):
        x, y = coverage.draw(len(lon), rng)
        random[k] = m2cnd_deg(x, y), sdaa_sr(x, y, coverage)
        if progress is not None:
            progress(1)
    return (
        _verdict("m2cnd_deg", m2cnd_deg(lon, lat), random[:, 0], -1.0, rate),
        _verdict("sdaa_sr", sdaa_sr(lon, lat, coverage), random[:, 1], 1.0, rate),
    )


def _verdict(measure: str, value: float, random: Floats, sign: float, rate: float) -> Randomness:
    """`sign` is +1 where clustering raises the measure."""
    total = len(random) + 1
    p_clustered = (1 + int((sign * random >= sign * value).sum())) / total
    p_even = (1 + int((sign * random <= sign * value).sum())) / total
    verdict = "random"
    if 2.0 * min(p_clustered, p_even) <= rate:
        verdict = "clustered" if p_clustered < p_even else "even"
    mean, sd = float(random.mean()), float(random.std(ddof=1))
    return Randomness(measure, value, mean, sd, (value - mean) / sd, p_clustered, p_even, verdict)
