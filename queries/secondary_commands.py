"""``cda query secondaries`` and ``cda query randomness``: craters closer together than chance."""

from __future__ import annotations

from pathlib import Path

import click

from cda_db.output import format_option, show_figures, show_rows
from queries.crater_options import CraterChoice, crater_options, kilometres
from queries.region_options import RegionChoice, region_options

_range_option = click.option(
    "--range", "range_text", required=True, metavar="LOW,HIGH",
    help="Diameters in km, LOW <= D < HIGH: those in which the count is complete.",
)  # fmt: skip
_seed_option = click.option("--seed", default=0, show_default=True, help="Of the random draws.")


@click.command()
@crater_options
@_range_option
@click.option("--q", default=0.05, show_default=True, help="False-discovery rate of the flags.")
@click.option("--asci", "with_asci", is_flag=True, help="Add the column asci: the older rule.")
@_seed_option
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help=".gpkg, .parquet or .csv."
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG, PDF or SVG.")
@region_options
@format_option
def secondaries(
    craters: CraterChoice,
    range_text: str,
    q: float,
    with_asci: bool,
    seed: int,
    out: Path | None,
    plot: Path | None,
    region: RegionChoice,
    output_format: str,
) -> None:
    """Flag craters that stand closer together than chance: candidates for secondaries.

    Each crater gets the p-value of its Voronoi cell against the local background. A flag means
    clustered, not secondary.

    \b
    Example:
      cda query secondaries --run mars --range 0.1,0.5 --out clustered.gpkg --plot clustered.png
      cda query secondaries --craters moon.csv --body moon --imaged=-60,60 --range 5,20
    """
    import numpy as np

    from queries.secondaries.asci import asci
    from queries.secondaries.report import draw_secondaries, secondary_report, write_table

    chosen = craters.read(*kilometres(range_text, "--range"), region)
    report = secondary_report(chosen, q, seed)
    if with_asci:
        rng = np.random.default_rng(seed)
        where = chosen.lon_deg, chosen.lat_deg, chosen.diameter_m
        report.craters["asci"] = asci(*where, chosen.coverage, rng)
        report.figures["asci_flagged"] = int(report.craters["asci"].sum())
    if out is not None:
        write_table(out, report.craters, "clustered")
    if plot is not None:
        draw_secondaries(chosen, report).savefig(plot, dpi=150)
    show_figures(report.figures, output_format)


@click.command()
@crater_options
@_range_option
@click.option("--simulations", default=999, show_default=True, help="Random populations.")
@_seed_option
@region_options
@format_option
def randomness(
    craters: CraterChoice,
    range_text: str,
    simulations: int,
    seed: int,
    region: RegionChoice,
    output_format: str,
) -> None:
    """Is the area as a whole random? M2CND and SDAA against random populations on its ground.

    \b
    Example:
      cda query randomness --run mars --range 1,2 --circle 166.19,7.7,200
    """
    import numpy as np

    from cda_db.output import progress
    from queries.secondaries.randomness import randomness as test

    chosen = craters.read(*kilometres(range_text, "--range"), region)
    with progress("random populations", simulations) as advance:
        rows = test(
            chosen.lon_deg,
            chosen.lat_deg,
            chosen.coverage,
            np.random.default_rng(seed),
            simulations=simulations,
            progress=advance,
        )
    show_rows([{"craters": len(chosen), **vars(row)} for row in rows], output_format)
