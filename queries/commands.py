"""``cda query``: the catalogue in, science out.

The group's own commands are here and in ``queries.density_commands``; a science module brings
its own as every click command in its ``queries/*_commands.py``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

from cda_db.output import format_option, show_rows, to_json
from queries.region_options import RegionChoice, region_options

# Modules whose click commands are mounted; each imports click and the standard library only.
_MODULES = (
    "queries.density_commands",
    "queries.age_commands",
    "queries.secondary_commands",
    "queries.ray_commands",
    "queries.source_commands",
)


class QueryGroup(click.Group):
    """A group that also has the commands of ``_MODULES``, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted({*super().list_commands(ctx), *_mounted()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of the group's own commands or of a science module's."""
        return super().get_command(ctx, cmd_name) or _mounted().get(cmd_name)


def _mounted() -> dict[str, click.Command]:
    """Commands of the science modules that are there: those in no group of their module."""
    found: dict[str, click.Command] = {}
    for name in _MODULES:
        if find_spec(name) is None:
            continue
        things = vars(import_module(name)).values()
        commands = [thing for thing in things if isinstance(thing, click.Command)]
        nested = {
            id(command)
            for group in commands
            if isinstance(group, click.Group)
            for command in group.commands.values()
        }
        found |= {c.name: c for c in commands if c.name and id(c) not in nested}
    return found


run_option = click.option("--run", "run_name", required=True, metavar="NAME", help="The run.")


@click.group(cls=QueryGroup)
def query() -> None:
    """Craters, densities, pictures, ages and their sources, from the catalogue of a run."""


@query.command()
@run_option
@click.option("--min-diameter", "min_km", type=float, help="Smallest diameter, km.")
@click.option("--max-diameter", "max_km", type=float, help="Diameters below this, km.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout."
)
@click.option(
    "--format", "file_format", type=click.Choice(["gpkg", "parquet", "csv", "json"]),
    help="Format; by default the file's suffix, json on stdout.",
)  # fmt: skip
@region_options
def craters(
    run_name: str,
    min_km: float | None,
    max_km: float | None,
    out: Path | None,
    file_format: str | None,
    region: RegionChoice,
) -> None:
    """Write a run's craters with the body's CRS.

    \b
    Example:
      cda query craters --run mars --bbox 160,0,170,12 --min-diameter 1 --out craters.gpkg
      cda query craters --run mars --circle 166.19,7.7,100 --format json
    """
    from cda_db.errors import InputError
    from cda_db.runs import get_run
    from queries.craters import craters_json, run_craters, write_craters
    from queries.session import reading

    if out is None and file_format not in (None, "json"):
        raise InputError(f"{file_format} needs a file.", "Give --out FILE.")
    with reading() as conn:
        run = get_run(conn, run_name)
        found = run_craters(
            conn,
            run,
            region=region.of(run.body),
            min_diameter_m=None if min_km is None else min_km * 1000,
            max_diameter_m=None if max_km is None else max_km * 1000,
        )
    if out is None:
        click.echo(craters_json(found, run.body))
        return
    write_craters(out, found, run.body, file_format)
    click.echo(f"{len(found)} craters: {out}")


@query.command()
@click.argument("detection_id", type=int)
@format_option
def provenance(detection_id: int, output_format: str) -> None:
    """Tell where a crater or detection comes from: pixels, file, model, run, batch, rivals.

    \b
    Example:
      cda query provenance 71303171
      cda query provenance 71303171 --format json
    """
    from queries.provenance import crater_provenance, provenance_text
    from queries.session import reading

    with reading() as conn:
        chain = crater_provenance(conn, detection_id)
    click.echo(to_json(chain) if output_format == "json" else provenance_text(chain))


@query.command()
@click.argument("scenes", nargs=-1)
@run_option
@click.option("--all", "every", is_flag=True, help="All scenes of the run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for PNGs.",
)
@click.option(
    "--verdict", "verdicts", multiple=True, type=click.Choice(["kept", "suppressed", "cut"]),
    default=("kept", "suppressed", "cut"), show_default=True, help="Which detections to draw.",
)  # fmt: skip
@format_option
def annotate(
    scenes: tuple[str, ...],
    run_name: str,
    every: bool,
    out: Path,
    verdicts: tuple[str, ...],
    output_format: str,
) -> None:
    """Draw scenes with the craters found on them.

    \b
    Example:
      cda query annotate --run mars --out pictures themis_dayir_elysium_43_28_n6
      cda query annotate --run mars --out pictures --all --verdict kept
    """
    from cda_db import catalogue
    from cda_db.errors import InputError
    from cda_db.output import progress
    from cda_db.runs import get_run
    from queries.annotate import annotate_scene, write_picture
    from queries.session import reading

    if bool(scenes) == every:
        raise InputError("Which scenes?", "Name some, or give --all.")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    with reading() as conn:
        run = get_run(conn, run_name)
        names = catalogue.scenes(conn, run)["name"].tolist() if every else list(scenes)
        with progress("pictures", len(names)) as advance:
            for name in names:
                path = out / f"{name}.png"
                write_picture(path, annotate_scene(conn, run, name, verdicts=verdicts))
                rows.append({"scene": name, "picture": str(path)})
                advance()
    show_rows(rows, output_format)
