"""The torch detector finds what OpenVINO's does (on the CPU, in float32: there is no GPU here)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cratered import cratered_ground

from cda_db.errors import InputError, ModelError
from ingest.detector import Detector, ModelFiles, default_model_name, find_model
from ingest.detector_torch import TorchDetector

pytestmark = pytest.mark.train

THRESHOLD, NMS_IOU = 0.25, 0.5


def test_the_same_boxes_as_openvino() -> None:
    """Five drawn tiles, a batch of two and a rest: every box within 0.2 px and 0.02 of score."""
    model = find_model(default_model_name())
    ground = cratered_ground(416, 5 * 416, 80, 2)
    tiles = np.stack(np.split(ground, 5, axis=1))
    torch = TorchDetector(model, device="cpu", batch=2, threshold=THRESHOLD, nms_iou=NMS_IOU)
    ours = Detector(model, threads=1, batch=1, threshold=THRESHOLD, nms_iou=NMS_IOU)
    found, expected = torch.detect(tiles), ours.detect(tiles)
    assert sum(map(len, expected)) > 20
    for one, other in zip(found, expected, strict=True):
        # scores near the threshold may fall on either side of it
        sure, known = (rows[rows[:, 4] > THRESHOLD + 0.02] for rows in (one, other))
        assert abs(len(sure) - len(known)) <= 1
        nearest = np.abs(known[:, None] - one[None]).max(axis=2).min(axis=1, initial=np.inf)
        assert (np.sort(nearest)[: len(known) - 1] < 0.2).all()
    assert torch.detect(tiles[:0]) == []
    assert torch.settings["device"] == "cpu" and torch.settings["precision"] == "f32"


def test_what_it_cannot_do_is_refused() -> None:
    model = find_model(default_model_name())
    rest = {"threshold": THRESHOLD, "nms_iou": NMS_IOU}
    with pytest.raises(ModelError, match="f16 is not for device cpu"):
        TorchDetector(model, device="cpu", precision="f16", **rest)
    with pytest.raises(ModelError, match="no checkpoint"):
        bare = ModelFiles("bare", Path("x"), Path("y"), None, model.card, model.sha256)
        TorchDetector(bare, device="cpu", **rest)
    with pytest.raises(ModelError, match="for GPUs"):
        Detector(model, threads=1, precision="f16", batch=1, **rest)
    with pytest.raises(InputError, match="multiple of 32"):
        TorchDetector(model, device="cpu", **rest).detect(np.zeros((1, 40, 40), np.uint8))
