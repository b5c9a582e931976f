"""Light by the labelled craters, and hills by the light: drawn bowls and domes of known shading."""

from __future__ import annotations

import numpy as np
import pytest
from cratered import bowls_and_domes
from hypothesis import given
from hypothesis import strategies as st

from ingest.light import slopes
from ingest.training.lighting import light_of, lit_otherwise


@given(st.floats(0, 360), st.sets(st.integers(0, 7), max_size=4))
def test_hills_are_those_lit_from_the_other_side(azimuth: float, hills: set[int]) -> None:
    """Light from anywhere; the craters that are labelled say from where."""
    pixels, boxes = bowls_and_domes(azimuth, hills)
    craters = np.array([k not in hills for k in range(len(boxes))])
    light = light_of(pixels, boxes[craters])
    assert light is not None
    np.testing.assert_array_equal(lit_otherwise(pixels, boxes, light, 0.3), ~craters)
    assert not lit_otherwise(pixels, boxes, light, np.inf).any()


def test_light_from_the_west_makes_craters_bright_in_the_east() -> None:
    pixels, boxes = bowls_and_domes(270, set())
    light = light_of(pixels, boxes)
    assert light is not None
    # a disc of brightness x: half means +-4R/(3 pi), deviation in its box R sqrt(pi / 16)
    expected = 2 * 4 / (3 * np.pi) * (np.pi / 4) / np.sqrt(np.pi / 16)
    assert light[0] == pytest.approx(expected, abs=0.1)
    assert light[1] == pytest.approx(0, abs=0.1)


def test_no_light_without_enough_craters_that_agree() -> None:
    pixels, boxes = bowls_and_domes(270, {0, 1, 2, 3})
    assert light_of(pixels, boxes) is None  # four each way
    assert light_of(pixels, boxes[4:6]) is None  # two
    assert light_of(pixels, boxes[:0]) is None
    small, at = bowls_and_domes(270, set(), radius=4.0)
    assert light_of(small, at) is None  # of 8 px


def test_boxes_without_two_sides_have_no_slope() -> None:
    """Flat ground, less than three pixels, outside the picture: never a hill."""
    flat = np.full((50, 50), 90, dtype=np.uint8)
    boxes = np.array([[10, 10, 30, 30], [48.6, 10, 70, 30], [60, 60, 80, 80]], float)
    assert np.isnan(slopes(flat, boxes)).all()
    noisy = np.random.default_rng(0).integers(0, 255, (50, 50)).astype(np.uint8)
    assert np.isnan(slopes(noisy, boxes[1:])).all()
    assert not lit_otherwise(noisy, boxes[1:], np.array([1.0, 0.0]), 0.3).any()
