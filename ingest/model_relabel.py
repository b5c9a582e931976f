"""``cda model relabel``: a training folder with better labels."""

from __future__ import annotations

from pathlib import Path

import click

from cda_db.output import format_option, show_figures
from ingest.model_options import folder, levels_option, threads_option


@click.command()
@click.option("--data", required=True, type=folder, help="YOLO folder; its train split is read.")
@click.option("--teacher", default=None, help="Model whose finds become labels; none otherwise.")
@click.option("--score", default=0.4, show_default=True, help="Least score of such a find.")
@click.option("--small", type=(float, float), metavar="PX SCORE",
              help="Least score of finds smaller than PX, where it is another.")  # fmt: skip
@click.option("--min-px", default=4.0, show_default=True, help="Smallest such find.")
@click.option(
    "--box-scale",
    default="",
    metavar="PX:FACTOR,...",
    help="Scale the boxes there are, by size; or one FACTOR for all.",
)
@click.option(
    "--against-light",
    default=0.3,
    show_default=True,
    help="Largest slope of a find against the light of its picture's craters; hills have more.",
)
@click.option("--exclude", multiple=True, help="Stem of an image to leave out; repeatable.")
@click.option("--holdout", default=0.1, show_default=True, help="As in training: gets no finds.")
@levels_option
@threads_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@format_option
def relabel(
    data: Path,
    teacher: str | None,
    score: float,
    small: tuple[float, float] | None,
    min_px: float,
    box_scale: str,
    against_light: float,
    exclude: tuple[str, ...],
    holdout: float,
    levels: str,
    threads: int,
    out: Path,
    output_format: str,
) -> None:
    """Copy a training folder with a teacher's finds added and generous boxes drawn in.

    Give the --exclude and --holdout of the training that follows: held-out pictures get no finds.

    \b
    Example:
      cda model relabel --data ../shared/data/mars_themis_yolo --exclude crater84 \\
        --teacher runs/first --out runs/labels/mars_themis_yolo
      cda model relabel --data ../shared/data/moon_nac_yolo --box-scale 10:0.74,48:0.92 \\
        --out runs/labels/moon_nac_yolo
    """
    from ingest.detector_files import find_model
    from ingest.training.relabel import Relabel, parse_size_factors
    from ingest.training.relabel import relabel as run
    from ingest.training.scan import Scan, factors_of

    how = Scan(factors_of(levels))
    factors = parse_size_factors(box_scale)
    rule = Relabel(
        factors,
        score,
        small,
        min_px,
        against_light=against_light,
        exclude=exclude,
        holdout=holdout,
        how=how,
    )
    record = run(data, out, rule, find_model(teacher) if teacher else None, threads)
    show_figures({key: value for key, value in record.items() if key != "rule"}, output_format)
