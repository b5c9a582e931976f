"""Model folders: what is refused, and that the shipped one is whole."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from cda_db.errors import ModelError, NotFoundError
from ingest.detector import Detector
from ingest.detector_files import (
    SHIPPED,
    default_model_name,
    find_model,
    find_with_precision,
    own_precision,
    shipped_models,
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / default_model_name(), tmp_path / "mine"))


def test_every_shipped_model_is_whole_and_small() -> None:
    for name in shipped_models():
        model = find_model(name)
        assert model.name == name
        assert model.card["weights_sha256"] == model.sha256.hex()
        for path in model.xml.parent.iterdir():
            assert path.stat().st_size < 8e6


def test_shipped_files_name_no_place_of_the_machine_they_were_made_on() -> None:
    places = {b"/home/", b"/Users/", str(Path.home()).encode() + b"/"}
    places |= {tempfile.gettempdir().encode() + b"/", str(SHIPPED.parents[2]).encode()}
    for path in SHIPPED.glob("*/*"):
        content = path.read_bytes()
        for place in places:
            assert place not in content, path


def test_a_model_is_found_by_its_folder(copy: Path) -> None:
    assert find_model(copy).sha256 == find_model(default_model_name()).sha256


def test_one_changed_byte_is_refused(copy: Path) -> None:
    content = bytearray((copy / "model.bin").read_bytes())
    content[1000] ^= 1
    (copy / "model.bin").write_bytes(content)
    with pytest.raises(ModelError, match="not those of its card"):
        find_model(copy)


def test_missing_parts_are_named(copy: Path) -> None:
    (copy / "model.bin").unlink()
    with pytest.raises(ModelError, match=r"model\.bin"):
        find_model(copy)


def test_a_card_without_calibration_is_refused(copy: Path) -> None:
    card = json.loads((copy / "card.json").read_text())
    del card["diameter_factor"]
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="diameter_factor"):
        find_model(copy)


def test_a_card_that_is_no_json_is_refused(copy: Path) -> None:
    (copy / "card.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        find_model(copy)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFoundError) as caught:
        find_model("no-such-model")
    assert default_model_name() in caught.value.remedy


def as_int8(copy: Path, made_from: str) -> None:
    """Turn a copy of a model into what its quantised sibling's folder looks like."""
    card = json.loads((copy / "card.json").read_text())
    card |= {"precision": "int8", "default": False, "made_from": {"weights_sha256": made_from}}
    (copy / "card.json").write_text(json.dumps(card))


def test_int8_is_the_sibling_that_was_made_from_these_weights(copy: Path) -> None:
    parent = find_model(copy)
    sibling = Path(shutil.copytree(copy, copy.with_name("mine_int8")))
    as_int8(sibling, parent.sha256.hex())
    assert own_precision(find_with_precision(copy, "int8")) == "int8"
    assert own_precision(find_with_precision(sibling, "int8")) == "int8"
    assert own_precision(find_with_precision(copy, "f32")) == "f32"
    as_int8(sibling, "00" * 32)
    with pytest.raises(ModelError, match="other weights"):
        find_with_precision(copy, "int8")
    with pytest.raises(NotFoundError):
        find_with_precision(sibling.parent / "other", "int8")


def test_shipped_int8_models_belong_to_their_parents() -> None:
    for name in shipped_models():
        if name.endswith("_int8"):
            assert find_with_precision(name.removesuffix("_int8"), "int8").name == name


def test_a_precision_that_is_not_the_model_s_is_refused(copy: Path) -> None:
    rest = {"threads": 1, "batch": 1, "threshold": 0.3, "nms_iou": 0.5}
    with pytest.raises(ModelError, match="is f32, not int8"):
        Detector(find_model(copy), precision="int8", **rest)
    as_int8(copy, "00" * 32)
    with pytest.raises(ModelError, match="is int8, not f32"):
        Detector(find_model(copy), precision="f32", **rest)
