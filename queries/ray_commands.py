"""``cda query rays``: which craters of launch size throw rays."""

from __future__ import annotations

from pathlib import Path

import click

from cda_db.output import format_option, show_figures, show_rows, to_json
from queries.crater_options import CraterChoice, crater_options, kilometres

_SHOWN = ("rank", "crater_id", "lon", "lat", "diameter_m", "t", "p", "q", "rays", "pointing_p")


@click.command()
@crater_options
@click.option(
    "--small", "small_text", required=True, metavar="LOW,HIGH",
    help="Diameters in km of the small craters: those in which the catalogue is complete.",
)  # fmt: skip
@click.option(
    "--primaries", "primary_text", default="3,1000", show_default=True, metavar="LOW,HIGH",
    help="Diameters in km of the candidates.",
)  # fmt: skip
@click.option(
    "--field", type=click.Choice(["near", "far", "basin"]), default="near", show_default=True,
    help="2-320 radii; 16-320 radii; 2-8 radii for basins.",
)  # fmt: skip
@click.option("--controls", default=10_000, show_default=True, help="Random control sites.")
@click.option("--no-pointing", is_flag=True, help="Leave the second witness (clusters) out.")
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the controls.")
@click.option("--top", default=10, show_default=True, help="Candidates printed.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="GeoPackage with the layers primaries and rays.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False),
    help="Rose and polar map of --crater, else of the first.",
)  # fmt: skip
@click.option("--crater", "crater_id", type=int, help="The candidate that --plot shows.")
@format_option
def rays(
    craters: CraterChoice,
    small_text: str,
    primary_text: str,
    field: str,
    controls: int,
    no_pointing: bool,
    threads: int,
    seed: int,
    top: int,
    out: Path | None,
    plot: Path | None,
    crater_id: int | None,
    output_format: str,
) -> None:
    """Search every crater of launch size for rays of small craters.

    p is the chance of such a contrast at control sites of like ground; the measured false-alarm
    rate on held-out controls is printed.

    \b
    Example:
      cda query rays --run mars --small 0.05,0.5 --out rays.gpkg --plot first.png
      cda query rays --craters mars.csv --body mars --imaged whole --small 0.1,1 --format json
    """
    import numpy as np

    from cda_db.output import progress
    from queries.rays.report import ray_report, write_rays

    small = craters.read(*kilometres(small_text, "--small"))
    primaries = craters.read(*kilometres(primary_text, "--primaries"))
    with progress("sites", len(primaries) + controls) as advance:
        report = ray_report(
            small,
            primaries,
            np.random.default_rng(seed),
            field=field,
            controls=controls,
            pointing=not no_pointing,
            threads=threads,
            progress=advance,
        )
    if out is not None:
        write_rays(out, report)
    if plot is not None:
        from queries.rays.report import candidate_figure

        candidate_figure(report, primaries, small, crater_id).savefig(plot, dpi=150)
    shown = [name for name in _SHOWN if name in report.primaries]
    rows = report.primaries[shown].head(top).to_dict("records")
    described = report.rays.drop(columns="geometry").to_dict("records")
    if output_format == "json":
        click.echo(to_json({**report.figures, "first": rows, "rays": described}))
        return
    show_figures(report.figures)
    show_rows(rows)
