"""The shipped network through OpenVINO: repeatable, and right on drawn and on real craters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from cratered import bowl
from numpy.typing import NDArray

from cda_db.errors import InputError, ModelError
from ingest.detector import Detector, default_model_name, find_model
from ingest.training.evaluate import read_labelled
from ingest.training.judging import Rules, judge_all
from ingest.training.scan import Scan, scan


@lru_cache  # compiling the network takes longer than running it
def detector(threads: int = 1, batch: int = 1, threshold: float = 0.1) -> Detector:
    model = find_model(default_model_name())
    return Detector(model, threads=threads, batch=batch, threshold=threshold, nms_iou=0.5)


def test_a_drawn_crater_is_found_where_it_is() -> None:
    (rows,) = detector().detect(bowl(416, 200.0, 150.0, 16.0)[None])
    x0, y0, x1, y1, score = rows[0]
    assert score > 0.5
    assert abs((x0 + x1) / 2 - 200) < 2 and abs((y0 + y1) / 2 - 150) < 2
    assert np.sqrt((x1 - x0) * (y1 - y0)) == pytest.approx(32, rel=0.15)


def test_flat_ground_holds_no_crater() -> None:
    flat = np.full((2, 416, 416), 120, np.uint8)
    assert [len(rows) for rows in detector().detect(flat)] == [0, 0]


def test_threads_and_neighbours_in_the_batch_change_nothing() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(40, 376, (5, 2))
    tiles = np.stack([bowl(416, x, y, 8 + 4 * k) for k, (x, y) in enumerate(places)])
    alone = [detector().detect(tile[None])[0] for tile in tiles]
    for one, many in ((1, 1), (2, 1)):
        for a, b in zip(alone, detector(one, many).detect(tiles), strict=True):
            np.testing.assert_array_equal(a, b)
    twice = detector(2, 4)
    for a, b in zip(twice.detect(tiles), twice.detect(tiles), strict=True):
        np.testing.assert_array_equal(a, b)


def test_output_is_sorted_clipped_and_above_the_threshold() -> None:
    for rows in detector(threshold=0.02).detect(bowl(416, 3.0, 200.0, 30.0)[None]):
        assert rows.dtype == np.float32 and rows.shape[1] == 5
        assert (np.diff(rows[:, 4]) <= 0).all() and (rows[:, 4] >= 0.02).all()
        assert (rows[:, :4] >= 0).all() and (rows[:, :4] <= 416).all()


def test_other_sides_work_and_no_tiles_give_no_rows() -> None:
    one = detector()
    assert one.detect(np.empty((0, 416, 416), np.uint8)) == []
    (rows,) = one.detect(bowl(320, 160.0, 160.0, 20.0)[None])
    assert len(rows) >= 1


@pytest.mark.parametrize(
    "tiles",
    [
        np.zeros((1, 416, 320), np.uint8),
        np.zeros((1, 400, 400), np.uint8),
        np.zeros((416, 416), np.uint8),
        np.zeros((1, 416, 416), np.float32),
    ],
)
def test_tiles_of_another_kind_are_refused(tiles: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError):
        detector().detect(tiles)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"batch": 0}, {"threshold": 1.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    given = {"threads": 1, "batch": 1, "threshold": 0.3, "nms_iou": 0.5} | wrong
    with pytest.raises(InputError):
        Detector(find_model(default_model_name()), **given)  # type: ignore[arg-type]


def test_bfloat16_is_used_where_the_cpu_has_it_and_refused_elsewhere() -> None:
    import openvino

    abilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    model = find_model(default_model_name())
    given = {"threads": 1, "batch": 1, "threshold": 0.3, "nms_iou": 0.5}
    if "BF16" in abilities:
        Detector(model, precision="bf16", **given)  # type: ignore[arg-type]
    else:
        with pytest.raises(ModelError, match="bfloat16"):
            Detector(model, precision="bf16", **given)  # type: ignore[arg-type]


def test_settings_name_all_that_the_boxes_may_depend_on() -> None:
    settings = detector(threads=2, batch=4).settings
    assert settings["threads"] == 2 and settings["batch"] == 4 and settings["precision"] == "f32"
    assert len(settings["weights_sha256"]) == 64 and settings["cpu"]


def test_real_craters_are_found(sample_data: Callable[[str], Path]) -> None:
    """THEMIS test tiles, never trained on, at the shipped threshold: F1 at least 0.85."""
    labelled = read_labelled(
        sample_data("mars_themis_yolo/images/test"), sample_data("mars_themis_yolo/labels/test")
    )
    threshold = find_model(default_model_name()).card["threshold"]
    found = [scan(detector(), item.pixels(), Scan((1.0,))) for item in labelled.files]
    judged = judge_all(labelled.pictures, found, Rules(min_px=10), threshold)
    right, false, missed = (sum(int(part(one).sum()) for one in judged) for part in _PARTS)
    assert right + missed == 106  # labels of 10 px and more off the edges, from the files
    assert 2 * right / (2 * right + false + missed) >= 0.85


_PARTS = (attrgetter("right"), attrgetter("false"), attrgetter("missed"))
