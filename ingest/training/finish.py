"""From a finished training run to a model folder: weights, calibration, threshold, card, curves.

The card is written by the program. The diameter factor is fitted on training pictures, the
threshold is chosen on held-out and validation pictures; test pictures are never looked at here.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cda_db.errors import ModelError
from ingest.detector_files import ModelFiles, find_model, weights_sha256
from ingest.training.cap_threshold import choose_elevation_threshold
from ingest.training.dataset import DataRequest, split_folders
from ingest.training.evaluate import LabelledSet, curve, read_labelled, search, to_picture
from ingest.training.export import average, export_openvino, file_sha256, strip
from ingest.training.figures import summary
from ingest.training.folders import LabelledImage, folder_sha256
from ingest.training.judging import Boxes, Rules, judge_all, sizes
from ingest.training.scan import Scan
from ingest.training.train import Recipe, environment

MIN_BOX_PX = 6.0
_FIT_SCORE, _FIT_MIN_PX, _FIT_PAIRS, _FIT_PICTURES = 0.25, 12.0, 30, 200


@dataclass(frozen=True)
class LabelFolder:
    """Images and labels that belong together."""

    images: Path
    labels: Path


@dataclass(frozen=True)
class Finish:
    """What a run is finished with.

    Attributes:
        out: the model's folder.
        rims: training pictures whose labels are rim diameters, for the diameter factor.
        validation: pictures for the threshold, beside the held-out ones.
        instruments: folder name to the instrument of its pictures, for thresholds of their own.
        how: levels and tiles.
        default: whether the card calls this the model to use when none is named.
    """

    out: Path
    rims: LabelFolder
    validation: tuple[LabelFolder, ...] = ()
    instruments: tuple[tuple[str, str], ...] = ()
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
    chosen, card["thresholds"], card["validation"] = choose_thresholds(model, order, data, threads)
    card["threshold"] = chosen
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


def choose_thresholds(
    model: ModelFiles, order: Finish, data: DataRequest, threads: int
) -> tuple[float, dict[str, float], dict[str, Any]]:
    """The thresholds of the best mean F1 (>= 10 px, box IoU 0.3) over the validation sets.

    Each held-out part of a training folder and each validation folder is one set, so that a folder
    of many pictures does not outvote the others. Where an instrument has validation folders, its
    own threshold is theirs alone: training labels may miss craters, and what is found of those
    would count as false.

    Returns:
        the threshold of all sets together, those of each instrument's sets, and what is known of
        each set at the threshold that it is searched at.
    """
    sets: list[tuple[str, LabelledSet]] = []
    validation_of = [extra.labels.parent.parent.name for extra in order.validation]
    for folder, _, held in split_folders(data):
        if held:
            sets.append((f"{folder.name}, held out", _labelled(held)))
    for extra in order.validation:
        name = f"{extra.labels.parent.parent.name}/{extra.labels.name}"
        sets.append((name, read_labelled(extra.images, extra.labels)))
    rules, kinds = Rules(), dict(order.instruments)
    curves, kind_of, found_in = {}, {}, {}
    for name, part in sets:
        found_in[name] = search(model, part, order.how, threads)
        curves[name] = curve(part.pictures, found_in[name], rules)
        kind_of[name] = kinds.get(re.split(r"[,/]", name)[0])
    threshold = _best_mean(list(curves.values()))
    own, report = {}, {}
    for kind in sorted({kind for kind in kind_of.values() if kind}):
        names = [name for name in curves if kind_of[name] == kind]
        marked = [name for name in names if name.split("/")[0] in validation_of]
        own[kind] = _best_mean([curves[name] for name in marked or names])
    for name, part in sets:
        at = own.get(kind_of[name] or "", threshold)
        report[name] = {"threshold": at} | _set_report(part, found_in[name], rules, at)
        report[name]["curve"] = curves[name]
    return threshold, own, report


def _best_mean(curves: Sequence[Sequence[dict[str, Any]]]) -> float:
    """The threshold whose mean F1 over the curves is best."""
    mean = [
        float(np.mean([row["f1"] or 0.0 for row in rows])) for rows in zip(*curves, strict=True)
    ]
    return float(curves[0][int(np.argmax(mean))]["threshold"])


def _labelled(items: Sequence[LabelledImage]) -> LabelledSet:
    return LabelledSet(tuple(items), tuple(to_picture(item) for item in items))


def _set_report(
    part: LabelledSet, found: Sequence[Boxes], rules: Rules, threshold: float
) -> dict[str, Any]:
    any_size = replace(rules, min_px=0.0)
    return {
        "sha256": folder_sha256(part.files),
        "from_10_px": summary(judge_all(part.pictures, found, rules, threshold)),
        "all_sizes": summary(judge_all(part.pictures, found, any_size, threshold)),
    }


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
