"""The ignore rules and the figures, on cases small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.training.figures import (
    average_precision,
    by_size,
    diameters,
    rates,
    summary,
    unit_counts,
)
from ingest.training.judging import Judged, Picture, Rules, judge, judge_all

Boxes = NDArray[np.float64]


def squares(*rows: tuple[float, float, float]) -> Boxes:
    """Boxes of (centre x, centre y, side)."""
    return np.array([(x - d / 2, y - d / 2, x + d / 2, y + d / 2) for x, y, d in rows])


def scored(boxes: Boxes, *scores: float) -> Boxes:
    return np.column_stack([boxes, scores])


def counts(judged: Judged) -> tuple[int, int, int]:
    return int(judged.right.sum()), int(judged.false.sum()), int(judged.missed.sum())


def test_right_false_and_missed() -> None:
    picture = Picture("a", 200, 200, squares((50, 50, 20), (100, 100, 20)))
    found = scored(squares((51, 50, 20), (150, 150, 20)), 0.9, 0.8)
    assert counts(judge(picture, found, Rules())) == (1, 1, 1)


def test_small_objects_are_ignored_on_both_sides() -> None:
    picture = Picture("a", 200, 200, squares((50, 50, 8), (100, 100, 9)))
    # A small false one, and a counted-size one on a small label: neither helps nor harms.
    found = scored(squares((150, 150, 8), (100, 100, 11)), 0.9, 0.8)
    assert counts(judge(picture, found, Rules())) == (0, 0, 0)


def test_a_counted_label_may_be_matched_by_a_smaller_detection() -> None:
    picture = Picture("a", 200, 200, squares((50, 50, 10.2)))
    assert counts(judge(picture, scored(squares((50, 50, 9.8)), 0.9), Rules())) == (1, 0, 0)


def test_objects_cut_by_the_edge_are_ignored_on_both_sides() -> None:
    picture = Picture("a", 200, 200, squares((10, 50, 20)))
    found = scored(squares((190, 100, 20)), 0.9)
    assert counts(judge(picture, found, Rules())) == (0, 0, 0)


def test_a_repeat_is_false() -> None:
    picture = Picture("a", 200, 200, squares((50, 50, 20)))
    found = scored(squares((50, 50, 20), (52, 50, 20)), 0.9, 0.8)
    assert counts(judge(picture, found, Rules())) == (1, 1, 0)


@pytest.mark.parametrize(
    ("shift", "side", "right"),
    [(4.9, 20, 1), (5.1, 20, 0), (0, 16.1, 1), (0, 15.9, 0), (0, 25.1, 0)],
)
def test_the_strict_rule(shift: float, side: float, right: int) -> None:
    picture = Picture("a", 200, 200, squares((50, 50, 20)))
    found = scored(squares((50 + shift, 50, side)), 0.9)
    assert counts(judge(picture, found, Rules(measure="strict")))[0] == right


def test_the_strict_rule_finds_its_farthest_pairs() -> None:
    picture = Picture("a", 200, 200, squares((50, 50, 20)))
    for side in (16.01, 24.99):
        found = scored(squares((54.99, 50, side)), 0.9)
        assert counts(judge(picture, found, Rules(measure="strict"))) == (1, 0, 0)


def test_rates_by_hand() -> None:
    np.testing.assert_allclose(rates(np.array([6, 2, 4])), [0.75, 0.6, 12 / 18])
    assert np.isnan(rates(np.array([0, 0, 0]))).all()


def test_blocks_hold_what_lies_in_them() -> None:
    picture = Picture("a", 1000, 700, squares((100, 100, 20), (600, 600, 20)))
    judged = judge(picture, scored(squares((100, 100, 20), (600, 100, 20)), 0.9, 0.9), Rules())
    np.testing.assert_array_equal(
        unit_counts([judged], 500), [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]]
    )


def test_intervals_hold_the_figure_and_vanish_where_all_pictures_agree() -> None:
    same = [
        judge(
            Picture(str(k), 200, 200, squares((50, 50, 20), (150, 150, 20))),
            scored(squares((50, 50, 20)), 0.9),
            Rules(),
        )
        for k in range(25)
    ]
    figures = summary(same)
    assert figures["recall"] == 0.5 and figures["recall_95"] == [0.5, 0.5]
    assert figures["bootstrap_units"] == "25 pictures"
    odd = judge(Picture("x", 200, 200, squares((50, 50, 20))), np.empty((0, 5)), Rules())
    figures = summary([*same, odd])
    low, high = figures["recall_95"]
    assert low < figures["recall"] < high or high == 0.5


def test_size_bins_take_recall_by_label_and_precision_by_detection() -> None:
    picture = Picture("a", 400, 400, squares((50, 50, 9), (100, 100, 20), (200, 200, 21)))
    found = scored(squares((50, 50, 9), (100, 100, 22), (300, 300, 24)), 0.9, 0.9, 0.9)
    rows = {row["from_px"]: row for row in by_size([judge(picture, found, Rules(min_px=0))], 1.0)}
    assert rows[16.0]["labels"] == 2 and rows[16.0]["recall"] == 0.5
    assert rows[16.0]["detections"] == 1 and rows[16.0]["precision"] == 1.0
    assert rows[16.0]["diameter_bias"] == pytest.approx(0.1)
    assert rows[22.63]["detections"] == 1 and rows[22.63]["precision"] == 0.0
    assert rows[8.0]["recall"] == 1.0 and rows[22.63]["labels"] == 0


def test_diameters_use_the_factor() -> None:
    picture = Picture("a", 400, 400, squares((50, 50, 20), (100, 100, 20)))
    found = scored(squares((50, 50, 20), (100, 100, 22)), 0.9, 0.9)
    figures = diameters([judge(picture, found, Rules())], 0.95)
    assert figures["pairs"] == 2
    assert figures["bias"] == pytest.approx((0.95 + 1.045) / 2 - 1, abs=1e-4)
    assert figures["scatter"] == pytest.approx(0.0475, abs=1e-4)


def test_average_precision_by_hand() -> None:
    # By score: right, false, right; three labels. Envelope 1, 2/3: (1 + 2/3) / 3.
    picture = Picture("a", 400, 400, squares((50, 50, 20), (100, 100, 20), (200, 200, 20)))
    found = scored(squares((50, 50, 20), (300, 300, 20), (100, 100, 20)), 0.9, 0.8, 0.7)
    judged = judge_all([picture], [found], Rules())
    assert average_precision([picture], [found], judged, 0.5) == pytest.approx(5 / 9, abs=1e-4)


def test_average_precision_ignores_alike() -> None:
    picture = Picture("a", 400, 400, squares((50, 50, 20), (100, 100, 8)))
    found = scored(squares((100, 100, 11), (300, 300, 8), (50, 50, 20)), 0.9, 0.8, 0.7)
    judged = judge_all([picture], [found], Rules())
    assert average_precision([picture], [found], judged, 0.5) == 1.0
