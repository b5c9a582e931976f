"""The ray search: every primary of launch size, judged by pooled controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError
from queries.coverage import Coverage
from queries.rays.calibration import HeldOut, Stratum, calibrate, held_out_check
from queries.rays.contrast import measure_dispersion, ray_statistic
from queries.rays.counts import SmallCraters, count_sites, exposure_sites
from queries.rays.field import RayField
from queries.secondaries.fdr import q_values
from queries.sphere import Floats, cap_area_sr, separation_deg

LAUNCH_DIAMETER_M = 3000.0  # smallest crater that launches rock off Mars (Head et al. 2002)
CONTROLS = 10_000
_REPORT_Q = 0.05


@dataclass(frozen=True)
class Sites:
    """Places that were searched; arrays of shape (n,) unless said otherwise.

    Attributes:
        lon_deg, lat_deg, diameter_m: where, and the diameter that sets the annuli.
        edges_deg: (n, 7) edges of the annuli in degrees of arc.
        counts: (n, 6, 72) small craters by annulus and sector.
        exposure: (n, 6, 72) imaged share of the same bins.
        covariates: (n, 4) what strata are made of: log10 expected craters in the field, imaged
            share, log10 diameter, absolute latitude.
    """

    lon_deg: Floats
    lat_deg: Floats
    diameter_m: Floats
    edges_deg: Floats
    counts: NDArray[np.int32]
    exposure: NDArray[np.float32]
    covariates: Floats

    def __len__(self) -> int:
        """Number of sites."""
        return len(self.lon_deg)

    def take(self, keep: NDArray[np.bool_]) -> Sites:
        """The sites where `keep` holds."""
        return Sites(*(getattr(self, name)[keep] for name in Sites.__dataclass_fields__))


@dataclass(frozen=True)
class RaySearch:
    """Candidates and what judged them.

    Attributes:
        candidates: the primaries.
        t: their ray statistic.
        window: their window (0..71) of the highest contrast.
        p: chance of such a T among the controls of the primary's stratum.
        smallest_p: the smallest p attainable in that stratum.
        q: Benjamini-Hochberg q-values; NaN throughout where the smallest attainable p times the
            number of candidates exceeds 0.05: then one ray crater could never be reported, and
            the rank and the local p are what there is.
        rank: 1 for the smallest p, ties broken by T.
        controls: the control sites, those left out already removed.
        dispersion: (6,) relative scatter of the ground by annulus, from the controls.
        held_out: measured false-alarm rates at nominal rates.
        strata: the calibration.
    """

    candidates: Sites
    t: Floats
    window: NDArray[np.int64]
    p: Floats
    smallest_p: Floats
    q: Floats
    rank: NDArray[np.int64]
    controls: Sites
    dispersion: Floats
    held_out: list[HeldOut]
    strata: Stratum


def measure_sites(
    craters: SmallCraters,
    coverage: Coverage,
    lon_deg: ArrayLike,
    lat_deg: ArrayLike,
    diameter_m: ArrayLike,
    field: RayField,
    body_radius_m: float,
    *,
    threads: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Sites:
    """Count around every site and measure what was imaged of its field. Shapes as in `Sites`."""
    lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
    diameter = np.asarray(diameter_m, float)
    edges = field.edges_deg(diameter, body_radius_m)
    counts = count_sites(craters, lon, lat, diameter, edges, threads=threads, progress=progress)
    seen = exposure_sites(coverage, lon, lat, edges, threads=threads)
    area = np.diff(cap_area_sr(edges), axis=1)
    imaged = (seen.mean(axis=2) * area).sum(axis=1) / area.sum(axis=1)
    found = counts.sum(axis=(1, 2)) / np.maximum(imaged, 1e-6)
    covariates = np.stack(
        [np.log10(found + 1.0), np.round(imaged, 2), np.log10(diameter), np.abs(lat)], axis=1
    )
    return Sites(lon, lat, diameter, edges, counts, seen, covariates)


def draw_controls(
    coverage: Coverage,
    diameter_m: Floats,
    rng: np.random.Generator,
    n: int = CONTROLS,
) -> tuple[Floats, Floats, Floats]:
    """Random points on imaged ground with diameters drawn from the candidates'."""
    lon, lat = coverage.draw(n, rng)
    return lon, lat, rng.choice(diameter_m, n)


def search(
    candidates: Sites,
    controls: Sites,
    rng: np.random.Generator,
    *,
    known_rayed: NDArray[np.bool_] | None = None,
) -> RaySearch:
    """Judge candidates by controls.

    Args:
        candidates: the primaries.
        controls: random points and craters that are not fresh, of like sizes.
        rng: splits the controls for the held-out check.
        known_rayed: shape (len(controls),): controls known to lie at a rayed crater. They
            are left out, and so are those within two radii of a candidate flagged in a first
            round. Nothing else is left out: removing high controls for being high would make
            every later p too small.
    """
    keep = np.ones(len(controls), bool) if known_rayed is None else ~known_rayed
    first = _judge(candidates, _kept(controls, keep))
    keep &= ~_within_two_radii(controls, candidates, _flagged(first.p, first.smallest_p))
    last = _judge(candidates, _kept(controls, keep))
    order = np.lexsort((-last.t, last.p))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    tells = float(last.smallest_p.min()) * len(rank) <= _REPORT_Q
    return RaySearch(
        candidates=candidates,
        t=last.t,
        window=last.window,
        p=last.p,
        smallest_p=last.smallest_p,
        q=q_values(last.p) if tells else np.full(len(rank), np.nan),
        rank=rank,
        controls=last.controls,
        dispersion=last.dispersion,
        held_out=held_out_check(last.control_t, last.controls.covariates, rng),
        strata=last.strata,
    )


@dataclass(frozen=True)
class _Judged:
    t: Floats
    window: NDArray[np.int64]
    p: Floats
    smallest_p: Floats
    strata: Stratum
    dispersion: Floats
    controls: Sites
    control_t: Floats


def _judge(candidates: Sites, controls: Sites) -> _Judged:
    """One round: dispersion and strata from the controls, p of the candidates."""
    dispersion = measure_dispersion(controls.counts, controls.exposure)
    control_t, _ = ray_statistic(controls.counts, controls.exposure, dispersion)
    t, window = ray_statistic(candidates.counts, candidates.exposure, dispersion)
    strata = calibrate(control_t, controls.covariates)
    p, least = strata.p_value(t, candidates.covariates)
    return _Judged(t, window, p, least, strata, dispersion, controls, control_t)


def _flagged(p: Floats, least: Floats) -> NDArray[np.bool_]:
    """Flagged in the first round: q at most 0.05, or p at the floor where q says nothing."""
    if float(least.min()) * len(p) <= _REPORT_Q:
        return q_values(p) <= _REPORT_Q
    return p <= least


def _within_two_radii(
    controls: Sites, candidates: Sites, flagged: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    near = np.zeros(len(controls), bool)
    for i in np.flatnonzero(flagged):
        arc = separation_deg(
            controls.lon_deg, controls.lat_deg, candidates.lon_deg[i], candidates.lat_deg[i]
        )
        near |= arc <= candidates.edges_deg[i, 0]
    return near


def _kept(sites: Sites, keep: NDArray[np.bool_]) -> Sites:
    if not keep.any():
        raise InputError("No control is left.", "Draw more controls or name fewer rayed craters.")
    return sites.take(keep)
