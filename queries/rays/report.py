"""The ray search of a catalogue as tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cda_db.bodies import Body
from cda_db.errors import InputError, NotFoundError
from queries.crater_sets import CraterSet
from queries.rays.backprojection import (
    Clusters,
    crossings,
    find_clusters,
    no_clusters,
    pointing_scores,
)
from queries.rays.counts import SmallCraters
from queries.rays.describe import Ray, describe_rays
from queries.rays.field import get_field
from queries.rays.search import RaySearch, draw_controls, measure_sites, search
from queries.secondaries.clustering import clustered
from queries.sources.groups import rayed_craters
from queries.sphere import Floats, separation_deg


@dataclass(frozen=True)
class RayReport:
    """What `cda query rays` gives.

    Attributes:
        primaries: one row a candidate, best first: crater_id, lon, lat, diameter_m, t, p,
            smallest_p, q, rank, rays, pointing, pointing_p, clusters_in_reach.
        rays: one row a ray of a candidate with p <= the asked rate, outlines as geometry.
        clusters: the second witness: one row a cluster of small craters with its long axis; empty
            without pointing.
        crossings: where the great circles of the best known axes cross, within reach of both.
        figures: what is printed.
        found: the search.
        described: the rays by candidate.
    """

    primaries: gpd.GeoDataFrame
    rays: gpd.GeoDataFrame
    clusters: gpd.GeoDataFrame
    crossings: gpd.GeoDataFrame
    figures: dict[str, Any]
    found: RaySearch
    described: dict[int, list[Ray]]


def ray_report(
    small: CraterSet,
    primaries: CraterSet,
    rng: np.random.Generator,
    *,
    field: str = "near",
    controls: int = 10_000,
    rate: float = 0.01,
    pointing: bool = True,
    threads: int = 2,
    progress: Callable[[int], None] | None = None,
) -> RayReport:
    """Search every primary for rays.

    Args:
        small: small craters and the ground they were sought on.
        primaries: the candidates.
        rng: of the control sites.
        field: near, far or basin.
        controls: random control sites.
        rate: p at or below which the rays of a candidate are described.
        pointing: also let the clusters of small craters point back.
        threads: for counting.
        progress: called with the number of sites done.

    Raises:
        InputError: no primaries.
    """
    if len(primaries) == 0:
        raise InputError("There are no primaries of that size.", "Lower --primaries.")
    body, coverage = small.body, small.coverage
    index = SmallCraters(small.lon_deg, small.lat_deg, small.diameter_m)
    shape = get_field(field)
    where = primaries.lon_deg, primaries.lat_deg, primaries.diameter_m
    sites, pool = (
        measure_sites(
            index, coverage, *place, shape, body.radius_m, threads=threads, progress=progress
        )
        for place in (where, draw_controls(coverage, primaries.diameter_m, rng, controls))
    )
    known = _near_known(body.name, pool.lon_deg, pool.lat_deg, pool.edges_deg[:, 0])
    found = search(sites, pool, rng, known_rayed=known)
    described = {
        int(i): describe_rays(found, int(i), body.radius_m) for i in np.flatnonzero(found.p <= rate)
    }
    table = primaries.frame(
        t=found.t,
        p=found.p,
        smallest_p=found.smallest_p,
        q=found.q,
        rank=found.rank,
        rays=[len(described.get(i, [])) for i in range(len(primaries))],
    )
    clusters = small_clusters(small) if pointing else no_clusters(len(small))
    if pointing:
        _add_pointing(table, clusters, found)
    return RayReport(
        primaries=table.sort_values("rank", ignore_index=True),
        rays=_ray_table(primaries, described),
        clusters=_cluster_table(clusters, body),
        crossings=_crossing_table(clusters, float(sites.edges_deg[:, -1].max()), body),
        figures=_figures(found, field),
        found=found,
        described=described,
    )


def _near_known(
    body: str, lon_deg: Floats, lat_deg: Floats, inner_deg: Floats
) -> NDArray[np.bool_]:
    """Sites within their own inner edge of a crater whose rays are reported."""
    near = np.zeros(len(lon_deg), bool)
    for crater in rayed_craters(body):
        arc = separation_deg(lon_deg, lat_deg, crater.lon_deg, crater.lat_deg)
        near |= arc <= inner_deg
    return near


def small_clusters(small: CraterSet) -> Clusters:
    """Clusters of the small craters that stand closer than chance."""
    flags = clustered(small.lon_deg, small.lat_deg, small.coverage)
    return find_clusters(small.lon_deg, small.lat_deg, flags.flagged, flags.area_sr, flags.edges)


def _cluster_table(clusters: Clusters, body: Body) -> gpd.GeoDataFrame:
    """One row a cluster; extents on the ground."""
    km = float(np.radians(1.0)) * body.radius_m / 1000.0
    table = {
        "members": clusters.members,
        "length_km": clusters.length_deg * km,
        "width_km": clusters.width_deg * km,
        "axis_deg": clusters.axis_deg,
        "axis_error_deg": clusters.axis_error_deg,
    }
    points = gpd.points_from_xy(clusters.lon_deg, clusters.lat_deg)
    return gpd.GeoDataFrame(table, geometry=points, crs=body.crs())


def _crossing_table(clusters: Clusters, outer_deg: float, body: Body) -> gpd.GeoDataFrame:
    points = gpd.points_from_xy(*crossings(clusters, outer_deg))
    return gpd.GeoDataFrame(geometry=points, crs=body.crs())


def _add_pointing(table: gpd.GeoDataFrame, clusters: Clusters, found: RaySearch) -> None:
    """Scores of the second witness, and their rank among the controls."""
    scores = []
    for sites in (found.candidates, found.controls):
        edges = sites.edges_deg
        scores.append(
            pointing_scores(clusters, sites.lon_deg, sites.lat_deg, edges[:, 0], edges[:, -1])
        )
    (score, reach), (control, _) = scores
    above = len(control) - np.searchsorted(np.sort(control), score, side="left")
    table["pointing"] = score
    chance = (above + 1.0) / (len(control) + 1.0)
    table["pointing_p"] = np.where(reach > 0, chance, np.nan)
    table["clusters_in_reach"] = reach


def _figures(found: RaySearch, field: str) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "field": field,
        "primaries": len(found.p),
        "controls": len(found.controls),
        "strata": len(found.strata.leaves()),
        "smallest_p_attainable": float(found.smallest_p.min()),
        "q_values": "given"
        if not np.isnan(found.q).any()
        else "not given: the smallest attainable p is too large for so many primaries",
        "p_at_most_0.01": int((found.p <= 0.01).sum()),
        "expected_by_chance": 0.01 * len(found.p),
        "q_at_most_0.05": int((found.q <= 0.05).sum()),
    }
    for check in found.held_out:
        figures[f"false_alarms_at_{check.nominal:g}"] = (
            f"{check.share:.4f} ({check.low:.4f}-{check.high:.4f}) on {check.controls} held out"
        )
    return figures


def _ray_table(primaries: CraterSet, described: dict[int, list[Ray]]) -> gpd.GeoDataFrame:
    rows: list[dict[str, Any]] = []
    outlines = []
    for i, rays in described.items():
        lon, lat = float(primaries.lon_deg[i]), float(primaries.lat_deg[i])
        for ray in rays:
            values = {k: v for k, v in vars(ray).items() if k != "candidate"}
            rows.append({"crater_id": int(primaries.crater_id[i]), **values})
            outlines.append(ray.outline(lon, lat))
    names = [n for n in Ray.__dataclass_fields__ if n != "candidate"]
    table = pd.DataFrame(rows, columns=["crater_id", *names])
    return gpd.GeoDataFrame(table, geometry=outlines, crs=primaries.body.crs())


def write_rays(path: Path, report: RayReport) -> None:
    """Write a GeoPackage with the layers `primaries`, `rays`, `clusters` and `crossings`.

    The last two only where there are any.

    Raises:
        InputError: another kind of file.
    """
    if path.suffix.lower() != ".gpkg":
        raise InputError(f"{path.name} is no GeoPackage.", "Give --out NAME.gpkg.")
    path.unlink(missing_ok=True)
    report.primaries.to_file(path, layer="primaries", driver="GPKG", engine="pyogrio")
    report.rays.to_file(path, layer="rays", driver="GPKG", engine="pyogrio")
    for layer, table in (("clusters", report.clusters), ("crossings", report.crossings)):
        if len(table):
            table.to_file(path, layer=layer, driver="GPKG", engine="pyogrio")


def candidate_figure(
    report: RayReport, primaries: CraterSet, small: CraterSet, crater_id: int | None = None
) -> Figure:
    """Rose and polar map of one candidate, by default the first in rank.

    Raises:
        NotFoundError: no candidate has that id.
    """
    from queries.rays.picture import draw_rays

    wanted = int(np.argmin(report.found.rank))
    if crater_id is not None:
        places = np.flatnonzero(primaries.crater_id == crater_id)
        if len(places) == 0:
            raise NotFoundError(
                f"Crater {crater_id} is no candidate.", "Ids are in the printed table."
            )
        wanted = int(places[0])
    rays = report.described.get(wanted) or describe_rays(report.found, wanted, small.body.radius_m)
    name = f"{primaries.origin}, crater {primaries.crater_id[wanted]}"
    return draw_rays(report.found, wanted, rays, small, name)
