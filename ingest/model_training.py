"""``cda model train | dataset | export``: what makes detectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cda_db.errors import InputError
from cda_db.output import format_option, show_figures
from ingest.model_options import folder, levels_option, threads_option

if TYPE_CHECKING:
    from ingest.detector_files import ModelFiles
    from ingest.training.dataset import DataRequest
    from ingest.training.finish import Finish
    from ingest.training.train import Recipe


@click.command()
@click.option(
    "--data", "folders", multiple=True, required=True, type=folder, help="YOLO folder; repeatable."
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
    type=folder,
    metavar="IMAGES LABELS",
    help="Training images with boxes of rim diameters: they calibrate the model's diameters.",
)
@click.option(
    "--validation",
    nargs=2,
    multiple=True,
    type=folder,
    metavar="IMAGES LABELS",
    help="Pictures that, with the held-out ones, decide the threshold; repeatable.",
)
@click.option(
    "--instrument",
    "instruments",
    nargs=2,
    multiple=True,
    metavar="FOLDER NAME",
    help="Instrument of a folder's pictures (its name in scenes): gets a threshold of its own.",
)
@click.option(
    "--least-precision",
    nargs=2,
    type=(str, click.FloatRange(0, 1)),
    multiple=True,
    metavar="NAME PRECISION",
    help="Instrument whose threshold is the lowest so precise, not the best F1's; repeatable.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The model's folder and name."
)
@click.option("--default", "is_default", is_flag=True, help="Make it the model used unasked.")
@click.option("--epochs", default=14, show_default=True, help="Passes over the crops.")
@click.option("--hours", type=float, default=None, help="Shorten the schedule to end about then.")
@click.option("--from", "parent", default=None, help="Model whose weights are trained further.")
@click.option(
    "--doubled", default=0.3, show_default=True, help="Crops up-sampled twice, per native crop."
)
@click.option("--turned", default=600, show_default=True, help="Most turned crops of a folder.")
@click.option(
    "--turned-share", default=2.0, show_default=True, help="Most turned crops, per native crop."
)
@click.option(
    "--turned-scale",
    nargs=2,
    type=float,
    default=(0.7, 1.6),
    show_default=True,
    help="Smallest and largest scale of turned crops.",
)
@click.option(
    "--average", default=0.0, show_default=True, help="Share of --from in the weights at the end."
)
@click.option(
    "--mirrored",
    default=0.5,
    show_default=True,
    help="Share of crops mirrored east to west; 0 keeps the light's side, which tells hills.",
)
@click.option("--lr0", default=0.002, show_default=True, help="First learning rate.")
@click.option("--architecture", default="yolo11n.yaml", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["f32", "bf16"]),
    default="f32",
    show_default=True,
    help="Of the convolutions in training; bf16 where the processor has it.",
)
@click.option("--seed", default=0, show_default=True)
@levels_option
@threads_option
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("runs/train"),
    show_default=True,
    help="Folder of runs in progress.",
)
@format_option
def train(output_format: str, **given: Any) -> None:
    """Train a detector, calibrate it, and write its folder with a model card.

    Weights start at random, or with --from at those of one of our own models.

    Run again after an interruption it goes on where it was. Needs the extra 'train'.

    \b
    Example:
      cda model train --data ../shared/data/mars_themis_yolo --exclude crater84 \\
        --rims ../shared/data/mars_themis_yolo/images/train \\
               ../shared/data/mars_themis_yolo/labels_catalogue/train --out runs/mine
    """
    from ingest.detector_files import find_model
    from ingest.training.finish import finish
    from ingest.training.train import train as run_training

    data, order = _train_request(given), _finish_order(given)
    parent = find_model(given["parent"]) if given["parent"] else None
    recipe = _recipe(given, parent)
    work = given["work"] / order.out.name
    run = run_training(data, recipe, work, given["threads"], _tell_epoch, given["hours"], parent)
    click.echo("Calibrating and choosing the threshold.", err=True)
    made = finish(run, work, data, recipe, order, given["threads"], parent)
    show_figures(
        {
            "model": str(order.out),
            "epochs": made.card["epochs_run"],
            "threshold": made.card["threshold"],
            "thresholds": made.card["thresholds"],
            "diameter_factor": made.card["diameter_factor"],
            "weights_sha256": made.sha256.hex(),
        },
        output_format,
    )


def _recipe(given: dict[str, Any], parent: ModelFiles | None) -> Recipe:
    from ingest.training.train import Recipe

    return Recipe(
        architecture=given["architecture"],
        parent=parent.name if parent else None,
        parent_pt_sha256=parent.card.get("pt_sha256") if parent else None,
        epochs=given["epochs"],
        parent_share=given["average"],
        lr0=given["lr0"],
        fliplr=given["mirrored"],
        precision=given["precision"],
        seed=given["seed"],
    )


def _train_request(given: dict[str, Any]) -> DataRequest:
    from cda_db.bodies import get_body
    from ingest.training.crops import CropRule
    from ingest.training.dataset import Caps, DataRequest

    caps = given["caps"]
    return DataRequest(
        tuple(given["folders"]),
        tuple(given["exclude"]),
        given["holdout"],
        Caps(Path(caps[0]), Path(caps[1]), get_body(caps[2])) if caps else None,
        crop=CropRule(
            double_share=given["doubled"],
            turned=given["turned"],
            turned_share=given["turned_share"],
            turned_scale=given["turned_scale"],
        ),
        seed=given["seed"],
    )


def _finish_order(given: dict[str, Any]) -> Finish:
    from ingest.training.finish import Finish
    from ingest.training.scan import Scan, factors_of
    from ingest.training.thresholds import LabelFolder

    known = {instrument for _, instrument in given["instruments"]}
    for instrument, _ in given["least_precision"]:
        if instrument not in known:
            raise InputError(
                f"--least-precision names {instrument!r}, which no --instrument does.",
                "Give --instrument FOLDER NAME for its pictures.",
            )
    return Finish(
        given["out"],
        LabelFolder(*given["rims"]),
        tuple(LabelFolder(*pair) for pair in given["validation"]),
        tuple(given["instruments"]),
        tuple(given["least_precision"]),
        Scan(factors_of(given["levels"])),
        given["is_default"],
    )


def _tell_epoch(epoch: int, epochs: int, loss: float) -> None:
    click.echo(f"epoch {epoch} of {epochs}, loss {loss:.3f}", err=True)


@click.command()
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
