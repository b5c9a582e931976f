"""Rays as a person reads them: azimuth, range, excess with its interval, outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from queries.rays.contrast import Contrast, profile, window_contrast
from queries.rays.field import SECTOR_DEG, SECTORS
from queries.rays.search import RaySearch
from queries.sphere import Floats, destination, ring_geometry

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_APART = 4  # windows: rays nearer than 20 degrees share their sectors or flanks
_PART_OF_RAY = 1.0  # an annulus whose z is at least this continues the ray


@dataclass(frozen=True)
class Ray:
    """One ray of one candidate.

    Attributes:
        candidate: index of its primary.
        azimuth_deg: middle of its window, clockwise from north.
        score: sum of z over the annuli over sqrt(6) in this window.
        p: chance that the highest score around a control reaches this one.
        inner_deg, outer_deg: range as arcs from the primary's centre: the run of annuli with
            z >= 1 around the one of the highest z.
        inner_km, outer_km: the same on the ground.
        count, expected: craters of the window in that range, and what the flanks foretell.
        excess, excess_low, excess_high: count less expected, with its 95 % interval.
        contrast: count over expected.
    """

    candidate: int
    azimuth_deg: float
    score: float
    p: float
    inner_deg: float
    outer_deg: float
    inner_km: float
    outer_km: float
    count: float
    expected: float
    excess: float
    excess_low: float
    excess_high: float
    contrast: float

    def outline(self, lon_deg: float, lat_deg: float) -> BaseGeometry:
        """The ray's window and range around its primary, in lon/lat, cut at +-180."""
        return sector_outline(
            lon_deg, lat_deg, self.azimuth_deg, 2.0 * SECTOR_DEG, self.inner_deg, self.outer_deg
        )


def describe_rays(
    found: RaySearch, candidate: int, body_radius_m: float, *, rate: float = 0.05
) -> list[Ray]:
    """The rays of one candidate: windows that stand out by themselves, strongest first.

    A window is a ray where the highest score of a control reaches its score with a chance of at
    most `rate`; rays are at least 20 degrees of azimuth apart.
    """
    sites = found.candidates
    contrast = window_contrast(sites.counts[candidate], sites.exposure[candidate], found.dispersion)
    scores = profile(contrast)
    covariates = np.repeat(sites.covariates[candidate : candidate + 1], SECTORS, axis=0)
    p, _ = found.strata.p_value(scores, covariates)
    edges = sites.edges_deg[candidate]
    km = float(np.radians(1.0)) * body_radius_m / 1000.0
    return [
        _ray(candidate, window, float(scores[window]), float(p[window]), contrast, edges, km)
        for window in _peaks(scores, p <= rate)
    ]


def _peaks(scores: Floats, allowed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[int]:
    """Allowed windows, strongest first, each further than `_APART` from all stronger ones."""
    peaks: list[int] = []
    for window in np.argsort(-scores, kind="stable").tolist():
        apart = [min((window - other) % SECTORS, (other - window) % SECTORS) for other in peaks]
        if allowed[window] and all(gap >= _APART for gap in apart):
            peaks.append(window)
    return peaks


def _ray(
    candidate: int,
    window: int,
    score: float,
    p: float,
    contrast: Contrast,
    edges_deg: Floats,
    km_per_deg: float,
) -> Ray:
    z = contrast.z[:, window]
    first = last = int(z.argmax())
    while first > 0 and z[first - 1] >= _PART_OF_RAY:
        first -= 1
    while last < len(z) - 1 and z[last + 1] >= _PART_OF_RAY:
        last += 1
    run = slice(first, last + 1)
    count = float(contrast.count[run, window].sum())
    expected = float(contrast.expected[run, window].sum())
    flank = float(contrast.flank_count[run, window].sum())
    low, high = difference_interval(count, flank, expected / flank if flank else 1.0 / 3.0)
    inner, outer = float(edges_deg[first]), float(edges_deg[last + 1])
    return Ray(
        candidate=candidate,
        azimuth_deg=(window + 1) * SECTOR_DEG % 360.0,
        score=score,
        p=p,
        inner_deg=inner,
        outer_deg=outer,
        inner_km=inner * km_per_deg,
        outer_km=outer * km_per_deg,
        count=count,
        expected=expected,
        excess=count - expected,
        excess_low=low,
        excess_high=high,
        contrast=count / expected if expected else float("inf"),
    )


def difference_interval(
    count: float, flank: float, weight: float, level: float = 0.95
) -> tuple[float, float]:
    """Interval of count - weight * flank for two Poisson counts.

    Zou & Donner (2008, Statistics in Medicine 27, 1693): the exact (Garwood) limits of the two
    counts are combined by the sum of squared distances. Counting error only.
    """
    low, high = poisson_interval(count, level)
    flank_low, flank_high = (weight * x for x in poisson_interval(flank, level))
    expected = weight * flank
    difference = count - expected
    return (
        difference - float(np.hypot(count - low, flank_high - expected)),
        difference + float(np.hypot(high - count, expected - flank_low)),
    )


def poisson_interval(count: float, level: float = 0.95) -> tuple[float, float]:
    """Exact (Garwood 1936) interval of a Poisson mean."""
    tail = (1.0 - level) / 2.0
    low = float(chi2.ppf(tail, 2.0 * count)) / 2.0 if count > 0 else 0.0
    return low, float(chi2.isf(tail, 2.0 * (count + 1.0))) / 2.0


def sector_outline(
    lon_deg: float,
    lat_deg: float,
    azimuth_deg: float,
    width_deg: float,
    inner_deg: float,
    outer_deg: float,
) -> BaseGeometry:
    """Outline of an annular sector on the sphere as a lon/lat (multi)polygon."""
    half = width_deg / 2.0
    across = azimuth_deg + np.linspace(-half, half, 21)
    along = np.geomspace(inner_deg, outer_deg, 60)
    bearing = np.concatenate(
        [np.full(60, across[0]), across[1:-1], np.full(60, across[-1]), across[-2:0:-1]]
    )
    arc = np.concatenate([along, np.full(19, outer_deg), along[::-1], np.full(19, inner_deg)])
    return ring_geometry(*destination(lon_deg, lat_deg, bearing, arc))
