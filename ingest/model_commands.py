"""``cda model``: train, evaluate, export, list and show detectors."""

from __future__ import annotations

from pathlib import Path

import click

from cda_db.output import format_option, show_figures, show_rows
from ingest.model_options import folder, levels_option, threads_option
from ingest.model_training import dataset, export, train


@click.group()
def model() -> None:
    """Detectors: train, evaluate, export, list, show."""


for command in (train, dataset, export):
    model.add_command(command)


@model.command("list")
@format_option
def list_models(output_format: str) -> None:
    """List the detectors that come with the project.

    \b
    Example:
      cda model list
    """
    from ingest.detector_files import find_model, shipped_models

    rows = []
    for name in shipped_models():
        found = find_model(name)
        rows.append(
            {
                "name": name,
                "default": bool(found.card.get("default")),
                "architecture": found.card["architecture"],
                "threshold": found.card["threshold"],
                "diameter_factor": found.card["diameter_factor"],
                "sha256": found.sha256.hex()[:12],
            }
        )
    show_rows(rows, output_format)


@model.command()
@click.argument("name", required=False)
@format_option
def show(name: str | None, output_format: str) -> None:
    """Show a detector's card: data, recipe, figures, calibration. Without NAME the default's.

    \b
    Example:
      cda model show
      cda model show runs/mine --format json
    """
    from ingest.detector_files import default_model_name, find_model

    card = find_model(name or default_model_name()).card
    if output_format == "table":
        card = {key: value for key, value in card.items() if not isinstance(value, dict | list)}
    show_figures(card, output_format)


@model.command()
@click.option("--images", required=True, type=folder)
@click.option(
    "--labels", required=True, type=folder, help="YOLO .txt or .csv of corners, by image name."
)
@click.option("--model", "name", default=None, help="Name or folder; the default model otherwise.")
@click.option("--annotators", type=folder, default=None, help="CSV of people's own boxes.")
@click.option("--threshold", type=float, default=None, help="Score; the card's otherwise.")
@click.option("--iou", default=0.3, show_default=True, help="Least box IoU of a match.")
@click.option("--min-px", default=10.0, show_default=True, help="Smaller objects are ignored.")
@levels_option
@threads_option
@click.option("--picture", type=click.Path(path_type=Path), default=None, help="PNG to write.")
@click.option("--record", default=None, metavar="NAME", help="Write the figures into the card.")
@format_option
def evaluate(
    images: Path,
    labels: Path,
    name: str | None,
    annotators: Path | None,
    threshold: float | None,
    iou: float,
    min_px: float,
    levels: str,
    threads: int,
    picture: Path | None,
    record: str | None,
    output_format: str,
) -> None:
    """Hold a detector, and people, against labelled pictures by one set of rules.

    One-to-one matching; objects below --min-px or cut by the picture's edge are ignored on both
    sides; intervals are bootstrapped over pictures, or blocks of 500 px where pictures are few.

    \b
    Example:
      cda model evaluate --images ctx/images --labels ctx/expert --annotators ctx/raw \\
        --picture ctx.png
    """
    from ingest.detector_files import default_model_name, find_model
    from ingest.training.evaluate import evaluate as run
    from ingest.training.evaluate import read_labelled, record_in_card
    from ingest.training.judging import Rules
    from ingest.training.report import draw, print_report
    from ingest.training.scan import Scan, factors_of

    found = find_model(name or default_model_name())
    result = run(
        found,
        read_labelled(images, labels),
        Scan(factors_of(levels)),
        threshold=threshold,
        rules=Rules(iou=iou, min_px=min_px),
        annotators=annotators,
        threads=threads,
    )
    if picture is not None:
        draw(result, picture)
    if record is not None:
        record_in_card(found, record, result.report)
    print_report(result.report, output_format)


@model.command()
@click.option("--found", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--listed", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--body", required=True, help="Whose craters: mars, moon, ...")
@click.option("--min-km", type=float, required=True, help="Smallest diameter judged.")
@click.option("--max-km", type=float, required=True, help="Largest diameter judged.")
@click.option("--max-latitude", default=90.0, show_default=True, help="Degrees from the equator.")
@click.option("--iou", default=0.3, show_default=True, help="Least IoU of matching circles.")
@click.option("--complete", is_flag=True, help="The list is complete: what it lacks is false.")
@format_option
def compare(
    found: Path,
    listed: Path,
    body: str,
    min_km: float,
    max_km: float,
    max_latitude: float,
    iou: float,
    complete: bool,
    output_format: str,
) -> None:
    """Hold one CSV catalogue against another on the sphere: recall, precision, diameters.

    Columns: lon_deg or lon_east_deg, lat_deg, diameter_m or diameter_km.

    \b
    Example:
      cda model compare --found craters.csv --listed head.csv --body moon \\
        --min-km 60 --max-km 500 --max-latitude 60 --complete
    """
    from cda_db.bodies import get_body
    from ingest.training.catalogues import Window, read_catalogue
    from ingest.training.catalogues import compare as run

    report = run(
        read_catalogue(found),
        read_catalogue(listed),
        get_body(body),
        Window(min_km, max_km, max_latitude, iou),
        complete=complete,
    )
    if output_format == "json":
        show_figures(report, output_format)
        return
    show_figures({key: value for key, value in report.items() if not key.startswith("by_")})
    show_rows(report["by_size"])
    show_rows(report["by_latitude"])
