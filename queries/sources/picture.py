"""One page for one meteorite group: where the candidates lie, and why the first are first."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cda_db.bodies import Body
from queries.sources.ranking import NAMES
from queries.sources.report import SourceReport

_COLOURS = {
    "launch_size": "#7f7f7f",
    "rays": "#d55e00",
    "formation_age": "#0072b2",
    "ground_age": "#009e73",
    "composition": "#cc79a7",
}


def draw_sources(report: SourceReport, body: Body, shown: int = 10) -> Figure:
    """Map of all candidates (above), log likelihood ratios of the first ones (below)."""
    figure = Figure(figsize=(8.3, 10.5), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(1.0, 1.25))
    _draw_map(above, report, shown)
    _draw_reasons(below, report, shown)
    group = report.group
    rock = group.crystallisation_ma
    stone = "unknown crystallisation" if rock is None else f"crystallised {_span(rock)} Ma ago"
    figure.suptitle(
        f"{group.name} ({group.members})\nlaunched {_span(group.ejection_ma)} Ma ago, {stone}:"
        f" {len(report.candidates):,} candidates on {body.name.capitalize()}",
        fontsize=11,
    )
    return figure


def _span(ages: tuple[float, float]) -> str:
    return "-".join(f"{age:g}" for age in dict.fromkeys(ages))


def _draw_map(axes: Any, report: SourceReport, shown: int) -> None:
    table = report.craters
    size = np.clip(table["diameter_km"].to_numpy() / 2.0, 1.0, 60.0)
    score = np.clip(table["log_ratio"].to_numpy(), -6.0, None)
    rest = slice(None, None, -1)
    drawn = axes.scatter(
        table["lon"].to_numpy()[rest],
        table["lat"].to_numpy()[rest],
        s=size[rest],
        c=score[rest],
        cmap="cividis",
        lw=0,
    )
    first = table.head(shown)
    axes.scatter(first["lon"], first["lat"], s=70, fc="none", ec="#d55e00", lw=1.2)
    for place, lon, lat in zip(first["rank"], first["lon"], first["lat"], strict=True):
        axes.annotate(str(place), (lon, lat), xytext=(5, 5), textcoords="offset points", fontsize=8)
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.85, pad=0.01)
    bar.set_label("log likelihood ratio, all evidence (below -6: -6)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal")
    axes.set_xticks(np.arange(-180, 181, 60))
    axes.set_yticks(np.arange(-90, 91, 30))
    axes.grid(lw=0.3, color="#bbbbbb")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("longitude, degrees east", fontsize=8)
    axes.set_ylabel("latitude, degrees", fontsize=8)


def _draw_reasons(axes: Any, report: SourceReport, shown: int) -> None:
    first = report.craters.head(shown)
    place = np.arange(len(first))
    right, left = np.zeros(len(first)), np.zeros(len(first))
    for name in NAMES:
        values = np.nan_to_num(first[f"lr_{name}"].to_numpy(), neginf=-20.0)
        more, less = np.maximum(values, 0.0), np.minimum(values, 0.0)
        label = name.replace("_", " ")
        axes.barh(place, more, left=right, height=0.62, color=_COLOURS[name], label=label)
        axes.barh(place, less, left=left, height=0.62, color=_COLOURS[name])
        right, left = right + more, left + less
    total = first["log_ratio"].to_numpy()
    axes.errorbar(
        total,
        place,
        xerr=[total - first["lowest"].to_numpy(), first["highest"].to_numpy() - total],
        fmt="D",
        ms=4,
        color="k",
        lw=0.9,
        capsize=3,
        label="sum, and its range if the unknown were known",
    )
    axes.axvline(0.0, color="k", lw=0.8)
    names = [
        f"{row['rank']}. crater {row['crater_id']}\n"
        f"{row['diameter_km']:.3g} km, posterior {row['posterior']:.2g}"
        for row in first.drop(columns="geometry").to_dict("records")
    ]
    axes.set_yticks(place, names, fontsize=7.5)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(
        "log likelihood ratio: source against a random crater of launch size", fontsize=9
    )
    verdict = report.ranking.reported
    outcome = (
        "no crater is reported"
        if verdict is None
        else f"reported: crater {report.candidates.crater_id[verdict]}"
    )
    axes.set_title(
        f"{outcome}; none of these: {report.ranking.posterior_none:.2g}; a first as good without"
        f" any source: {report.ranking.chance:.2g}",
        fontsize=9,
        loc="left",
    )
    axes.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.42, -0.1), ncols=3)
