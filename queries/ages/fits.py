"""Isochrons fitted to binned counts, cumulative and differential, as Craterstats fits them.

After Michael & Neukum (2010), Earth Planet. Sci. Lett. 294, 223-229 (cumulative fit, resurfacing
correction) and Michael (2013), Icarus 226, 885-890 (differential fit). Both fit log10 of the data
with a vertical shift of the production function, over the bins that lie wholly in the range and
hold a crater; the weights are those that Craterstats' published ages imply.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError
from queries.ages.csfd import Csfd, check_craters, csfd
from queries.ages.model_age import Estimate, ModelAge
from queries.ages.resurfacing import corrected_log10_n1
from queries.ages.systems import ChronologySystem

Floats = NDArray[np.float64]

# Craterstats' 1 sigma of a cumulative fit is 0.98 / sqrt(N), so that one crater's lower bound stays
# above 0.
_ONE_SIGMA = 0.98


def cumulative_fit(
    diameters_km: ArrayLike,
    area_km2: float,
    system: ChronologySystem,
    range_km: tuple[float, float],
    binning: str = "pseudo-log",
    resurfacing: bool = False,
) -> ModelAge:
    """Model age from an isochron fitted to the cumulative distribution.

    Each bin with a crater gives N(>= its lower edge), craters beyond the range included; weights
    are these N (1 / variance of ln N). Bounds are N1 (1 -+ 0.98 / sqrt N(>= first bin)).

    Args:
        diameters_km: all craters counted on the area, (n,), not only those in the range.
        area_km2: the area.
        system: production function and chronology.
        range_km: only bins wholly inside it take part.
        binning: as in ``csfd.all_edges``.
        resurfacing: remove the older craters that survived beyond the range (see ``resurfacing``).

    Raises:
        InputError: bad input, no crater in the range, or with ``resurfacing`` fewer than two bins.
    """
    counts, used = _bins(diameters_km, area_km2, range_km, binning)
    n = counts.cumulative_counts[used].astype(np.float64)
    shape = system.production.cumulative(counts.edges_km[:-1][used])
    if resurfacing:
        log10_n1 = corrected_log10_n1(n, shape, area_km2)
    else:
        log10_n1 = float(np.average(np.log10(n / area_km2 / shape), weights=n))
    relative = _ONE_SIGMA / float(np.sqrt(n[0]))
    return _result("cumulative", system, counts, log10_n1, relative, resurfacing)


def differential_fit(
    diameters_km: ArrayLike,
    area_km2: float,
    system: ChronologySystem,
    range_km: tuple[float, float],
    binning: str = "pseudo-log",
) -> ModelAge:
    """Model age from an isochron fitted to the differential distribution.

    Each bin with a crater is compared with the production function where a power law would have
    its mean over that bin. Weights are sqrt(n) / bin width, those that Craterstats 3.6's ages
    imply; bounds are the error that counting puts on this weighted mean of logarithms,
    exp(-+ sqrt(sum w^2 / n) / sum w).

    Arguments and errors as in ``cumulative_fit``. Craters beyond the range take no part, so no
    correction for resurfacing is needed.
    """
    counts, used = _bins(diameters_km, area_km2, range_km, binning)
    n = counts.counts[used].astype(np.float64)
    centre = system.production.centre_km(counts.edges_km[:-1], counts.edges_km[1:])[used]
    density = counts.values("differential")[used]
    weights = np.sqrt(n) / counts.width_km[used]
    log10_n1 = float(
        np.average(np.log10(density / system.production.differential(centre)), weights=weights)
    )
    sigma = float(np.sqrt(np.sum(weights**2 / n)) / np.sum(weights))
    bounds = Estimate(1.0, float(np.exp(-sigma)), float(np.exp(sigma)))
    return _dated("differential", system, counts, bounds.scaled(10**log10_n1), False)


def _bins(
    diameters_km: ArrayLike, area_km2: float, range_km: tuple[float, float], binning: str
) -> tuple[Csfd, NDArray[np.bool_]]:
    d = check_craters(diameters_km, area_km2)
    counts = csfd(d, area_km2, binning, range_km)
    used = counts.counts > 0
    if not np.any(used):
        raise InputError(
            f"No crater lies in a whole {binning} bin of {range_km[0]:g} to {range_km[1]:g} km.",
            "Widen the range, or use the Poisson method, which can date an empty count.",
        )
    return counts, used


def _result(
    method: str,
    system: ChronologySystem,
    counts: Csfd,
    log10_n1: float,
    relative: float,
    resurfacing: bool,
) -> ModelAge:
    bounds = Estimate(1.0, 1 - relative, 1 + relative)
    return _dated(method, system, counts, bounds.scaled(10**log10_n1), resurfacing)


def _dated(
    method: str, system: ChronologySystem, counts: Csfd, n1: Estimate, resurfacing: bool
) -> ModelAge:
    return ModelAge(
        method=method,
        system=system,
        range_km=(float(counts.edges_km[0]), float(counts.edges_km[-1])),
        area_km2=counts.area_km2,
        n=int(counts.counts.sum()),
        n1_per_km2=n1,
        age_ga=n1.age(system.chronology),
        resurfacing=resurfacing,
    )
