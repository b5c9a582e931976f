"""``cda query sources`` and ``cda query meteorites``: the crater that a meteorite came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cda_db.output import format_option, show_figures, show_rows, to_json
from queries.crater_options import CraterChoice, crater_options, kilometres

if TYPE_CHECKING:
    from cda_db.meteorites import MeteoriteGroup
    from queries.crater_sets import CraterSet
    from queries.sources.candidates import EjectaCount, FormationAge

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_table_option = click.option(
    "--table", type=_FILE, help="Own table of meteorites instead of the shipped one."
)


@click.command()
@_table_option
@click.option("--store", is_flag=True, help="Make this the database's table.")
@click.option("--stored", is_flag=True, help="List the database's table.")
@format_option
def meteorites(table: Path | None, store: bool, stored: bool, output_format: str) -> None:
    """List meteorite groups with their ejection and crystallisation ages and the papers.

    What is stored in the database is what `cda query sources --run` goes by.

    \b
    Example:
      cda query meteorites --format json
      cda query meteorites --table mine.csv --store
    """
    from cda_db.errors import InputError
    from queries.sources.groups import meteorite_groups

    if stored and (store or table):
        raise InputError("--stored lists what the database has.", "Leave --table and --store out.")
    groups = _stored_groups() if stored else meteorite_groups(table)
    if store:
        from cda_db.connection import connect
        from cda_db.meteorites import store_groups

        with connect(role="cda_owner", application_name="cda query") as conn:
            store_groups(conn, groups)
            conn.commit()
    rows = []
    for group in groups:
        rock = group.crystallisation_ma or (None, None)
        rows.append(
            {
                "group": group.name,
                "members": group.members,
                "ejection_low_ma": group.ejection_ma[0],
                "ejection_high_ma": group.ejection_ma[1],
                "crystallisation_low_ma": rock[0],
                "crystallisation_high_ma": rock[1],
                "ejection_reference": group.ejection_reference,
                "crystallisation_reference": group.crystallisation_reference,
            }
        )
    show_rows(rows, output_format)


def _stored_groups() -> list[MeteoriteGroup]:
    from cda_db.meteorites import stored_groups
    from queries.session import reading

    with reading() as conn:
        return stored_groups(conn)


def _choose_group(run: str | None, name: str, table: Path | None) -> tuple[MeteoriteGroup, str]:
    """The group, and which table it is from: a file, else the run's database, else the shipped."""
    from queries.sources.groups import find_group, get_group

    if table is None and run is not None:
        groups = _stored_groups()
        if groups:
            return find_group(name, groups), "database"
    return get_group(name, table), table.name if table else "shipped"


@click.command()
@crater_options
@click.option("--meteorite", required=True, metavar="NAME", help="See: cda query meteorites.")
@_table_option
@click.option(
    "--primaries", "primary_text", default="3,1000", show_default=True, metavar="LOW,HIGH",
    help="Diameters in km of the candidates.",
)  # fmt: skip
@click.option("--rays", "ray_file", type=_FILE, help="What cda query rays --out wrote.")
@click.option(
    "--ages", "age_file", type=_FILE, help="CSV: crater_id, age_ma, age_low_ma, age_high_ma."
)
@click.option(
    "--ejecta", "ejecta_text", metavar="LOW,HIGH",
    help="Or count craters of these diameters (km) on every ejecta blanket; needs --system.",
)  # fmt: skip
@click.option("--system", "system_name", help="Chronology: see cda query chronologies.")
@click.option("--units", "unit_file", type=_FILE, help="Polygons: age_low_ma, age_high_ma.")
@click.option("--composition", "raster_file", type=_FILE, help="Raster; needs --rock.")
@click.option("--rock", metavar="MEAN,SIGMA,UNIT", help="What the rock has of it.")
@click.option(
    "--simulations", default=999, show_default=True,
    help="Planets without a source, with whose best craters the first is compared.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of these planets.")
@click.option("--top", default=10, show_default=True, help="Candidates printed.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="GeoPackage with the layers candidates and constraints.",
)  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG, PDF or SVG.")
@format_option
def sources(
    craters: CraterChoice,
    meteorite: str,
    table: Path | None,
    primary_text: str,
    simulations: int,
    seed: int,
    top: int,
    out: Path | None,
    plot: Path | None,
    output_format: str,
    **evidence: Any,
) -> None:
    """Rank the craters that a meteorite group may come from, with the reasons.

    What is not given stays unknown, counts nothing, and is listed with what would settle it. The
    first is reported as the source only where few planets without a source have one as good.

    \b
    Example:
      cda query sources --run mars --meteorite depleted-shergottites --rays rays.gpkg \\
          --ejecta 0.05,0.5 --system "Mars, Hartmann & Daubar (2016)" --plot page.png
    """
    import numpy as np

    from queries.sources.report import source_report, write_sources

    group, group_table = _choose_group(craters.run, meteorite, table)
    primaries = craters.read(*kilometres(primary_text, "--primaries"))
    candidates, rock = _gather(craters, primaries, **evidence)
    rng = np.random.default_rng(seed)
    report = source_report(candidates, group, primaries.body, rng, rock, simulations)
    if out is not None:
        write_sources(out, report)
    if plot is not None:
        from queries.sources.picture import draw_sources

        draw_sources(report, primaries.body).savefig(plot, dpi=150)
    first = report.craters.drop(columns="geometry").head(top)
    reasons = report.rows[report.rows["crater_id"].isin(first["crater_id"])]
    if output_format == "json":
        head = {**report.figures(), "meteorite_table": group_table}
        tables = {"first": first.to_dict("records"), "constraints": reasons.to_dict("records")}
        click.echo(to_json({**head, **tables}))
        return
    show_figures({**report.figures(), "meteorite_table": group_table})
    show_rows(first.to_dict("records"))
    unknown = report.rows[report.rows["verdict"] == "unknown"].drop_duplicates("name")
    for row in unknown.to_dict("records"):
        click.echo(f"unknown: {row['name']}; {row['settles']} would settle it")


def _gather(
    craters: CraterChoice,
    primaries: CraterSet,
    *,
    ray_file: Path | None,
    age_file: Path | None,
    ejecta_text: str | None,
    system_name: str | None,
    unit_file: Path | None,
    raster_file: Path | None,
    rock: str | None,
) -> tuple[Any, Any]:
    """Candidates and the rock's composition from what was given."""
    import numpy as np

    from queries.sources import layers
    from queries.sources.candidates import Candidates

    body, where = primaries.body, (primaries.lon_deg, primaries.lat_deg)
    named = {"launch_size": primaries.origin}
    unknown = np.full(len(primaries), np.nan)
    ray_p = unknown if ray_file is None else layers.ray_p_values(ray_file, primaries.crater_id)
    ages = _read_ages(craters, primaries, age_file, ejecta_text, system_name)
    low = high = values = None
    if unit_file is not None:
        low, high = layers.unit_ages(unit_file, body, *where)
    if raster_file is not None:
        values = layers.raster_values(raster_file, body, *where)
    files = {"rays": ray_file, "ground_age": unit_file, "composition": raster_file}
    named |= {name: path.name for name, path in files.items() if path is not None}
    named["formation_age"] = age_file.name if age_file else f"{ejecta_text} km, {system_name}"
    candidates = Candidates(
        primaries.crater_id,
        *where,
        primaries.diameter_m / 1000.0,
        ray_p,
        ages,
        low,
        high,
        values,
        named,
    )
    return candidates, _read_rock(rock, raster_file)


def _read_ages(
    craters: CraterChoice,
    primaries: CraterSet,
    age_file: Path | None,
    ejecta_text: str | None,
    system_name: str | None,
) -> dict[int, EjectaCount | FormationAge]:
    from cda_db.errors import InputError
    from queries.sources.layers import given_ages

    ages: dict[int, EjectaCount | FormationAge] = {}
    if ejecta_text is not None:
        if system_name is None:
            raise InputError("--ejecta needs a chronology.", "Give --system NAME.")
        from queries.ages.systems import get_system
        from queries.rays.counts import SmallCraters
        from queries.sources.ejecta import ejecta_counts

        low_m, high_m = kilometres(ejecta_text, "--ejecta")
        small = craters.read(low_m, high_m)
        ages |= ejecta_counts(
            SmallCraters(small.lon_deg, small.lat_deg, small.diameter_m),
            small.coverage,
            primaries.lon_deg,
            primaries.lat_deg,
            primaries.diameter_m,
            primaries.body.radius_m,
            get_system(system_name),
            (low_m / 1000.0, high_m / 1000.0),
        )
    if age_file is not None:
        ages |= given_ages(age_file, primaries.crater_id)
    return ages


def _read_rock(text: str | None, raster: Path | None) -> Any:
    from cda_db.errors import InputError
    from queries.sources.candidates import Composition

    if (text is None) != (raster is None):
        raise InputError("--composition and --rock belong together.", "Give both or neither.")
    if text is None:
        return None
    try:
        mean, sigma, unit = text.split(",", 2)
        return Composition(float(mean), float(sigma), unit)
    except ValueError as error:
        raise InputError(
            f"--rock {text!r} is not MEAN,SIGMA,UNIT.", "E.g. 18.5,1.2,wt%."
        ) from error
