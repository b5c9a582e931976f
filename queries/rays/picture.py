"""Pictures of one ray candidate: a rose of the contrast, and the ground around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from queries.crater_sets import CraterSet
from queries.rays.contrast import profile, window_contrast
from queries.rays.describe import Ray
from queries.rays.field import ANNULI, SECTOR_DEG, SECTORS, SMALL_SHARE
from queries.rays.search import RaySearch
from queries.sphere import Floats, bearing_deg, separation_deg

_RAY = "#d55e00"
_SHOWN = 60_000


def draw_rays(
    found: RaySearch, candidate: int, rays: list[Ray], small: CraterSet, name: str
) -> Figure:
    """Rose of the contrast (left) and polar map of the small craters (right).

    The map's radius is the logarithm of the distance, so that every annulus is equally wide.
    """
    figure = Figure(figsize=(12.0, 6.3), layout="constrained")
    rose: Any = figure.add_subplot(1, 2, 1, projection="polar")
    ground: Any = figure.add_subplot(1, 2, 2, projection="polar")
    for axes in (rose, ground):
        axes.set_theta_zero_location("N")
        axes.set_theta_direction(-1)
        axes.tick_params(labelsize=8)
        axes.set_axisbelow(True)
    _draw_rose(rose, found, candidate, rays)
    _draw_ground(ground, found, candidate, rays, small)
    sites = found.candidates
    lat = float(sites.lat_deg[candidate])
    figure.suptitle(
        f"{name}: {sites.diameter_m[candidate] / 1000.0:.3g} km at"
        f" {abs(lat):.2f} {'N' if lat >= 0.0 else 'S'}, {sites.lon_deg[candidate] % 360.0:.2f} E"
        f" ({small.body.name.capitalize()}), T = {found.t[candidate]:.2f},"
        f" p = {found.p[candidate]:.2g} among {len(found.controls):,} controls,"
        f" rank {found.rank[candidate]} of {len(found.p):,}",
        fontsize=11,
    )
    return figure


def _draw_rose(axes: Any, found: RaySearch, candidate: int, rays: list[Ray]) -> None:
    sites = found.candidates
    scores = profile(
        window_contrast(sites.counts[candidate], sites.exposure[candidate], found.dispersion)
    )
    azimuth = np.radians((np.arange(SECTORS) + 1.0) * SECTOR_DEG)
    chosen = np.isin(np.round(np.degrees(azimuth) % 360.0, 3), [r.azimuth_deg for r in rays])
    width = np.radians(SECTOR_DEG) * 0.9
    axes.bar(
        azimuth,
        np.maximum(scores, 0.0),
        width=width,
        color=np.where(chosen, _RAY, "#6b8fb3"),
    )
    limit = _limit(found, sites.covariates[candidate : candidate + 1])
    circle = np.linspace(0.0, 2.0 * np.pi, 200)
    axes.plot(circle, np.full(200, limit), color="k", lw=0.8, ls="--")
    axes.set_ylim(0.0, max(float(scores.max()), limit) * 1.12)
    axes.set_rlabel_position(15)
    axes.set_title(
        "Contrast of each 10 degree window with its flanks, over six annuli\n"
        "dashed: one control in a hundred has a window this high",
        fontsize=9,
    )


def _limit(found: RaySearch, covariates: Floats) -> float:
    """Score that 1 % of the controls of the stratum reach."""
    grid = np.linspace(-5.0, 10.0, 1501)
    p, _ = found.strata.p_value(grid, np.repeat(covariates, len(grid), axis=0))
    return float(grid[np.argmax(p <= 0.01)]) if (p <= 0.01).any() else float(grid[-1])


def _draw_ground(
    axes: Any, found: RaySearch, candidate: int, rays: list[Ray], small: CraterSet
) -> None:
    sites = found.candidates
    lon, lat = float(sites.lon_deg[candidate]), float(sites.lat_deg[candidate])
    edges = sites.edges_deg[candidate]
    km = float(np.radians(1.0)) * small.body.radius_m / 1000.0
    arc = separation_deg(lon, lat, small.lon_deg, small.lat_deg)
    limit = SMALL_SHARE * sites.diameter_m[candidate]
    near = np.flatnonzero((arc >= edges[0]) & (arc <= edges[-1]) & (small.diameter_m <= limit))
    shown = np.random.default_rng(0).permutation(near)[:_SHOWN]
    turn = np.radians(bearing_deg(lon, lat, small.lon_deg[shown], small.lat_deg[shown]))
    radius = _log_radius(arc[shown], edges)
    dot = float(np.clip(2e4 / max(len(shown), 1), 0.15, 6.0))
    axes.scatter(turn, radius, s=dot, c="#30343a", lw=0, alpha=0.6)
    for ray in rays:
        low, high = _log_radius(np.array([ray.inner_deg, ray.outer_deg]), edges)
        half = np.radians(SECTOR_DEG)
        axes.add_patch(
            Rectangle(
                (np.radians(ray.azimuth_deg) - half, low),
                2.0 * half,
                high - low,
                fc=_RAY,
                ec=_RAY,
                alpha=0.25,
            )
        )
    axes.set_ylim(0.0, ANNULI + 1.0)
    axes.set_axisbelow(False)
    axes.set_yticks(np.arange(1, ANNULI + 2))
    axes.set_yticklabels([f"{edge * km:,.0f} km" for edge in edges], fontsize=7)
    axes.set_rlabel_position(8)
    for label in axes.get_yticklabels():
        label.set_bbox({"fc": "w", "ec": "none", "alpha": 0.75, "pad": 0.8})
    few = "" if len(near) <= _SHOWN else f", {_SHOWN:,} of them shown"
    axes.set_title(
        f"{len(near):,} craters up to {limit:,.0f} m{few}\nlogarithmic distance, rays shaded",
        fontsize=9,
    )


def _log_radius(arc_deg: Floats, edges_deg: Floats) -> Floats:
    """1 at the inner edge of the field, one more an annulus."""
    step = np.log(edges_deg[-1] / edges_deg[0]) / ANNULI
    return np.asarray(1.0 + np.log(arc_deg / edges_deg[0]) / step)
