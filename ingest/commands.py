"""``cda ingest``: scenes, runs, work, catalogue."""

from __future__ import annotations

import click

from cda_db.output import format_option, progress, show_figures, show_rows
from ingest.run_commands import run
from ingest.scene_commands import georeference, scenes


@click.group()
def ingest() -> None:
    """Pictures in: scenes, runs, workers, catalogue."""


ingest.add_command(scenes)
ingest.add_command(georeference)
ingest.add_command(run)

_scenes_option = click.option(
    "--scenes", multiple=True, metavar="NAME|@FILE",
    help="Only batches of these scenes; @FILE holds a name a line. Repeatable.",
)  # fmt: skip
_run_option = click.option("--run", "run_name", required=True, metavar="NAME", help="The run.")


@ingest.command()
@_run_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes at once on this machine.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True,
              help="CPU threads of each worker's detector.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda|cuda:N",
              help="cuda: torch on a GPU (extra 'train').")  # fmt: skip
@click.option("--batch", "batch_id", type=int, metavar="ID", help="Only this batch.")
@_scenes_option
@click.option("--lease", "lease_s", type=click.FloatRange(1), default=60.0, show_default=True,
              help="Seconds after which a silent worker's batch is taken over.")  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Leave while other workers still hold batches.")
@click.option("--no-suppress", is_flag=True, help="Leave the catalogue to `cda ingest suppress`.")
@format_option
def work(
    run_name: str,
    workers: int,
    threads: int,
    device: str,
    batch_id: int | None,
    scenes: tuple[str, ...],
    lease_s: float,
    no_wait: bool,
    no_suppress: bool,
    output_format: str,
) -> None:
    """Detect craters: claim batches of a run until none is left, then make the catalogue.

    Start it on as many machines as there are, against one database; kill it at any time and run
    it again. A login of the ingest role only works; one of the owner role also brings the
    catalogue up to date when the last batch is done.

    \b
    Examples:
      cda ingest work --run zunil --workers 2
      cda ingest work --run zunil --batch 17
      cda ingest work --run mars --scenes @groups/0007.txt --no-suppress
    """
    from cda_db.connection import connect
    from ingest.crew import run_crew
    from ingest.finish import make_catalogue, may_own, n_open
    from ingest.plan import expand_names
    from ingest.worker import Work

    only = tuple(expand_names(scenes)) or None
    task = Work(run_name, threads, batch_id, lease_s, wait=not no_wait, scenes=only,
                device=device)  # fmt: skip
    with connect(role="cda_ingest") as conn:
        total = n_open(conn, task)
    with progress("Batches", total) as advance:
        counts = run_crew(task, workers, lambda _event: advance())
    figures: dict[str, object] = {"run": run_name, **counts}
    if not no_suppress and may_own():
        figures |= make_catalogue(run_name, workers=workers)
    show_figures(figures, output_format)
    if counts["failed"]:
        click.echo(f"{counts['failed']} batches failed: see `cda ingest status`.", err=True)
        raise SystemExit(4)


@ingest.command()
@_run_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Connections at once.")  # fmt: skip
@click.option("--rebuild", is_flag=True, help="Decide everything again.")
@format_option
def suppress(run_name: str, workers: int, rebuild: bool, output_format: str) -> None:
    """Keep one crater each: bring a run's catalogue up to date with its finished batches.

    Only what new or repeated batches touch is decided again; the catalogue is the same as from
    nothing. Ends with the density roll-up.

    \b
    Example:
      cda ingest suppress --run zunil --workers 2
    """
    from ingest.finish import make_catalogue

    show_figures(make_catalogue(run_name, workers=workers, rebuild=rebuild), output_format)


@ingest.command()
@_run_option
@format_option
def status(run_name: str, output_format: str) -> None:
    """How far a run is, and why batches failed.

    \b
    Example:
      cda ingest status --run zunil
    """
    from cda_db.connection import connect
    from cda_db.runs import failed_batches, get_run, run_status

    with connect(role="cda_reader") as conn:
        found = get_run(conn, run_name)
        figures = run_status(conn, found)
        failed = failed_batches(conn, found)
    if output_format == "json":
        show_figures({**figures, "failures": failed}, "json")
        return
    show_figures(figures)
    show_rows(failed)


@ingest.command()
@click.option("--batch", "batch_id", type=int, metavar="ID", help="This batch.")
@click.option("--run", "run_name", metavar="NAME", help="Batches of this run.")
@_scenes_option
@click.option("--failed", is_flag=True, help="Only those that failed.")
@format_option
def repeat(
    batch_id: int | None,
    run_name: str | None,
    scenes: tuple[str, ...],
    failed: bool,
    output_format: str,
) -> None:
    """Delete batches' detections and open them again; `cda ingest work` then does them anew.

    One batch, or a run's batches: those of some scenes, those that failed.

    \b
    Examples:
      cda ingest repeat --batch 17
      cda ingest repeat --run mars --failed
      cda ingest repeat --run mars --scenes @groups/0007.txt
    """
    from ingest.plan import expand_names, repeat_batches

    if (batch_id is None) == (run_name is None):
        raise click.UsageError("Give --batch ID, or --run NAME with --scenes or --failed.")
    if batch_id is not None and (scenes or failed):
        raise click.UsageError("--scenes and --failed go with --run.")
    if run_name is not None and not (scenes or failed):
        raise click.UsageError("A whole run is not repeated: make another one.")
    figures = repeat_batches(batch_id, run_name, expand_names(scenes), failed=failed)
    show_figures(figures, output_format)


@ingest.command()
@_run_option
@click.option("--out", "outs", multiple=True, type=click.Path(dir_okay=False), metavar="FILE",
              help="Write .csv (every attempt) or .png (a Gantt chart). Repeatable.")  # fmt: skip
@format_option
def timeline(run_name: str, outs: tuple[str, ...], output_format: str) -> None:
    """Who worked when on what: every attempt of a run's batches, and what each worker did.

    \b
    Examples:
      cda ingest timeline --run zunil
      cda ingest timeline --run zunil --out trace.csv --out timeline.png
    """
    from cda_db.connection import connect
    from cda_db.runs import get_run
    from cda_db.timeline import attempts
    from ingest.timeline import draw, summary

    with connect(role="cda_reader") as conn:
        found = attempts(conn, get_run(conn, run_name))
    for out in outs:
        if out.lower().endswith(".csv"):
            found.to_csv(out, index=False)
        else:
            draw(found, out)
    show_rows(summary(found), output_format)
