"""From a finished training run to a model folder: weights, calibration, threshold, card, curves.

The card is written by the program. The diameter factor is fitted on training pictures, the
threshold is chosen on held-out and validation pictures; test pictures are never looked at here.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cda_db.errors import ModelError
from ingest.detector_files import ModelFiles, find_model, weights_sha256
from ingest.training.cap_threshold import choose_elevation_threshold
from ingest.training.dataset import DataRequest, split_folders
from ingest.training.evaluate import LabelledSet, read_labelled, search, to_picture
from ingest.training.export import average, export_openvino, file_sha256, strip
from ingest.training.folders import LabelledImage, folder_sha256
from ingest.training.judging import Rules, judge_all, sizes
from ingest.training.scan import Scan
from ingest.training.thresholds import LabelFolder, choose_thresholds, threshold_sets
from ingest.training.train import Recipe, environment

MIN_BOX_PX = 6.0
_FIT_SCORE, _FIT_MIN_PX, _FIT_PAIRS, _FIT_PICTURES = 0.25, 12.0, 30, 200


@dataclass(frozen=True)
class Finish:
    """What a run is finished with.

    Attributes:
        out: the model's folder.
        rims: training pictures whose labels are rim diameters, for the diameter factor.
        validation: pictures for the threshold, beside the held-out ones.
        instruments: folder name to the instrument of its pictures, for thresholds of their own.
        least_precision: instruments whose threshold is the lowest with such a precision, instead of
            that of the best F1.
        how: levels and tiles.
        default: whether the card calls this the model to use when none is named.
    """

    out: Path
    rims: LabelFolder
    validation: tuple[LabelFolder, ...] = ()
    instruments: tuple[tuple[str, str], ...] = ()
    least_precision: tuple[tuple[str, float], ...] = ()
    how: Scan = field(default_factory=Scan)
    default: bool = False


def finish(
    run: Path,
    work: Path,
    data: DataRequest,
    recipe: Recipe,
    order: Finish,
    threads: int,
    parent: ModelFiles | None = None,
) -> ModelFiles:
    """Write the model folder of a finished run and return it.

    Args:
        run: what ``train`` returned.
        work: the folder given to ``train``.
        data, recipe: the same as there.
        order: where to, and which pictures calibrate it.
        threads: for export and search.
        parent: the model named by ``recipe.parent``.
    """
    order.out.mkdir(parents=True, exist_ok=True)
    pt = order.out / "model.pt"
    strip(run / "weights" / "last.pt", pt, threads)
    if recipe.parent_share:
        if parent is None or parent.pt is None or recipe.parent_pt_sha256 is None:
            raise ModelError("There is no parent to average with.", "Name one that has model.pt.")
        average(pt, parent.pt, recipe.parent_pt_sha256, recipe.parent_share, threads)
    export_openvino(pt, file_sha256(pt), order.out, threads)
    card = _first_card(order, pt, data, recipe, run, work)
    model = _write(order.out, card)
    card["diameter_factor"], card["diameter_fit"] = fit_diameters(model, order, data, threads)
    model = _write(order.out, card)
    held_out: dict[str, list[LabelledImage]] = {}
    for folder, _, held in split_folders(data):
        held_out.setdefault(folder.name, []).extend(held)
    sets = threshold_sets(held_out, order.validation, dict(order.instruments))
    floors = dict(order.least_precision)
    chosen, card["thresholds"], known = choose_thresholds(model, sets, floors, order.how, threads)
    card["threshold"], card["least_precision"], card["validation"] = chosen, floors, known
    if data.caps is not None:
        chosen, record = choose_elevation_threshold(model, data.caps, data.cap, threads)
        card["elevation_threshold"], card["elevation_validation"] = chosen, record
    draw_curves(run / "results.csv", order.out / "curves.png")
    return _write(order.out, card)


def _first_card(
    order: Finish, pt: Path, data: DataRequest, recipe: Recipe, run: Path, work: Path
) -> dict[str, Any]:
    with (run / "results.csv").open(newline="") as file:
        epochs = [
            {key.strip(): float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]
    return {
        "name": order.out.name,
        "default": order.default,
        "architecture": Path(recipe.architecture).stem,
        "licence": "AGPL-3.0-or-later",
        "weights_sha256": "",
        "pt_sha256": file_sha256(pt),
        "threshold": _FIT_SCORE,
        "diameter_factor": 1.0,
        "min_box_px": MIN_BOX_PX,
        "tile": order.how.tile,
        "search": asdict(order.how),
        "data": json.loads((work / "data" / "record.json").read_text()),
        "recipe": asdict(recipe),
        "epochs_run": len(epochs),
        "learning_rates": [row["lr/pg0"] for row in epochs],
        "training_seconds": round(epochs[-1]["time"]),
        "environment": environment(),
    }


def _write(out: Path, card: dict[str, Any]) -> ModelFiles:
    card["weights_sha256"] = weights_sha256(out / "model.xml", out / "model.bin").hex()
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return find_model(out)


def fit_diameters(
    model: ModelFiles, order: Finish, data: DataRequest, threads: int
) -> tuple[float, dict[str, Any]]:
    """Rim diameter over sqrt(w h) of the box: the median over matched training craters.

    Pictures that are held out or excluded take no part.
    """
    left_out = set(data.exclude)
    for _, _, held in split_folders(data):
        left_out |= {item.name for item in held}
    everything = read_labelled(order.rims.images, order.rims.labels)
    used = _spread([item for item in everything.files if item.name not in left_out], _FIT_PICTURES)
    labelled = LabelledSet(tuple(used), tuple(to_picture(item) for item in used))
    found = search(model, labelled, order.how, threads)
    rules = Rules(measure="circle", min_px=_FIT_MIN_PX)
    ratios = []
    for one in judge_all(labelled.pictures, found, rules, _FIT_SCORE):
        hits = np.flatnonzero(one.right)
        ratios.append(sizes(one.picture.boxes)[one.partner[hits]] / sizes(one.found)[hits])
    ratio = np.concatenate(ratios)
    if len(ratio) < _FIT_PAIRS:
        raise ModelError(
            f"Only {len(ratio)} craters of {order.rims.labels} were found: too few to calibrate.",
            "Train longer, or give --rims with more craters of 12 px and more.",
        )
    factor = float(np.median(ratio))
    spread = float(np.median(np.abs(ratio - factor)))
    return round(factor, 4), {
        "labels": f"{order.rims.labels.parent.name}/{order.rims.labels.name}",
        "sha256": folder_sha256(used),
        "pictures": len(used),
        "pairs": len(ratio),
        "from_px": _FIT_MIN_PX,
        "score": _FIT_SCORE,
        "mad": round(spread, 4),
        "standard_error": round(1.253 * float(ratio.std()) / np.sqrt(len(ratio)), 4),
    }


def _spread(items: list[LabelledImage], most: int) -> list[LabelledImage]:
    """At most so many, evenly spread over the list."""
    if len(items) <= most:
        return items
    return [items[k] for k in np.linspace(0, len(items) - 1, most).round().astype(int)]


def draw_curves(results: Path, out: Path) -> None:
    """Training losses and validation scores by epoch, as a picture."""
    from matplotlib.figure import Figure

    with results.open(newline="") as file:
        rows = [{k.strip(): float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for part in ("box_loss", "cls_loss", "dfl_loss"):
        (line,) = losses.plot(epochs, [row[f"train/{part}"] for row in rows], label=part)
        dashed = [row[f"val/{part}"] for row in rows]
        losses.plot(epochs, dashed, "--", color=line.get_color())
    losses.set(xlabel="epoch", ylabel="loss (dashed: held-out crops)")
    losses.legend()
    for key, label in (
        ("precision(B)", "precision"),
        ("recall(B)", "recall"),
        ("mAP50(B)", "AP50"),
    ):
        scores.plot(epochs, [row[f"metrics/{key}"] for row in rows], label=label)
    scores.set(xlabel="epoch", ylim=(0, 1), title="held-out crops, native scale")
    scores.legend()
    figure.savefig(out, dpi=110)
