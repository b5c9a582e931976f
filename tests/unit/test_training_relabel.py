"""Labels completed by a teacher and boxes drawn in: what changes, and what must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cda_db.errors import InputError
from ingest.model_relabel import relabel as command
from ingest.training.dataset import DataRequest, split_folders
from ingest.training.folders import find_images
from ingest.training.judging import sizes
from ingest.training.relabel import Relabel, new_finds, parse_size_factors, relabel, scale_boxes

NOTHING = np.empty((0, 4))


def test_size_factors_as_people_write_them() -> None:
    assert parse_size_factors("") == ()
    assert parse_size_factors("0.8") == ((1.0, 0.8),)
    assert parse_size_factors("8:0.75,24:1") == ((8.0, 0.75), (24.0, 1.0))


@pytest.mark.parametrize("text", ["a", "8:", "8:0.7,8:0.8", "24:1,8:0.7", "8:0", "-8:1", "8:1:2"])
def test_wrong_size_factors_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_size_factors(text)


def test_boxes_shrink_about_their_centres_by_the_factor_of_their_size() -> None:
    """4 px: 0.5 (below the first knot); 16 px: half way in log size from 8 to 32; 64 px: 1."""
    boxes = np.array([[8, 8, 12, 12], [12, 16, 28, 32], [0, 0, 64, 64]], float)
    np.testing.assert_allclose(
        scale_boxes(boxes, ((8.0, 0.5), (32.0, 1.0))),
        [[9, 9, 11, 11], [14, 18, 26, 30], [0, 0, 64, 64]],
    )


@given(st.floats(0.2, 3), st.lists(st.tuples(*[st.floats(1, 300)] * 4), max_size=9))
def test_one_factor_keeps_centre_and_shape(
    factor: float, rows: list[tuple[float, float, float, float]]
) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in rows]).reshape(-1, 4)
    scaled = scale_boxes(boxes, ((1.0, factor),))
    np.testing.assert_allclose(scaled[:, :2] + scaled[:, 2:], boxes[:, :2] + boxes[:, 2:])
    np.testing.assert_allclose(
        scaled[:, 2:] - scaled[:, :2], factor * (boxes[:, 2:] - boxes[:, :2]), rtol=1e-9
    )


def test_a_find_becomes_a_label_if_it_is_sure_large_and_new() -> None:
    labels = np.array([[0, 0, 100, 100]], float)
    found = np.array(
        [
            [200, 200, 210, 210, 0.9],  # new
            [30, 30, 40, 40, 0.9],  # nested in a labelled crater: new, IoU 0.01
            [5, 5, 95, 95, 0.9],  # the labelled crater itself
            [300, 300, 310, 310, 0.3],  # unsure
            [320, 320, 323, 323, 0.9],  # small
        ]
    )
    np.testing.assert_array_equal(new_finds(labels, found, Relabel()), found[:2, :4])
    np.testing.assert_array_equal(new_finds(NOTHING, found[2:3], Relabel()), found[2:3, :4])
    assert not len(new_finds(labels, found[:0], Relabel()))


def test_small_finds_have_a_score_of_their_own() -> None:
    """9.9 px and 10 px on either side of the limit; each just at and just under its score."""
    sides, scores = [9.9, 9.9, 10.0, 10.0, 30.0], [0.2, 0.19, 0.4, 0.39, 0.2]
    rows = [[40 * k, 0, 40 * k + sides[k], sides[k], scores[k]] for k in range(len(sides))]
    found = np.array(rows)
    kept = new_finds(NOTHING, found, Relabel(score=0.4, small=(10.0, 0.2)))
    np.testing.assert_array_equal(kept, found[[0, 2], :4])
    np.testing.assert_array_equal(new_finds(NOTHING, found, Relabel(score=0.4)), found[[2], :4])


def pictures(root: Path, count: int) -> Path:
    """A YOLO folder of flat pictures with one box of 20 px in each."""
    for part in ("images", "labels"):
        (root / part / "train").mkdir(parents=True)
    for k in range(count):
        Image.new("L", (100, 50), 90).save(root / f"images/train/p{k}.png")
        (root / f"labels/train/p{k}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    return root


def test_command_scales_every_box_and_says_so(tmp_path: Path) -> None:
    source, out = pictures(tmp_path / "from", 3), tmp_path / "to"
    words = ["--data", str(source), "--box-scale", "0.5", "--out", str(out), "--format", "json"]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    for old, new in zip(find_images(source), find_images(out), strict=True):
        np.testing.assert_allclose(new.boxes(), [[45, 20, 55, 30]])
        assert new.image.read_bytes() == old.image.read_bytes()
    record = json.loads((out / "relabel.json").read_text())
    assert (record["images"], record["labels_before"], record["labels_added"]) == (3, 3, 0)
    assert record["from"] == "from" and record["teacher"] is None
    assert str(tmp_path) not in json.dumps(record)
    with pytest.raises(InputError, match="not empty"):
        relabel(source, out, Relabel(), None, 1)


def test_a_teacher_completes_training_pictures_and_leaves_held_out_ones(
    sample_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Six real tiles whose labels are taken away: the teacher gives back most, but not in the
    picture that training will hold out."""
    from ingest.detector_files import default_model_name, find_model

    known = find_images(sample_data("mars_themis_yolo"), split="test")[:6]
    source, out = tmp_path / "bare", tmp_path / "full"
    for part in ("images", "labels"):
        (source / part).mkdir(parents=True)
    for item in known:
        (source / "images" / item.image.name).write_bytes(item.image.read_bytes())
        (source / "labels" / item.label.name).write_text("")
    rule = Relabel(holdout=0.2)
    record = relabel(source, out, rule, find_model(default_model_name()), 1)
    ((_, _, held),) = split_folders(DataRequest((out,), holdout=0.2))
    assert len(held) == 1 and not len(held[0].boxes())
    kept = [item for item in known if item.name != held[0].name]
    large = sum(int((sizes(item.boxes()) >= 10).sum()) for item in kept)
    again = sum(
        int((sizes(item.boxes()) >= 10).sum())
        for item in find_images(out)
        if item.name != held[0].name
    )
    assert record["labels_added"] >= again >= 0.7 * large


def test_hills_that_a_teacher_finds_do_not_become_labels(
    sample_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Tiles with many knobs, at a score low enough that any detector takes some for craters.

    What stays is what stays without the rule, less what is dark where craters are bright.
    """
    from ingest.detector_files import default_model_name, find_model

    names = {"crater442", "crater647", "crater742"}
    known = [i for i in find_images(sample_data("mars_themis_yolo")) if i.name in names]
    source = tmp_path / "knobs"
    for part in ("images", "labels"):
        (source / part).mkdir(parents=True)
    for item in known:
        (source / "images" / item.image.name).write_bytes(item.image.read_bytes())
        (source / "labels" / item.label.name).write_text(item.label.read_text())
    teacher, all_finds = find_model(default_model_name()), tmp_path / "all"
    kept = relabel(source, tmp_path / "kept", Relabel(score=0.15, holdout=0.0), teacher, 1)
    rule = Relabel(score=0.15, holdout=0.0, against_light=np.inf)
    everything = relabel(source, all_finds, rule, teacher, 1)

    assert everything["finds_lit_otherwise"] == 0 and kept["finds_lit_otherwise"] >= 5
    assert kept["labels_added"] + kept["finds_lit_otherwise"] == everything["labels_added"]
    for item, more in zip(find_images(tmp_path / "kept"), find_images(all_finds), strict=True):
        pixels = item.pixels().astype(float)
        stayed = {tuple(box) for box in item.boxes().round(1)}
        for x0, y0, x1, y1 in more.boxes():
            if tuple(np.round((x0, y0, x1, y1), 1)) in stayed:
                continue
            part = pixels[round(y0) : round(y1), round(x0) : round(x1)]
            middle = part.shape[1] // 2
            assert part[:, :middle].mean() > part[:, -middle:].mean()  # light comes from the west
