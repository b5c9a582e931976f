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
    return replace(shipped, card=shipped.card | {"threshold": 0.4, "elevation_threshold": 0.1})


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["elevation"], 0.1),
        (["image"], 0.4),
        (["elevation", "image"], 0.4),
        ([], 0.4),
    ],
)
def test_threshold_follows_the_kind_of_scenes(
    files: ModelFiles, kinds: Collection[str], expected: float
) -> None:
    request = RunRequest("r", "moon", "1")
    assert configuration(request, files, kinds).score_threshold == expected
    named = replace(request, threshold=0.25)
    assert configuration(named, files, kinds).score_threshold == 0.25


def test_a_card_without_one_for_elevations_has_one_for_all(files: ModelFiles) -> None:
    card = {key: value for key, value in files.card.items() if key != "elevation_threshold"}
    one = replace(files, card=card)
    config = configuration(RunRequest("r", "moon", "1"), one, ["elevation"])
    assert config.score_threshold == 0.4
