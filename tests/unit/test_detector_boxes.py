"""Decoding and suppression of the network's raw output, against hand counts and brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.detector_boxes import decode, suppress


def raw_of(*columns: tuple[float, float, float, float, float]) -> NDArray[np.float32]:
    return np.array(columns, dtype=np.float32).T


def test_decode_turns_centres_into_clipped_corners_best_first() -> None:
    raw = raw_of((50, 40, 20, 10, 0.6), (3, 50, 10, 10, 0.9), (10, 10, 4, 4, 0.1))
    rows = decode(raw, side=64, threshold=0.25)
    expected = np.array([[0, 45, 8, 55, 0.9], [40, 35, 60, 45, 0.6]], dtype=np.float32)
    np.testing.assert_array_equal(rows, expected)


def test_decode_drops_what_lies_outside_the_tile() -> None:
    assert decode(raw_of((-20, 10, 8, 8, 0.9)), side=64, threshold=0.25).shape == (0, 5)


def test_equal_scores_have_one_order_whatever_the_networks_order() -> None:
    columns = [(30, 30, 8, 8, 0.5), (10, 30, 8, 8, 0.5), (10, 10, 8, 8, 0.5)]
    one = decode(raw_of(*columns), 64, 0.1)
    other = decode(raw_of(*columns[::-1]), 64, 0.1)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one[:, 0], [6, 6, 26])


def test_suppression_keeps_a_small_crater_inside_a_large_one() -> None:
    rows = np.array([[0, 0, 100, 100, 0.9], [40, 40, 60, 60, 0.8]], dtype=np.float32)
    np.testing.assert_array_equal(suppress(rows, 0.5), rows)


def test_what_a_suppressed_box_overlaps_is_not_suppressed_by_it() -> None:
    # a overlaps b, b overlaps c, a does not overlap c enough: c stays (IoU 6/14, 6/14, 2/18).
    rows = np.array([[0, 0, 10, 1, 0.9], [4, 0, 14, 1, 0.8], [8, 0, 18, 1, 0.7]], dtype=np.float32)
    np.testing.assert_array_equal(suppress(rows, 0.4), rows[[0, 2]])


boxes = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30)),
    max_size=25,
)


@given(boxes, st.sampled_from([0.3, 0.5, 0.7]))
def test_suppression_equals_the_definition(
    found: list[tuple[int, int, int, int]], iou: float
) -> None:
    rows = np.array(
        [(x, y, x + w, y + h, 1 - 0.01 * k) for k, (x, y, w, h) in enumerate(found)],
        dtype=np.float32,
    ).reshape(-1, 5)
    kept: list[NDArray[np.float32]] = []
    for row in rows:
        if all(_iou(row, better) <= iou for better in kept):
            kept.append(row)
    np.testing.assert_array_equal(suppress(rows, iou), np.array(kept).reshape(-1, 5))


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """IoU by counting unit squares: corners are whole numbers here."""
    cells = [
        {(x, y) for x in range(int(r[0]), int(r[2])) for y in range(int(r[1]), int(r[3]))}
        for r in (a, b)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])
