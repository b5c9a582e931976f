"""``cda model``: train, evaluate, export, list and show detectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cda_db.output import format_option, show_figures, show_rows

if TYPE_CHECKING:
    from ingest.training.dataset import DataRequest
    from ingest.training.finish import Finish

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_levels_option = click.option(
    "--levels",
    default="0.5,1,4",
    show_default=True,
    help="Down-sampling factors of the search; below 1 they up-sample.",
)
_threads_option = click.option(
    "--threads", default=1, show_default=True, help="CPU threads (1 where others compute too)."
)


@click.group()
def model() -> None:
    """Detectors: train, evaluate, export, list, show."""


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
@click.option(
    "--data", "folders", multiple=True, required=True, type=_folder, help="YOLO folder; repeatable."
)
@click.option("--exclude", multiple=True, help="Stem of an image to leave out; repeatable.")
@click.option("--holdout", default=0.1, show_default=True, help="Share of images held out.")
@click.option(
    "--caps",
    nargs=3,
    default=None,
    metavar="DEM CATALOGUE BODY",
    help="Also train on the shaded polar caps of a global elevation model.",
)
@click.option(
    "--rims",
    nargs=2,
    required=True,
    type=_folder,
    metavar="IMAGES LABELS",
    help="Training images with boxes of rim diameters: they calibrate the model's diameters.",
)
@click.option(
    "--validation",
    nargs=2,
    multiple=True,
    type=_folder,
    metavar="IMAGES LABELS",
    help="Pictures that, with the held-out ones, decide the threshold; repeatable.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The model's folder and name."
)
@click.option("--default", "is_default", is_flag=True, help="Make it the model used unasked.")
@click.option("--epochs", default=14, show_default=True, help="Passes over the crops.")
@click.option("--hours", type=float, default=None, help="Shorten the schedule to end about then.")
@click.option("--architecture", default="yolo11n.yaml", show_default=True)
@click.option("--seed", default=0, show_default=True)
@_levels_option
@_threads_option
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("runs/train"),
    show_default=True,
    help="Folder of runs in progress.",
)
@format_option
def train(output_format: str, **given: Any) -> None:
    """Train a detector from scratch, calibrate it, and write its folder with a model card.

    Run again after an interruption it goes on where it was. Needs the extra 'train'.

    \b
    Example:
      cda model train --data ../shared/data/mars_themis_yolo --exclude crater84 \\
        --rims ../shared/data/mars_themis_yolo/images/train \\
               ../shared/data/mars_themis_yolo/labels_catalogue/train --out runs/mine
    """
    from ingest.training.finish import finish
    from ingest.training.train import Recipe
    from ingest.training.train import train as run_training

    data, order = _train_request(given), _finish_order(given)
    recipe = Recipe(architecture=given["architecture"], epochs=given["epochs"], seed=given["seed"])
    work = given["work"] / order.out.name
    run = run_training(data, recipe, work, given["threads"], _tell_epoch, given["hours"])
    click.echo("Calibrating and choosing the threshold.", err=True)
    made = finish(run, work, data, recipe, order, given["threads"])
    show_figures(
        {
            "model": str(order.out),
            "epochs": made.card["epochs_run"],
            "threshold": made.card["threshold"],
            "diameter_factor": made.card["diameter_factor"],
            "weights_sha256": made.sha256.hex(),
        },
        output_format,
    )


def _train_request(given: dict[str, Any]) -> DataRequest:
    from cda_db.bodies import get_body
    from ingest.training.dataset import Caps, DataRequest

    caps = given["caps"]
    return DataRequest(
        tuple(given["folders"]),
        tuple(given["exclude"]),
        given["holdout"],
        Caps(Path(caps[0]), Path(caps[1]), get_body(caps[2])) if caps else None,
        seed=given["seed"],
    )


def _finish_order(given: dict[str, Any]) -> Finish:
    from ingest.training.finish import Finish, LabelFolder
    from ingest.training.scan import Scan, factors_of

    return Finish(
        given["out"],
        LabelFolder(*given["rims"]),
        tuple(LabelFolder(*pair) for pair in given["validation"]),
        Scan(factors_of(given["levels"])),
        given["is_default"],
    )


def _tell_epoch(epoch: int, epochs: int, loss: float) -> None:
    click.echo(f"epoch {epoch} of {epochs}, loss {loss:.3f}", err=True)


@model.command()
@click.option("--run", "run_name", required=True, help="Run whose scenes are cut into tiles.")
@click.option(
    "--craters",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help="CSV of verified craters; the run's own catalogue otherwise.",
)
@click.option("--level", default=1.0, show_default=True, help="Down-sampling factor of the tiles.")
@click.option("--tile", default=416, show_default=True, help="Pixels of a tile's side.")
@click.option("--holdout", default=0.1, show_default=True, help="Share of ground for validation.")
@click.option("--block", default=2.0, show_default=True, help="Blocks of ground drawn, degrees.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@format_option
def dataset(
    run_name: str,
    craters: Path | None,
    level: float,
    tile: int,
    holdout: float,
    block: float,
    seed: int,
    out: Path,
    output_format: str,
) -> None:
    """Make a training set from a run's scenes and craters, split by ground distance.

    \b
    Example:
      cda model dataset --run zunil --craters verified.csv --out my_tiles
      cda model train --data my_tiles ...
    """
    from cda_db import catalogue
    from cda_db.connection import connect
    from cda_db.runs import get_run
    from cda_db.scenes import get_scene
    from ingest.training.catalogues import read_catalogue
    from ingest.training.scene_tiles import TileSet, make_tiles

    with connect(role="cda_reader") as conn:
        run = get_run(conn, run_name)
        ids = catalogue.scenes(conn, run)["scene_id"].tolist()
        scenes = [get_scene(conn, int(key))[1] for key in ids]
        if craters is None:
            rows = catalogue.craters(conn, run)[["lon", "lat", "diameter_m"]].to_numpy(float)
        else:
            rows = read_catalogue(craters)
    how = TileSet(level, tile, holdout=holdout, block_deg=block, seed=seed)
    show_figures(make_tiles(scenes, rows, out, how), output_format)


@model.command()
@click.option("--images", required=True, type=_folder)
@click.option(
    "--labels", required=True, type=_folder, help="YOLO .txt or .csv of corners, by image name."
)
@click.option("--model", "name", default=None, help="Name or folder; the default model otherwise.")
@click.option("--annotators", type=_folder, default=None, help="CSV of people's own boxes.")
@click.option("--threshold", type=float, default=None, help="Score; the card's otherwise.")
@click.option("--iou", default=0.3, show_default=True, help="Least box IoU of a match.")
@click.option("--min-px", default=10.0, show_default=True, help="Smaller objects are ignored.")
@_levels_option
@_threads_option
@click.option("--picture", type=click.Path(path_type=Path), default=None, help="PNG to write.")
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
    from ingest.training.evaluate import read_labelled
    from ingest.training.judging import Rules
    from ingest.training.report import draw, print_report
    from ingest.training.scan import Scan, factors_of

    result = run(
        find_model(name or default_model_name()),
        read_labelled(images, labels),
        Scan(factors_of(levels)),
        threshold=threshold,
        rules=Rules(iou=iou, min_px=min_px),
        annotators=annotators,
        threads=threads,
    )
    if picture is not None:
        draw(result, picture)
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


@model.command()
@click.argument("name", required=False)
@click.option(
    "--to", "kinds", multiple=True, type=click.Choice(["openvino", "onnx"]), default=["openvino"]
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@_threads_option
def export(name: str | None, kinds: tuple[str, ...], out: Path, threads: int) -> None:
    """Export a detector's checkpoint to OpenVINO (fp16) or ONNX. Needs the extra 'train'.

    \b
    Example:
      cda model export --to onnx --out runs/onnx
    """
    from cda_db.errors import ModelError
    from ingest.detector_files import default_model_name, find_model
    from ingest.training.export import export_onnx, export_openvino

    found = find_model(name or default_model_name())
    if found.pt is None or "pt_sha256" not in found.card:
        raise ModelError(f"Model {found.name} has no checkpoint.", "Export one that has model.pt.")
    if "openvino" in kinds:
        export_openvino(found.pt, found.card["pt_sha256"], out, threads)
    if "onnx" in kinds:
        export_onnx(found.pt, found.card["pt_sha256"], out, threads)
    for path in sorted(out.glob("model.*")):
        click.echo(str(path))
