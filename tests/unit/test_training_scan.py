"""Searching a picture in memory, and the commands that judge what is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import circle_iou
from PIL import Image

from ingest.detector import Detector, default_model_name, find_model
from ingest.model_commands import model
from ingest.training.scan import Scan, scan, suppress_circles


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=100)
def test_circle_suppression_is_greedy_by_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 60, (2, 40))
    w, h = rng.uniform(3, 25, (2, 40))
    score = rng.choice([0.3, 0.5, 0.9], 40)  # ties: the larger goes first
    rows = np.column_stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2, score])
    radius = np.sqrt(w * h) / 2
    kept: list[int] = []
    for k in sorted(range(40), key=lambda k: (-score[k], -radius[k])):
        distance = np.hypot(x[kept] - x[k], y[kept] - y[k])
        if (circle_iou(distance, radius[kept], np.full(len(kept), radius[k])) < 0.3).all():
            kept.append(k)
    np.testing.assert_allclose(suppress_circles(rows, 0.3), rows[kept])


def test_overlapping_tiles_and_levels_find_a_crater_once() -> None:
    """A pit in the overlap of four tiles, seen at three levels."""
    rows, columns = np.indices((720, 720)) + 0.5
    r = np.hypot(columns - 360, rows - 360) / 24
    height = np.where(r < 1, 0.4 * (r**2 - 1) + 0.1, 0.1 * np.exp(-(r - 1) / 0.25)) * 24
    noise = np.random.default_rng(0).normal(0, 2, r.shape)
    picture = np.clip(125 + 110 * np.gradient(height, axis=1) + noise, 0, 255).astype(np.uint8)
    detector = Detector(
        find_model(default_model_name()), threads=1, batch=1, threshold=0.5, nms_iou=0.5
    )
    rows_found = scan(detector, picture, Scan((0.5, 1.0, 2.0)))
    (found,) = rows_found[rows_found[:, 2] - rows_found[:, 0] > 20]
    assert np.hypot((found[0] + found[2]) / 2 - 360, (found[1] + found[3]) / 2 - 360) < 3
    assert found[2] - found[0] == pytest.approx(48, rel=0.2)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(model, [str(word) for word in words], catch_exceptions=False)


def test_list_and_show_name_the_default() -> None:
    rows = json.loads(invoke("list", "--format", "json").stdout)
    assert [row["name"] for row in rows if row["default"]] == [default_model_name()]
    card = json.loads(invoke("show", "--format", "json").stdout)
    assert card["recipe"]["seed"] == 0
    assert "crater84" in card["data"]["excluded"]
    assert {"MC11E-D", "MC11E-K", "MC11E-L"} <= set(card["data"]["excluded"])


def test_no_test_picture_was_trained_on() -> None:
    sources = json.loads(invoke("show", "--format", "json").stdout)["data"]["sources"]
    held = {name for source in sources for name in source.get("held_out", [])}
    assert held and not any(name.startswith(("MC11E-D", "MC11E-K", "MC11E-L")) for name in held)
    assert {source["folder"]: source["images"] for source in sources if "folder" in source} == {
        "mars_themis_yolo": 598,  # 665 less 66 held out less crater84
        "mars_ctx_mc11e": 6,  # 10 less D, K, L less one held out
        "moon_nac_yolo": 9,
    }


def test_evaluate_judges_people_and_model_alike(
    sample_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """A person who marked exactly the labels is right about everything."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    for folder in (images, labels, tmp_path / "people"):
        folder.mkdir()
    source = sample_data("mars_themis_yolo/images/test")
    for path in sorted(source.iterdir())[:2]:
        with Image.open(path) as picture:
            picture.convert("L").save(images / f"{path.stem}.png")
        text = (path.parents[2] / "labels/test" / f"{path.stem}.txt").read_text()
        (labels / f"{path.stem}.txt").write_text(text)
        marks = ["annotator,xmin_px,ymin_px,xmax_px,ymax_px"]
        for line in text.splitlines():
            xc, yc, w, h = (416 * float(v) for v in line.split()[1:])
            marks.append(f"me,{xc - w / 2},{yc - h / 2},{xc + w / 2},{yc + h / 2}")
        (tmp_path / "people" / f"{path.stem}.csv").write_text("\n".join(marks))
    words = ("evaluate", "--images", images, "--labels", labels, "--levels", "1")
    words += ("--annotators", tmp_path / "people", "--picture", tmp_path / "out.png")
    report = json.loads(invoke(*words, "--format", "json").stdout)
    (me,) = [r for r in report["people"] if r["who"] == "me" and r["picture"] == "all marked"]
    assert (me["precision"], me["recall"], me["f1"]) == (1.0, 1.0, 1.0)
    (ours,) = [r for r in report["people"] if r["who"] == "model" and r["pictures"] == 2]
    assert ours["right"] == report["figures"]["right"]
    assert ours["right"] + ours["missed"] == me["right"]
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (1300, 850)
    assert "People and the model" in invoke(*words).stdout
