"""``cda query age``, ``csfd``, ``counts`` and ``chronologies``: crater counts and model ages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cda_db.output import format_option, show_figures, show_rows
from queries.correction_options import correction_options
from queries.region_options import RegionChoice, region_options

if TYPE_CHECKING:
    from queries.ages.model_age import ModelAge
    from queries.ages.source import CountSource

_PRESENTATIONS = ["cumulative", "differential", "r", "incremental"]

counts_option = click.option(
    "--counts",
    "counts_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Count file, .diam or .scc; needs no database.",
)
run_option = click.option("--run", "run_name", metavar="NAME", help="Craters of a run instead.")
binning_option = click.option(
    "--binning",
    default="pseudo-log",
    show_default=True,
    help="pseudo-log, root-2 or N/decade.",
)
presentation_option = click.option(
    "--presentation",
    type=click.Choice(_PRESENTATIONS),
    default="cumulative",
    show_default=True,
    help="How the plot shows the count.",
)
plot_option = click.option(
    "--plot", "plot_file", type=click.Path(path_type=Path, dir_okay=False), help="PNG, PDF or SVG."
)


@click.command()
@counts_option
@run_option
@click.option("--system", "system_name", required=True, help="See: cda query chronologies.")
@click.option(
    "--range",
    "ranges",
    multiple=True,
    required=True,
    metavar="LOW,HIGH",
    help="Diameters in km in which the count is complete; may be given several times.",
)
@click.option(
    "--method",
    type=click.Choice(["poisson", "cumulative", "differential"]),
    default="poisson",
    show_default=True,
    help="Poisson likelihood, or a fit to the binned count.",
)
@binning_option
@click.option("--resurfacing", is_flag=True, help="Correct a cumulative fit for older craters.")
@click.option("--snap", is_flag=True, help="Widen the ranges to bin edges, as Craterstats does.")
@click.option(
    "--buffered",
    is_flag=True,
    help="Count all craters that touch the line or area of --region (with --run).",
)
@click.option("--reach", default=0.5, show_default=True, help="Diameters: 0.5 where rims touch.")
@click.option("--epochs", "epochs_key", help="Name the epoch: mars-michael-2013, ...")
@click.option("--equilibrium", "equilibrium_key", help="In the plot: trask, hartmann-1984.")
@click.option("--isochrons", default="", metavar="GA,GA,...", help="In the plot, thin and grey.")
@presentation_option
@plot_option
@correction_options
@region_options
@format_option
def age(
    counts_file: Path | None,
    run_name: str | None,
    system_name: str,
    ranges: tuple[str, ...],
    method: str,
    binning: str,
    resurfacing: bool,
    snap: bool,
    buffered: bool,
    reach: float,
    epochs_key: str | None,
    equilibrium_key: str | None,
    isochrons: str,
    presentation: str,
    plot_file: Path | None,
    correct: str | None,
    correct_scale: float | None,
    region: RegionChoice,
    output_format: str,
) -> None:
    """Date a surface by its craters.

    Ages are in Ga with the ages of the 1-sigma bounds; N(1) is the density of craters of at least
    1 km on the isochron. A Poisson age is given twice: age_ga is exact; as_craterstats_ga is what
    Craterstats 3 prints for the same count, whose grid reads every N(1) 0.35 % low.

    \b
    Examples:
      cda query age --counts Pickering.scc --system mars-neukum-ivanov-2001 --range 0.2,0.7
      cda query age --counts unit.diam --system moon-neukum-1983 --range 1,10 --method cumulative \\
          --resurfacing --format json
      cda query age --run mars --circle 166.19,7.7,20 --system mars-hartmann-daubar-2016 \\
          --range 0.1,0.5 --epochs mars-michael-2013 --plot zunil.png
      cda query age --run mars --region valley.gpkg --buffered --system ni2001 --range 1,10
      cda query age --run mars --correct stored --system ni2001 --range 1,10
    """
    from queries.ages.dating import date_ranges
    from queries.ages.epochs import get_epochs
    from queries.ages.source import open_source
    from queries.ages.systems import get_equilibrium, get_system

    system = get_system(system_name)
    epochs = None if epochs_key is None else get_epochs(epochs_key)
    equilibrium = None if equilibrium_key is None else get_equilibrium(equilibrium_key)
    if epochs is not None:
        epochs.boundaries_ga(system)  # refuses another body before any work
    spans = [_pair(text) for text in ranges]
    with open_source(counts_file, run_name, region, reach if buffered else None) as opened:
        source = opened if correct is None else _corrected(opened, correct, correct_scale)
        ages = date_ranges(source, system, spans, method, binning, resurfacing, snap)
        if plot_file is not None:
            from queries.ages.plots import AgePlot, age_figure

            plot = AgePlot(
                counts=source.csfd(binning, source.plot_span(spans)),
                ages=ages,
                presentation=presentation,
                system=system,
                isochrons_ga=_numbers(isochrons),
                equilibrium=equilibrium,
                epochs=epochs,
                title=f"{source.name} · {system.name}",
            )
            age_figure(plot).savefig(plot_file, dpi=150)
    rows = []
    for found in ages:
        row = {"counts": source.name, **found.as_dict()}
        if epochs is not None:
            row["epoch"] = epochs.epoch_of(found.age_ga.value, system)
        rows.append(row if output_format == "json" else _short(row, found))
    show_rows(rows, output_format)
    if output_format == "table":
        for found in ages:
            for warning in found.warnings:
                click.echo(f"{found.range_km[0]:g}-{found.range_km[1]:g} km: {warning}", err=True)


@click.command()
@counts_option
@run_option
@click.option("--range", "span", metavar="LOW,HIGH", help="Diameters in km; a run needs them.")
@binning_option
@presentation_option
@plot_option
@region_options
@format_option
def csfd(
    counts_file: Path | None,
    run_name: str | None,
    span: str | None,
    binning: str,
    presentation: str,
    plot_file: Path | None,
    region: RegionChoice,
    output_format: str,
) -> None:
    """Bin a crater count by diameter: cumulative, differential and R values with 1-sigma bounds.

    \b
    Examples:
      cda query csfd --counts Pickering.scc
      cda query csfd --run mars --bbox 160,0,170,12 --range 0.25,16 --binning root-2 --format json
      cda query csfd --counts Pickering.scc --presentation r --plot pickering.png
    """
    from queries.ages.csfd_table import csfd_rows
    from queries.ages.source import open_source

    with open_source(counts_file, run_name, region) as source:
        binned = source.csfd(binning, None if span is None else _pair(span))
    if plot_file is not None:
        from queries.ages.plots import AgePlot, age_figure

        plot = AgePlot(counts=binned, presentation=presentation, title=source.name)
        age_figure(plot).savefig(plot_file, dpi=150)
    show_rows(csfd_rows(binned), output_format)


@click.command()
@click.option("--run", "run_name", required=True, metavar="NAME", help="The run.")
@click.option("--range", "span", required=True, metavar="LOW,HIGH", help="Diameters in km.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="FILE.diam (area, diameters) or FILE.scc (outline and centres too; needs a region).",
)
@region_options
@format_option
def counts(run_name: str, span: str, out: Path, region: RegionChoice, output_format: str) -> None:
    """Write a run's craters as a count file that Craterstats reads.

    \b
    Example:
      cda query counts --run mars --circle 166.19,7.7,20 --range 0.1,0.5 --out zunil.scc
    """
    from cda_db.errors import InputError
    from cda_db.runs import get_run
    from queries.ages.counts_io import write_diam, write_scc
    from queries.ages.of_run import run_counts
    from queries.session import reading

    writer = {".diam": write_diam, ".scc": write_scc}.get(out.suffix.lower())
    if writer is None:
        raise InputError(f"{out.name} is no .diam or .scc file.", "Name one of these two.")
    with reading() as conn:
        run = get_run(conn, run_name)
        found = run_counts(conn, run, _pair(span), region.of(run.body)).as_counts()
    writer(out, found)
    figures = {"craters": len(found.diameters_km), "area_km2": found.area_km2, "file": str(out)}
    show_figures(figures, output_format)


@click.command()
@click.option("--body", help="Only those of this body.")
@format_option
def chronologies(body: str | None, output_format: str) -> None:
    """List the chronology systems that ages can be made with.

    \b
    Example:
      cda query chronologies --body mars
    """
    from cda_db.errors import NotFoundError
    from queries.ages.systems import list_systems

    known = [s for s in list_systems() if body is None or s.body == body.strip().lower()]
    if not known:
        bodies = sorted({s.body for s in list_systems()})
        raise NotFoundError(f"No system for {body!r}.", f"Bodies: {', '.join(bodies)}.")
    rows = [
        {
            "key": s.key,
            "body": s.body,
            "name": s.name,
            "diameters_km": "{:g}-{:g}".format(*s.production.range_km),
            **(
                {
                    "aliases": s.aliases,
                    "production": s.production.reference,
                    "chronology": s.chronology.reference,
                }
                if output_format == "json"
                else {}
            ),
        }
        for s in known
    ]
    show_rows(rows, output_format)


def _corrected(source: CountSource, correct: str, scale: float | None) -> CountSource:
    from queries.ages.corrected import corrected_source

    return corrected_source(source, correct, scale)


def _short(row: dict[str, Any], age: ModelAge) -> dict[str, Any]:
    """What fits a terminal."""
    from queries.ages.age_text import format_age

    kept = {
        "range_km": "{:g}-{:g}".format(*age.range_km),
        "method": age.method + (" resurfaced" if age.resurfacing else ""),
        "n": age.n,
        "age": format_age(age.age_ga),
        "age_ga": age.age_ga.value,
        "low_ga": age.age_ga.low,
        "high_ga": age.age_ga.high,
        "n1_per_km2": age.n1_per_km2.value,
        "a0": row["a0"],
    }
    if age.as_craterstats is not None:
        kept["as_craterstats"] = format_age(age.as_craterstats)
    return kept | ({"epoch": row["epoch"]} if "epoch" in row else {})


def _pair(text: str) -> tuple[float, float]:
    from cda_db.errors import InputError

    values = _numbers(text)
    if len(values) != 2:
        raise InputError(f"--range {text!r} is not LOW,HIGH.", "Give two numbers in km: 1,10.")
    return values[0], values[1]


def _numbers(text: str) -> list[float]:
    from cda_db.errors import InputError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"{text!r} holds no numbers.", "Give numbers with commas.") from error
