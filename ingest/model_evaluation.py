"""``cda model evaluate | evaluations | register | compare``: what is known of detectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cda_db.output import format_option, show_figures, show_rows
from ingest.model_options import folder, levels_option, threads_option

if TYPE_CHECKING:
    from ingest.detector_files import ModelFiles
    from ingest.training.evaluate import Evaluation


@click.command()
@click.option("--images", type=folder, help="Labelled pictures.")
@click.option("--labels", type=folder, help="YOLO .txt or .csv of corners, by image name.")
@click.option("--run", help="Or a run in the database: its catalogue is judged.")
@click.option("--against", metavar="CSV|run:NAME", help="Independent craters of the run's ground.")
@click.option("--scene", "scenes", multiple=True, help="Only the ground of this scene; repeatable.")
@click.option("--complete", is_flag=True, help="The list is complete: what it lacks is false.")
@click.option("--min-km", type=float, help="Smallest diameter of a run that is judged.")
@click.option("--max-km", type=float, help="Largest diameter of a run that is judged.")
@click.option("--model", "name", default=None, help="Name or folder; the default model otherwise.")
@click.option("--annotators", type=folder, default=None, help="CSV of people's own boxes.")
@click.option("--threshold", type=float, default=None, help="Score; the card's for --kind.")
@click.option("--iou", default=0.3, show_default=True, help="Least IoU of a match.")
@click.option("--min-px", default=10.0, show_default=True, help="Smaller objects are ignored.")
@click.option("--precision", type=click.Choice(["f32", "bf16", "int8"]), help="The model's own.")
@click.option("--light", "light_deg", type=click.FloatRange(0, 360), metavar="AZIMUTH",
              help="Where light comes from: degrees clockwise from the pictures' top.")  # fmt: skip
@levels_option
@threads_option
@click.option("--picture", type=click.Path(path_type=Path), default=None, help="PNG to write.")
@click.option("--record", default=None, metavar="NAME", help="Write the figures into the card.")
@click.option("--store", default=None, metavar="NAME", help="Store them in the database.")
@click.option("--kind", help="Instrument or kind of the scenes, for both; the name otherwise.")
@click.option("--body", help="Planet of labelled pictures, where it is one.")
@format_option
def evaluate(output_format: str, **given: Any) -> None:
    """Hold a detector, and people, against labelled pictures; or a run against a catalogue.

    One-to-one matching; objects below --min-px or cut by the picture's edge are ignored on both
    sides; intervals are bootstrapped over pictures, or blocks of 500 px where pictures are few.
    A run's craters are matched on the sphere, where the run has searched.

    \b
    Example:
      cda model evaluate --images ctx/images --labels ctx/expert --annotators ctx/raw \\
        --picture ctx.png --store "CTX D, K, L" --kind CTX --body mars
      cda model evaluate --run zunil --against robbins.csv --min-km 1.5 --store Robbins
    """
    from cda_db.errors import InputError

    of_run = given["run"] is not None
    needed = ("run", "against") if of_run else ("images", "labels")
    of_pictures = ("images", "labels", "light_deg")
    useless = of_pictures if of_run else ("against", "scenes", "min_km", "max_km")
    stated = (given[key] not in (None, ()) for key in useless)
    if any(given[key] is None for key in needed) or any(stated):
        raise InputError(
            "Neither pictures nor a run to evaluate, or options of both.",
            "Give --images and --labels, or --run and --against.",
        )
    report = _of_run(given) if of_run else _of_pictures(given)
    _print(report, output_format)


def _of_pictures(given: dict[str, Any]) -> dict[str, Any]:
    from ingest.training.report import draw
    from ingest.training.storing import record_in_card

    model, result = _search_pictures(given)
    report = result.report | {
        "kind": given["kind"] or given["store"] or given["record"],
        "body": given["body"],
    }
    if given["picture"] is not None:
        draw(result, given["picture"])
    if given["record"] is not None:
        record_in_card(model, given["record"], report)
    if given["store"] is not None:
        _store_pictures(model, given["store"], report)
    return report


def _search_pictures(given: dict[str, Any]) -> tuple[ModelFiles, Evaluation]:
    from ingest.detector_files import default_model_name, find_with_precision
    from ingest.light import Light
    from ingest.training.evaluate import evaluate as run
    from ingest.training.evaluate import read_labelled
    from ingest.training.judging import Rules
    from ingest.training.scan import Scan, factors_of

    light = None if given["light_deg"] is None else Light(given["light_deg"])
    model = find_with_precision(given["name"] or default_model_name(), given["precision"] or "f32")
    result = run(
        model,
        read_labelled(given["images"], given["labels"]),
        Scan(factors_of(given["levels"]), light=light),
        threshold=given["threshold"],
        kind=given["kind"],
        rules=Rules(iou=given["iou"], min_px=given["min_px"]),
        annotators=given["annotators"],
        threads=given["threads"],
        precision=given["precision"],
    )
    return model, result


def _store_pictures(model: ModelFiles, name: str, report: dict[str, Any]) -> None:
    from cda_db.connection import connect
    from cda_db.evaluations import store_evaluation
    from cda_db.models import register_model
    from ingest.training.storing import evaluation_of

    with connect(role="cda_owner") as conn:
        model_id = register_model(conn, model.name, model.sha256, model.card)
        _tell(*store_evaluation(conn, model_id, evaluation_of(name, report)))


def _of_run(given: dict[str, Any]) -> dict[str, Any]:
    from cda_db.connection import connect
    from cda_db.evaluations import store_evaluation
    from cda_db.runs import get_run
    from ingest.training.run_evaluation import RunQuestion, evaluate_run
    from ingest.training.storing import evaluation_of

    names = ("run", "against", "scenes", "complete", "min_px", "min_km", "max_km", "iou")
    question = RunQuestion(**{key: given[key] for key in names})
    store = given["store"]
    with connect(role="cda_reader" if store is None else "cda_owner") as conn:
        report = evaluate_run(conn, question) | {"kind": given["kind"] or store}
        if store is not None:
            model_id = get_run(conn, question.run).model_id
            _tell(*store_evaluation(conn, model_id, evaluation_of(store, report)))
    return report


def _tell(evaluation_id: int, new: bool) -> None:
    state = "stored" if new else "known already (same model, data and rules)"
    click.echo(f"Evaluation {evaluation_id} {state}.", err=True)


def _print(report: dict[str, Any], output_format: str) -> None:
    from ingest.training.report import print_report

    print_report(report, output_format)


@click.command()
@click.option("--model", "name", default=None, help="Only those of this model (name or folder).")
@click.option("--id", "evaluation_id", type=int, help="One evaluation by size.")
@format_option
def evaluations(name: str | None, evaluation_id: int | None, output_format: str) -> None:
    """List the evaluations in the database; with --id, completeness and precision by size.

    \b
    Example:
      cda model evaluations
      cda model evaluations --id 2 --format json
    """
    from cda_db.connection import connect
    from cda_db.evaluations import evaluation_bins, list_evaluations
    from ingest.detector_files import find_model

    with connect(role="cda_reader") as conn:
        if evaluation_id is not None:
            bins = evaluation_bins(conn, evaluation_id).drop(columns="evaluation_id")
            show_rows([dict(row) for _, row in bins.iterrows()], output_format)
            return
        sha256 = None if name is None else find_model(name).sha256
        rows = list_evaluations(conn, model_sha256=sha256)
    if output_format == "table":
        left_out = ("rules", "model_sha256", "data_sha256", "stored_at", "n_truth", "n_found",
                    "n_detections", "n_right", "precision_low", "precision_high", "recall_low",
                    "recall_high")  # fmt: skip
        rows = [{key: row[key] for key in row if key not in left_out} for row in rows]
    show_rows(rows, output_format)


@click.command()
@click.argument("name", required=False)
@format_option
def register(name: str | None, output_format: str) -> None:
    """Register a model in the database with the evaluations of its card.

    `cda ingest run create` does it unasked; here for a model that has no run yet.

    \b
    Example:
      cda model register crater_yolo11n
    """
    from cda_db.connection import connect
    from cda_db.models import register_model
    from ingest.detector_files import default_model_name, find_model
    from ingest.training.storing import store_card

    model = find_model(name or default_model_name())
    with connect(role="cda_owner") as conn:
        model_id = register_model(conn, model.name, model.sha256, model.card)
        outcome = store_card(conn, model_id, model.card)
    figures = {"model": model.name, "sha256": model.sha256.hex(), "model_id": model_id}
    show_figures(figures | outcome, output_format)


@click.command()
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
