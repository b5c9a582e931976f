"""A whole training in small: crops, an epoch, an interruption, a card, an exported detector."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cda_db.errors import ModelError, StateError
from ingest.detector import Detector, default_model_name, find_model
from ingest.training.crops import CropRule, cut, window_affine
from ingest.training.dataset import DataRequest, build
from ingest.training.export import export_openvino, file_sha256, strip
from ingest.training.finish import Finish, finish
from ingest.training.folders import find_images, write_yolo
from ingest.training.scan import Scan
from ingest.training.thresholds import LabelFolder
from ingest.training.train import Recipe, train

pytestmark = pytest.mark.train

SIDE = 192
RULE = CropRule(side=96, turned=6)
RECIPE = Recipe(epochs=2, imgsz=96, batch=8, close_mosaic=1)


def ground(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Noise with eight lit pits, and their boxes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((SIDE, SIDE)) + 0.5
    picture = 120 + rng.normal(0, 6, (SIDE, SIDE))
    boxes = []
    for _ in range(8):
        x, y, r = *rng.uniform(20, SIDE - 20, 2), rng.uniform(5, 14)
        inside = np.hypot(columns - x, rows - y) < r
        picture += np.where(inside, 70 * (columns - x) / r, 0)
        boxes.append((x - r, y - r, x + r, y + r))
    return np.clip(picture, 0, 255).astype(np.uint8), np.array(boxes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataRequest:
    root = tmp_path_factory.mktemp("pits")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    for k in range(6):
        picture, boxes = ground(k)
        Image.fromarray(picture).save(root / "images" / f"pit{k}.png")
        write_yolo(root / "labels" / f"pit{k}.txt", boxes, SIDE, SIDE)
    return DataRequest((root,), exclude=("pit5",), holdout=0.2, crop=RULE)


@pytest.fixture(scope="module")
def trained(data: DataRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    train(data, RECIPE, work, threads=1)
    return work


def test_crops_hold_no_excluded_and_no_held_out_image(data: DataRequest, tmp_path: Path) -> None:
    record = build(data, tmp_path)
    (held,) = record["sources"][0]["held_out"]
    names = {path.name.split("-")[1] for path in (tmp_path / "images/train").iterdir()}
    assert names == {f"pit{k}" for k in range(5)} - {held}
    assert {p.name.split("-")[1] for p in (tmp_path / "images/val").iterdir()} == {held}
    assert record["crops"]["train"] == len(list((tmp_path / "labels/train").iterdir()))


def test_the_same_seed_makes_the_same_crops(data: DataRequest, tmp_path: Path) -> None:
    for name in ("a", "b"):
        build(data, tmp_path / name)
    for path in (tmp_path / "a/images/train").iterdir():
        twin = tmp_path / "b/images/train" / path.name
        assert path.read_bytes() == twin.read_bytes()


def test_a_plain_native_crop_is_the_images_own_pixels() -> None:
    picture, _ = ground(0)
    crop = cut(picture, window_affine(30, 50, 1.0), 96)
    np.testing.assert_array_equal(crop, picture[50:146, 30:126])


def test_outside_the_image_a_crop_holds_the_mean_of_the_inside() -> None:
    picture = np.full((50, 50), 90, np.uint8)
    np.testing.assert_array_equal(cut(picture, window_affine(-20, -20, 1.0), 96), 90)


def test_a_finished_run_returns_at_once_and_keeps_its_weights(
    data: DataRequest, trained: Path
) -> None:
    last = trained / "run" / "weights" / "last.pt"
    before = file_sha256(last)
    train(data, RECIPE, trained, threads=1)
    assert file_sha256(last) == before


def test_another_recipe_in_the_same_folder_is_refused(data: DataRequest, trained: Path) -> None:
    with pytest.raises(StateError):
        train(data, replace(RECIPE, lr0=0.1), trained, threads=1)


def test_the_share_of_the_parent_in_the_mean_is_no_other_run(
    data: DataRequest, trained: Path
) -> None:
    last = trained / "run" / "weights" / "last.pt"
    before = file_sha256(last)
    train(data, replace(RECIPE, parent_share=0.3), trained, threads=1)
    assert file_sha256(last) == before


def losses(run: Path) -> NDArray[np.float64]:
    """Box, class and distance losses of each epoch, shape (epochs, 3)."""
    with (run / "run" / "results.csv").open(newline="") as file:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
    names = ("train/box_loss", "train/cls_loss", "train/dfl_loss")
    return np.array([[float(row[name]) for name in names] for row in rows])


def test_in_bf16_the_losses_are_those_of_f32_to_its_three_digits(
    data: DataRequest, trained: Path, tmp_path: Path
) -> None:
    train(data, replace(RECIPE, precision="bf16"), tmp_path, threads=1)
    rounded, exact = losses(tmp_path), losses(trained)
    np.testing.assert_allclose(rounded, exact, rtol=0.05)
    assert (rounded != exact).any()  # it was used


class InterruptError(Exception):
    """What stops the run in the next test."""


def test_an_interrupted_run_goes_on(data: DataRequest, tmp_path: Path) -> None:
    def stop(epoch: int, epochs: int, loss: float) -> None:
        if epoch == 2:
            raise InterruptError

    recipe = replace(RECIPE, epochs=3)
    with pytest.raises(InterruptError):
        train(data, recipe, tmp_path, threads=1, progress=stop)
    epochs: list[int] = []
    train(data, recipe, tmp_path, threads=1, progress=lambda e, n, loss: epochs.append(e))
    assert epochs == [2, 3]
    assert len((tmp_path / "run/results.csv").read_text().splitlines()) == 4


def test_the_same_seed_gives_the_same_losses(
    data: DataRequest, trained: Path, tmp_path: Path
) -> None:
    train(data, RECIPE, tmp_path, threads=1)
    rows = [
        [line.split(",")[2:5] for line in (root / "run/results.csv").read_text().splitlines()[1:]]
        for root in (trained, tmp_path)
    ]
    np.testing.assert_allclose(np.array(rows[0], float), np.array(rows[1], float), rtol=1e-3)


def test_training_goes_on_from_the_parents_weights(data: DataRequest, tmp_path: Path) -> None:
    """With a vanishing learning rate the convolutions stay those of the parent."""
    from ingest.training.export import load_checkpoint

    parent = find_model(default_model_name())
    assert parent.pt is not None
    digest = parent.card["pt_sha256"]
    recipe = replace(
        RECIPE, epochs=1, lr0=1e-9, parent=parent.name, parent_pt_sha256=digest, close_mosaic=0
    )
    run = train(data, recipe, tmp_path, threads=1, parent=parent)
    last = run / "weights" / "last.pt"
    before, after = (
        load_checkpoint(path, sha, 1).model.float().state_dict()
        for path, sha in ((parent.pt, digest), (last, file_sha256(last)))
    )
    weights = [name for name in before if name.endswith("conv.weight") and "dfl" not in name]
    assert len(weights) > 50
    for name in weights:
        np.testing.assert_allclose(after[name].numpy(), before[name].numpy(), atol=1e-3)


def test_the_average_lies_between_network_and_parent(trained: Path, tmp_path: Path) -> None:
    """Share 0.25 of the parent, weight by weight, to the precision of half-precision weights."""
    from ingest.training.export import average, load_checkpoint

    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    strip(trained / "run/weights/last.pt", first, 1)
    parent = find_model(default_model_name())
    assert parent.pt is not None
    shutil.copy(first, second)
    average(second, parent.pt, parent.card["pt_sha256"], 0.25, 1)
    new, mixed = (
        load_checkpoint(path, file_sha256(path), 1).model.float().state_dict()
        for path in (first, second)
    )
    old = load_checkpoint(parent.pt, parent.card["pt_sha256"], 1).model.float().state_dict()
    for name in (name for name in new if name.endswith("conv.weight")):
        expected = 0.75 * new[name].numpy() + 0.25 * old[name].numpy()
        np.testing.assert_allclose(mixed[name].numpy(), expected, rtol=2e-3, atol=1e-6)


def test_a_parent_of_another_hash_is_refused(data: DataRequest, tmp_path: Path) -> None:
    parent = find_model(default_model_name())
    recipe = replace(RECIPE, parent=parent.name, parent_pt_sha256="0" * 64)
    with pytest.raises(ModelError, match="is not the file"):
        train(data, recipe, tmp_path, threads=1, parent=parent)


def test_a_model_that_finds_nothing_is_not_calibrated(
    data: DataRequest, trained: Path, tmp_path: Path
) -> None:
    root = data.folders[0]
    order = Finish(
        tmp_path / "pits",
        LabelFolder(root / "images", root / "labels"),
        how=Scan((1.0,), tile=192, overlap=64),
    )
    with pytest.raises(ModelError, match="too few to calibrate"):
        finish(trained / "run", trained, data, RECIPE, order, threads=1)


def test_a_finished_model_has_a_card_and_detects(
    sample_data: Callable[[str], Path], trained: Path, tmp_path: Path
) -> None:
    """The last steps, on real tiles, with the shipped weights in place of a long training's."""
    shipped = find_model(default_model_name())
    assert shipped.pt is not None
    source = sample_data("mars_themis_yolo")
    few = tmp_path / "few"
    for part in ("images", "labels", "rims"):
        (few / part).mkdir(parents=True)
    for item in find_images(source)[:24]:
        shutil.copy(item.image, few / "images")
        shutil.copy(item.label, few / "labels")
        shutil.copy(source / "labels_catalogue/train" / item.label.name, few / "rims")
    data = DataRequest((few,), holdout=0.2, crop=CropRule(turned=2))
    work = tmp_path / "work"
    (work / "run" / "weights").mkdir(parents=True)
    shutil.copy(shipped.pt, work / "run" / "weights" / "last.pt")
    shutil.copy(trained / "run" / "results.csv", work / "run")
    build(data, work / "data")

    out = tmp_path / "model"
    order = Finish(
        out,
        LabelFolder(few / "images", few / "rims"),
        instruments=(("few", "THEMIS"), ("other", "CTX")),
        least_precision=(("CTX", 0.9),),
        how=Scan((1.0,)),
    )
    model = finish(work / "run", work, data, RECIPE, order, threads=1)

    card = json.loads((out / "card.json").read_text())
    assert card["data"]["sources"][0]["folder"] == "few"
    assert card["recipe"]["seed"] == 0 and card["epochs_run"] == 2
    assert card["weights_sha256"] == model.sha256.hex()
    assert 0.05 <= card["threshold"] <= 0.95
    # the one set is THEMIS's: one and the same choice
    assert card["thresholds"] == {"THEMIS": card["threshold"]}
    assert card["least_precision"] == {"CTX": 0.9}
    assert model.threshold_for("THEMIS") == model.threshold_for(None) == card["threshold"]
    assert card["diameter_factor"] == pytest.approx(1, abs=0.15)
    assert (out / "curves.png").stat().st_size > 1000
    for path in out.iterdir():
        assert str(tmp_path.parent).encode() not in path.read_bytes(), path
    tile = find_images(source, split="test")[0].pixels()
    (expected,), (found,) = (
        Detector(which, threads=1, batch=1, threshold=0.25, nms_iou=0.5).detect(tile[None])
        for which in (shipped, find_model(out))
    )
    np.testing.assert_allclose(found, expected, atol=0.5)


def test_openvino_and_torch_agree(trained: Path, tmp_path: Path) -> None:
    """The exported network's raw output is torch's, to the precision of half-precision weights."""
    import openvino
    import torch

    from ingest.training.export import load_checkpoint

    strip(trained / "run/weights/last.pt", tmp_path / "model.pt", 1)
    digest = file_sha256(tmp_path / "model.pt")
    export_openvino(tmp_path / "model.pt", digest, tmp_path, 1)
    shutil.copy(tmp_path / "model.pt", tmp_path / "twin.pt")
    torch_net = load_checkpoint(tmp_path / "twin.pt", digest, 1).model.float().eval()
    image = np.repeat(ground(3)[0][None, None].astype(np.float32) / 255, 3, axis=1)
    with torch.no_grad():
        expected = torch_net(torch.from_numpy(image))[0].numpy()
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(tmp_path / "model.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    found = compiled(image)[0]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found[:, 4], expected[:, 4], atol=0.01)
    np.testing.assert_allclose(found[:, :4], expected[:, :4], atol=0.5)
