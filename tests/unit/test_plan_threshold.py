"""Which threshold a run gets that names none: the model's for its kind of scenes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from ingest.detector_files import ModelFiles, default_model_name, find_model
from ingest.plan import RunRequest, configuration


@pytest.fixture
def files() -> ModelFiles:
    shipped = find_model(default_model_name())
    own = {"thresholds": {"THEMIS": 0.5, "CTX": 0.45}, "elevation_threshold": 0.1}
    return replace(shipped, card=shipped.card | {"threshold": 0.4} | own)


@pytest.mark.parametrize(
    ("kinds", "instruments", "expected"),
    [
        (["elevation"], [None], 0.1),
        (["elevation"], ["THEMIS"], 0.1),
        (["image"], ["THEMIS"], 0.5),
        (["image"], ["CTX"], 0.45),
        (["image"], ["THEMIS", "CTX"], 0.4),
        (["image"], ["THEMIS", None], 0.4),
        (["image"], ["HRSC"], 0.4),
        (["image"], [None], 0.4),
        (["elevation", "image"], ["THEMIS"], 0.4),
        ([], [], 0.4),
    ],
)
def test_threshold_follows_kind_and_instrument_of_the_scenes(
    files: ModelFiles,
    kinds: Collection[str],
    instruments: Collection[str | None],
    expected: float,
) -> None:
    request = RunRequest("r", "moon", "1")
    assert configuration(request, files, kinds, instruments).score_threshold == expected
    named = replace(request, threshold=0.25)
    assert configuration(named, files, kinds, instruments).score_threshold == 0.25


def test_a_card_without_one_for_elevations_has_one_for_all(files: ModelFiles) -> None:
    card = {key: value for key, value in files.card.items() if key != "elevation_threshold"}
    one = replace(files, card=card)
    config = configuration(RunRequest("r", "moon", "1"), one, ["elevation"])
    assert config.score_threshold == 0.4
