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

_run_option = click.option("--run", "run_name", required=True, metavar="NAME", help="The run.")


@ingest.command()
@_run_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes at once on this machine.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True,
              help="CPU threads of each worker's detector.")  # fmt: skip
@click.option("--batch", "batch_id", type=int, metavar="ID", help="Only this batch.")
@click.option("--lease", "lease_s", type=click.FloatRange(1), default=60.0, show_default=True,
              help="Seconds after which a silent worker's batch is taken over.")  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Leave while other workers still hold batches.")
@click.option("--no-suppress", is_flag=True, help="Leave the catalogue to `cda ingest suppress`.")
@format_option
def work(
    run_name: str,
    workers: int,
    threads: int,
    batch_id: int | None,
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
    """
    from cda_db.connection import connect
    from ingest.crew import run_crew
    from ingest.finish import make_catalogue, may_own, n_open
    from ingest.worker import Work

    task = Work(run_name, threads, batch_id, lease_s, wait=not no_wait)
    with connect(role="cda_ingest") as conn:
        total = n_open(conn, run_name, batch_id)
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
@click.option("--batch", "batch_id", type=int, required=True, metavar="ID", help="The batch.")
@format_option
def repeat(batch_id: int, output_format: str) -> None:
    """Delete a batch's detections and open it again; `cda ingest work` then does it anew.

    \b
    Example:
      cda ingest repeat --batch 17
    """
    from cda_db.batches import repeat_batch
    from cda_db.connection import connect

    with connect(role="cda_owner") as conn:
        deleted = repeat_batch(conn, batch_id)
    show_figures({"batch": batch_id, "detections_deleted": deleted}, output_format)
