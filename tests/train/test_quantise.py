"""int8 by NNCF: a model of its own with a card, much like its parent, made without a network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cratered import cratered_ground
from PIL import Image
from test_safety import _NO_NETWORK, run

from cda_db.errors import InputError, ModelError
from ingest.detector import Detector, default_model_name, find_model
from ingest.training.folders import find_images
from ingest.training.matching import box_pairs, match
from ingest.training.quantise import (
    Calibration,
    calibration_tiles,
    matched_thresholds,
    quantise,
)
from ingest.training.scan import Scan

pytestmark = pytest.mark.train

_QUANTISE = (
    _NO_NETWORK
    + """
from pathlib import Path
from ingest.detector_files import default_model_name, find_model
from ingest.training.quantise import Calibration, quantise
folder, out = map(Path, sys.argv[1:])
quantise(find_model(default_model_name()), Calibration((folder,), ("left_out",), tiles=12), out)
print("calls", calls)
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn pictures in YOLO format, one of which is to be left out."""
    made = tmp_path_factory.mktemp("calibration")
    for part in ("images", "labels"):
        (made / part).mkdir()
    for seed, name in enumerate(("a", "b", "left_out")):
        Image.fromarray(cratered_ground(500, 500, 40, seed)).save(made / "images" / f"{name}.png")
        (made / "labels" / f"{name}.txt").write_text("")
    return made


def test_an_int8_model_is_made_with_its_card_and_without_a_network(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "drawn_int8"
    assert run(_QUANTISE, folder, out).strip().splitlines()[-1] == "calls []"
    parent, made = find_model(default_model_name()), find_model(out)
    assert made.card["precision"] == "int8" and made.card["default"] is False
    assert made.card["made_from"]["weights_sha256"] == parent.sha256.hex()
    assert abs(made.card["threshold"] - parent.card["threshold"]) < 0.15
    assert made.card["calibration"]["folders"][0]["images"] == 2
    assert "evaluations" not in json.loads((out / "card.json").read_text())
    assert made.bin.stat().st_size < 0.7 * parent.bin.stat().st_size

    drawn = np.stack([cratered_ground(416, 416, 40, seed) for seed in range(3)])
    asked = (parent.card["threshold"], 0.3)
    rest = {"threads": 1, "batch": 1, "nms_iou": 0.5}
    for wanted, matched in zip(asked, matched_thresholds(parent, made, drawn, asked), strict=True):
        given = Detector(parent, threshold=wanted, **rest).detect(drawn)
        now = Detector(made, precision="int8", threshold=matched, **rest).detect(drawn)
        assert abs(sum(map(len, given)) - sum(map(len, now))) <= 1  # the threshold is rounded
    tiles = np.stack(np.split(cratered_ground(416, 4 * 416, 60, 9), 4, axis=1))
    rest = {"threads": 1, "batch": 1, "threshold": 0.3, "nms_iou": 0.5}
    ours = Detector(made, precision="int8", **rest).detect(tiles)
    floats = Detector(parent, **rest).detect(tiles)
    alike = 0
    for one, other in zip(ours, floats, strict=True):
        pairs = box_pairs(one[:, :4].astype(float), other[:, :4].astype(float), 0.5)
        alike += len(match(pairs, len(one), len(other))[0])
    assert 2 * alike / (sum(map(len, ours)) + sum(map(len, floats))) > 0.85
    with pytest.raises(ModelError, match="is int8, not f32"):
        Detector(made, precision="f32", **rest)
    with pytest.raises(ModelError, match="int8 already"):
        quantise(made, Calibration((folder,)), tmp_path / "again")


def test_nothing_to_calibrate_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="calibrate"):
        quantise(find_model(default_model_name()), Calibration(()), tmp_path)


def test_tiles_come_from_every_folder_alike_and_again(folder: Path) -> None:
    chosen = [find_images(folder, ("left_out",)), find_images(folder)]
    calibration = Calibration((folder, folder), tiles=8)
    tiles = calibration_tiles(chosen, Scan(), calibration)
    assert tiles.shape == (8, 416, 416) and tiles.dtype == np.uint8
    np.testing.assert_array_equal(tiles, calibration_tiles(chosen, Scan(), calibration))
