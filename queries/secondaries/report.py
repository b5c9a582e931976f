"""The clustering of a crater set as a table, as figures, and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.figure import Figure

from cda_db.errors import InputError
from queries.crater_sets import CraterSet
from queries.rays.backprojection import Clusters, find_clusters
from queries.secondaries.clustering import MEANING, Clustering, clustered, smallest_p
from queries.sphere import lonlat, separation_deg, unit_vectors


@dataclass(frozen=True)
class SecondaryReport:
    """What `cda query secondaries` gives.

    Attributes:
        craters: points with the columns crater_id, lon, lat, diameter_m, ratio, p, q, clustered,
            cluster (-1 for none).
        figures: what is printed.
        clustering, clusters: the arrays behind them.
    """

    craters: gpd.GeoDataFrame
    figures: dict[str, Any]
    clustering: Clustering
    clusters: Clusters


def secondary_report(craters: CraterSet, q: float = 0.05, seed: int = 0) -> SecondaryReport:
    """Flag clustered craters and gather them into clusters."""
    found = clustered(craters.lon_deg, craters.lat_deg, craters.coverage, q=q, seed=seed)
    clusters = find_clusters(
        craters.lon_deg, craters.lat_deg, found.flagged, found.area_sr, found.edges
    )
    table = craters.frame(
        ratio=found.ratio, p=found.p, q=found.q, clustered=found.flagged, cluster=clusters.label
    )
    km2 = craters.coverage.area_sr * (craters.body.radius_m / 1000.0) ** 2
    figures = {
        "craters": len(craters),
        "area_km2": km2,
        "q": q,
        "clustered": int(found.flagged.sum()),
        "clustered_share": float(found.flagged.mean()) if len(craters) else 0.0,
        "clusters_of_5_or_more": len(clusters),
        "smallest_p_attainable": smallest_p(),
        "false_alarms": (
            f"among randomly placed craters any flag at all appears in at most {q:g} of"
            " populations; measured figures are in docs/secondaries.md"
        ),
        "meaning": MEANING,
    }
    return SecondaryReport(table, figures, found, clusters)


def write_table(path: Path, table: gpd.GeoDataFrame, layer: str) -> None:
    """Write points as .gpkg, .parquet or .csv.

    Raises:
        InputError: another suffix.
    """
    suffix = path.suffix.lower()
    if suffix == ".gpkg":
        path.unlink(missing_ok=True)
        table.to_file(path, layer=layer, driver="GPKG", engine="pyogrio")
    elif suffix == ".parquet":
        table.to_parquet(path, index=False)
    elif suffix == ".csv":
        table.drop(columns=table.geometry.name).to_csv(path, index=False)
    else:
        raise InputError(f"{path.name}: unknown kind of file.", "Use .gpkg, .parquet or .csv.")


def draw_secondaries(craters: CraterSet, report: SecondaryReport) -> Figure:
    """Map of the craters: equal-distance about their middle, or the whole globe in lon/lat."""
    x, y, label = _plane(craters)
    aspect = float(np.clip(np.ptp(y) / np.ptp(x), 0.3, 1.0)) if len(craters) > 1 else 1.0
    figure = Figure(figsize=(9.0, 9.0 * aspect + 1.3), layout="constrained")
    axes = figure.add_subplot()
    flag = report.clustering.flagged
    size = np.clip(3e4 / max(len(craters), 1), 0.4, 8.0)
    axes.scatter(x[~flag], y[~flag], s=size, c="#9aa0a6", lw=0, label="as expected")
    loose = flag & (report.clusters.label < 0)
    axes.scatter(x[loose], y[loose], s=2.5 * size, c="#e69f00", lw=0, label="clustered")
    inside = report.clusters.label >= 0
    axes.scatter(
        x[inside], y[inside], s=2.5 * size, c="#d62728", lw=0, label="in a cluster of 5 or more"
    )
    axes.set_xlabel(label[0])
    axes.set_ylabel(label[1])
    axes.set_aspect("equal")
    low, high = craters.diameter_m.min() / 1000.0, craters.diameter_m.max() / 1000.0
    axes.set_title(
        f"{craters.origin}, {craters.body.name.capitalize()}: {len(craters):,} craters of"
        f" {low:.3g}-{high:.3g} km, {int(flag.sum()):,} clustered at q = {report.figures['q']:g}",
        fontsize=10,
        loc="left",
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, markerscale=3.0, frameon=False)
    return figure


def _plane(craters: CraterSet) -> tuple[Any, Any, tuple[str, str]]:
    """Coordinates to draw, and the names of the axes."""
    middle = unit_vectors(craters.lon_deg, craters.lat_deg).mean(axis=0)
    lon0, lat0 = (float(v) for v in lonlat(middle))
    arc = separation_deg(lon0, lat0, craters.lon_deg, craters.lat_deg)
    if arc.max() > 60.0:
        return craters.lon_deg, craters.lat_deg, ("longitude, degrees east", "latitude, degrees")
    from queries.sphere import bearing_deg

    turn = np.radians(bearing_deg(lon0, lat0, craters.lon_deg, craters.lat_deg))
    km = np.radians(arc) * craters.body.radius_m / 1000.0
    names = f"km east of {lon0:.2f} E", f"km north of {lat0:.2f} N"
    return km * np.sin(turn), km * np.cos(turn), names
