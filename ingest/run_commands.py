"""``cda ingest run``: make runs and add scenes to them."""

from __future__ import annotations

import click

from cda_db.output import format_option, show_figures, show_rows


@click.group()
def run() -> None:
    """Runs: a detector with its configuration over scenes."""


@run.command()
@click.argument("name")
@click.argument("scenes", nargs=-1, metavar="[SCENE...]")
@click.option("--body", help="The planet; may be left out where scenes are named.")
@click.option("--all-scenes", is_flag=True, help="Every registered scene of the body.")
@click.option("--model", "model_name", help="Detector; the shipped one unless named.")
@click.option("--tile", "tile_px", type=int, default=416, show_default=True, help="Tile side, px.")
@click.option("--overlap", "overlap_px", type=int, default=96, show_default=True,
              help="Overlap of tiles, px of their level; at the coarsest half a tile.")  # fmt: skip
@click.option("--levels", default="0.25,1,8,32", show_default=True,
              help="Down-sampling factors; below 1 up-samples.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1), help="Lowest score; the model's own.")
@click.option("--iou", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.3,
              show_default=True, help="Circles that overlap this much are one crater.")  # fmt: skip
@click.option("--precision", type=click.Choice(["f32", "bf16", "int8", "f16"]), default="f32",
              show_default=True, help="Arithmetic; int8: quantised, f16: GPUs.")  # fmt: skip
@click.option("--neighbours", is_flag=True,
              help="Tiles go on over the edges into scenes of the same grid.")  # fmt: skip
@click.option("--against-light", type=click.FloatRange(0), default=1.5, show_default=True,
              help="How much hills lose by a known light; 0: searched as if unknown.")  # fmt: skip
@click.option("--extend", is_flag=True,
              help="Add the scenes to a run that exists with this very configuration.")  # fmt: skip
@format_option
def create(
    name: str,
    scenes: tuple[str, ...],
    body: str | None,
    all_scenes: bool,
    model_name: str | None,
    tile_px: int,
    overlap_px: int,
    levels: str,
    threshold: float | None,
    iou: float,
    precision: str,
    neighbours: bool,
    against_light: float,
    extend: bool,
    output_format: str,
) -> None:
    """Make a run NAME over SCENEs (names, as `cda ingest scenes` printed them, or @FILE).

    Model and configuration never change afterwards; scenes may be added.

    \b
    Example:
      cda ingest run create zunil --body mars --all-scenes --levels 0.25,1,8
    """
    from ingest.plan import RunRequest, plan_run

    request = RunRequest(
        name=name,
        body=body,
        model=model_name,
        tile_px=tile_px,
        overlap_px=overlap_px,
        factors=levels,
        threshold=threshold,
        iou=iou,
        precision=precision,
        neighbours=neighbours,
        against_light=against_light,
        extend=extend,
    )
    show_figures(plan_run(request, list(scenes), all_scenes=all_scenes), output_format)


@run.command()
@click.argument("name")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@format_option
def add(name: str, scenes: tuple[str, ...], output_format: str) -> None:
    """Add SCENEs (names, or @FILE) to run NAME; those that it has already stay as they are.

    \b
    Example:
      cda ingest run add zunil themis_dayir_elysium_43_28_n6
    """
    from ingest.plan import extend_run

    show_figures(extend_run(name, list(scenes)), output_format)


@run.command(name="list")
@format_option
def list_runs(output_format: str) -> None:
    """Every run with its state.

    \b
    Example:
      cda ingest run list
    """
    from cda_db.connection import connect
    from cda_db.runs import all_runs, run_status

    with connect(role="cda_reader") as conn:
        rows = [run_status(conn, found) for found in all_runs(conn)]
    show_rows(rows, output_format)
