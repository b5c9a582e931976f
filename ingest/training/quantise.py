"""A detector in 8-bit integers, by NNCF's post-training quantisation.

Convolutions run in int8 (CPUs with VNNI have had it since 2019; most have no bfloat16). Two parts
stay in float. What turns the head's outputs into boxes (softmax over distances, anchors, strides):
there an 8-bit step would be a pixel. And the first three stages, which see the faint rims: in int8
they save a fifth of the time and double the scatter of the scores (0.073 against 0.036). Ranges are
calibrated on training pictures, cut and stretched as the search does it.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError, ModelError
from ingest.detector import Detector
from ingest.detector_boxes import Rows
from ingest.detector_files import ModelFiles, find_model, own_precision, weights_sha256
from ingest.training.export import refuse_paths
from ingest.training.folders import LabelledImage, find_images, folder_sha256
from ingest.training.scan import Scan, level_tiles, stretch

Tiles = NDArray[np.uint8]
_FIRST_STAGES = r"__module\.model\.[0-2]\..*"
_KEPT = (
    "architecture", "licence", "threshold", "diameter_factor", "min_box_px", "tile", "search",
)  # fmt: skip


@dataclass(frozen=True)
class Calibration:
    """Which tiles the ranges are taken from.

    Attributes:
        folders: YOLO folders; their train split is used.
        exclude: stems of images to leave out.
        tiles: how many, shared out evenly over the folders.
        seed: of the draw.
    """

    folders: tuple[Path, ...]
    exclude: tuple[str, ...] = ()
    tiles: int = 256
    seed: int = 0


def quantise(model: ModelFiles, calibration: Calibration, out: Path) -> ModelFiles:
    """Write the int8 model of a float one into its own folder, with a card, and return it.

    Each threshold lets as many boxes of the calibration tiles through as the parent's does:
    rounding shifts scores a little. The diameter factor is the parent's. Evaluations are not
    copied: they would be another network's.

    Raises:
        ModelError: NNCF is missing, the model is quantised already, or its head is unknown.
        InputError: no calibration folder.
    """
    if own_precision(model) == "int8":
        raise ModelError(f"Model {model.name} is int8 already.", "Name the float model.")
    chosen = [find_images(folder, calibration.exclude) for folder in calibration.folders]
    if not chosen:
        raise InputError("Nothing to calibrate on.", "Give --calibrate DIR.")
    how = _search_of(model)
    tiles = calibration_tiles(chosen, how, calibration)
    out.mkdir(parents=True, exist_ok=True)
    _write_network(model, tiles, out)
    card = {key: model.card[key] for key in _KEPT if key in model.card} | {
        "name": out.name,
        "default": False,
        "precision": "int8",
        "weights_sha256": weights_sha256(out / "model.xml", out / "model.bin").hex(),
        "made_from": {"name": model.name, "weights_sha256": model.sha256.hex()},
        "calibration": {
            "folders": [
                {"folder": folder.name, "images": len(items), "sha256": folder_sha256(items)}
                for folder, items in zip(calibration.folders, chosen, strict=True)
            ],
            "excluded": list(calibration.exclude),
            "search": asdict(how),
            "tiles": len(tiles),
            "seed": calibration.seed,
            "nncf": importlib.metadata.version("nncf"),
        },
    }
    path = out / "card.json"
    path.write_text(json.dumps(card, indent=1) + "\n")
    asked = (float(model.card["threshold"]), *model.card.get("thresholds", {}).values())
    matched = matched_thresholds(model, find_model(out), tiles, asked)
    card["threshold"] = matched[0]
    card["thresholds"] = dict(zip(model.card.get("thresholds", {}), matched[1:], strict=True))
    path.write_text(json.dumps(card, indent=1) + "\n")
    return find_model(out)


def matched_thresholds(
    parent: ModelFiles, made: ModelFiles, tiles: Tiles, asked: Sequence[float]
) -> list[float]:
    """The scores that as many boxes of ``made`` reach as the parent's reach each one asked for."""
    before, after = (
        np.concatenate([rows[:, 4] for rows in _found(model, tiles, min(asked) / 2)])
        for model in (parent, made)
    )
    after = np.sort(after)
    numbers = [int((before >= np.float32(wanted)).sum()) for wanted in asked]
    return [
        round(float(after[-n]), 3) if 0 < n <= len(after) else wanted
        for n, wanted in zip(numbers, asked, strict=True)
    ]


def _found(model: ModelFiles, tiles: Tiles, threshold: float) -> list[Rows]:
    precision = own_precision(model)
    rest: dict[str, Any] = {"threads": 1, "batch": 1, "nms_iou": 0.5}
    return Detector(model, precision=precision, threshold=threshold, **rest).detect(tiles)


def _search_of(model: ModelFiles) -> Scan:
    given = dict(model.card.get("search", {}))
    if "factors" in given:
        given["factors"] = tuple(given["factors"])
    return Scan(**given)


def calibration_tiles(
    chosen: Sequence[Sequence[LabelledImage]], how: Scan, calibration: Calibration
) -> Tiles:
    """Tiles of the search of these pictures, as many of each folder, spread over its pictures."""
    rng = np.random.default_rng(calibration.seed)
    found: list[Tiles] = []
    for items in chosen:
        wanted = -(-calibration.tiles // len(chosen))
        pictures = min(len(items), wanted)
        per_picture = -(-wanted // pictures)
        places = np.linspace(0, len(items) - 1, pictures).round().astype(int)
        tiles = np.concatenate([_some(items[k], how, per_picture, rng) for k in places])
        found.append(tiles[rng.permutation(len(tiles))[:wanted]])
    return np.concatenate(found)


def _some(item: LabelledImage, how: Scan, most: int, rng: np.random.Generator) -> Tiles:
    """At most so many tiles of a picture, of any level alike."""
    grey = stretch(item.pixels())
    levels = how.levels()
    drawn = rng.integers(len(levels), size=most)
    parts = []
    for k in np.unique(drawn):
        _, _, tiles = level_tiles(grey, levels[k], how.tile)
        parts.append(tiles[rng.permutation(len(tiles))[: int((drawn == k).sum())]])
    return np.concatenate(parts)


def _write_network(model: ModelFiles, tiles: Tiles, out: Path) -> None:
    nncf = _load_nncf()
    import openvino as ov

    network = ov.Core().read_model(str(model.xml), str(model.bin))
    quantised = nncf.quantize(
        network,
        nncf.Dataset(list(tiles), _input),
        preset=nncf.QuantizationPreset.MIXED,  # the network's activations are not symmetric
        subset_size=len(tiles),
        ignored_scope=nncf.IgnoredScope(patterns=_in_float(network)),
    )
    ov.save_model(quantised, str(out / "model.xml"), compress_to_fp16=True)
    for name in ("model.xml", "model.bin"):
        refuse_paths(out / name)


def _input(tile: Tiles) -> NDArray[np.float32]:
    return np.repeat(tile[None, None].astype(np.float32) / 255, 3, axis=1)


def _in_float(network: Any) -> list[str]:
    """Patterns of the first stages and of the operations behind the head's last convolutions."""
    names = [operation.get_friendly_name() for operation in network.get_ops()]
    found = (re.match(r"(__module\.model\.\d+)\.dfl", name) for name in names)
    heads = {match[1] for match in found if match}
    if len(heads) != 1:
        raise ModelError("The network's head is not that of a YOLO.", "Quantise a YOLO network.")
    head = heads.pop().replace(".", r"\.")
    return [_FIRST_STAGES, rf"{head}/.*", rf"{head}\.dfl.*"]


def _load_nncf() -> Any:
    """NNCF without its messages to its makers: the variable is read while it is imported."""
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise ModelError(
            f"The package {error.name} is missing.",
            "Install the extra: pip install 'crater-db[train]' (see docs/detector.md).",
        ) from error
    nncf.set_log_level(logging.WARNING)
    return nncf
