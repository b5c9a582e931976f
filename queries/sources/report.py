"""The ranking as tables: candidates in order, and one row a constraint with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from cda_db.bodies import Body
from cda_db.errors import InputError
from cda_db.meteorites import MeteoriteGroup
from queries.sources.candidates import Candidates, Composition, weigh
from queries.sources.chance import SIMULATIONS, chance_maxima
from queries.sources.ranking import (
    PRIOR_NONE,
    REPORT_CHANCE,
    REPORT_POSTERIOR,
    Constraint,
    Ranking,
    rank,
)


@dataclass(frozen=True)
class SourceReport:
    """What `cda query sources` gives.

    Attributes:
        group: the stones.
        candidates: what was known.
        constraints: every row.
        ranking: the order and the posterior.
        craters: points, best first: rank, crater_id, lon, lat, diameter_km, log_ratio, lowest,
            highest, posterior, and a column of log ratios a constraint.
        rows: one row a crater and constraint, with verdict, value, interval, source.
    """

    group: MeteoriteGroup
    candidates: Candidates
    constraints: list[Constraint]
    ranking: Ranking
    craters: gpd.GeoDataFrame
    rows: pd.DataFrame

    def figures(self) -> dict[str, Any]:
        """What is printed above the table."""
        reported = self.ranking.reported
        return {
            "meteorite": self.group.name,
            "ejection_ma": "-".join(f"{x:g}" for x in dict.fromkeys(self.group.ejection_ma)),
            "candidates": len(self.candidates),
            "posterior_none": self.ranking.posterior_none,
            "prior_none": PRIOR_NONE,
            "posterior_first": float(self.ranking.posterior[self.ranking.order[0]]),
            "chance_without_a_source": self.ranking.chance,
            "reported_where_chance_at_most": REPORT_CHANCE,
            "reported_where_posterior_at_least": REPORT_POSTERIOR,
            "reported_crater": None
            if reported is None
            else int(self.candidates.crater_id[reported]),
        }


def source_report(
    candidates: Candidates,
    group: MeteoriteGroup,
    body: Body,
    rng: np.random.Generator,
    composition: Composition | None = None,
    simulations: int = SIMULATIONS,
) -> SourceReport:
    """Weigh, rank, and compare with planets without a source.

    Args:
        candidates: what is known of the craters.
        group: the stones.
        body: of the craters.
        rng: draws the planets without a source.
        composition: what the rock has of the raster's.
        simulations: planets without a source.

    Raises:
        InputError: there are no candidates.
    """
    n = len(candidates)
    if n == 0:
        raise InputError("There are no candidates.", "Widen --primaries or the region.")
    constraints = weigh(candidates, group, composition)
    maxima = chance_maxima(candidates, constraints, group, rng, simulations)
    ranking = rank(constraints, n, maxima)
    rows = pd.DataFrame([vars(row) for row in constraints])
    wide = rows.pivot(index="crater", columns="name", values="log_ratio")
    order = ranking.order
    table = pd.DataFrame(
        {
            "rank": np.arange(1, n + 1),
            "crater_id": candidates.crater_id[order],
            "lon": candidates.lon_deg[order],
            "lat": candidates.lat_deg[order],
            "diameter_km": candidates.diameter_km[order],
            "posterior": ranking.posterior[order],
            "log_ratio": ranking.log_ratio[order],
            "lowest": ranking.lowest[order],
            "highest": ranking.highest[order],
            **{f"lr_{name}": wide[name].to_numpy()[order] for name in wide.columns},
        }
    )
    points = gpd.points_from_xy(table["lon"], table["lat"])
    craters = gpd.GeoDataFrame(table, geometry=points, crs=body.crs())
    rows.insert(0, "crater_id", candidates.crater_id[rows["crater"].to_numpy()])
    return SourceReport(
        group, candidates, constraints, ranking, craters, rows.drop(columns="crater")
    )


def write_sources(path: Path, report: SourceReport) -> None:
    """Write a GeoPackage with the layers `candidates` and `constraints`.

    The rows of `constraints` are points too, so that every one shows on a map.

    Raises:
        InputError: another kind of file.
    """
    if path.suffix.lower() != ".gpkg":
        raise InputError(f"{path.name} is no GeoPackage.", "Give --out NAME.gpkg.")
    path.unlink(missing_ok=True)
    finite = report.craters.replace([np.inf, -np.inf], [1e9, -1e9])
    finite.to_file(path, layer="candidates", driver="GPKG", engine="pyogrio")
    where = report.craters.set_index("crater_id").geometry
    rows = report.rows.replace([np.inf, -np.inf], [1e9, -1e9])
    points = where.loc[rows["crater_id"]].to_numpy()
    reasons = gpd.GeoDataFrame(rows, geometry=points, crs=report.craters.crs)
    reasons.to_file(path, layer="constraints", driver="GPKG", engine="pyogrio")
