"""Craters of a run against a list, on the sphere: counted by hand."""

from __future__ import annotations

import hpgeom
import numpy as np
import pytest
from numpy.typing import NDArray

from cda_db.bodies import get_body
from ingest.training.catalogues import Window
from ingest.training.on_sphere import Contest, Ground, evaluate_on_sphere

MARS = get_body("mars")
ORDER = 6
Rows = NDArray[np.float64]


def around(lon: float, lat: float, degrees: float) -> Ground:
    """Every cell whose centre lies so near to a point."""
    cells = np.arange(12 * 4**ORDER)
    at = np.column_stack(hpgeom.pixel_to_angle(2**ORDER, cells))
    n = len(cells)
    _, _, metres = MARS.geod().inv(at[:, 0], at[:, 1], np.full(n, lon), np.full(n, lat))
    inside = cells[np.asarray(metres) < np.radians(degrees) * MARS.radius_m]
    return Ground(((ORDER, np.column_stack([inside, inside + 1])),))


def contest(found: list[list[float]], listed: list[list[float]], complete: bool = True) -> Contest:
    return Contest(
        np.array(found, float).reshape(-1, 4), np.array(listed, float).reshape(-1, 3),
        MARS, around(180.0, 0.0, 10.0), complete, 50_000.0,
    )  # fmt: skip


# Across +-180: two found (one of them 10 % large), one missed, one outside the window of 5-40 km,
# one on the ground's edge (10 degrees away, 30 km across), one where nobody looked.
LISTED = [
    [179.9, 0.0, 10_000.0],
    [-179.0, 2.0, 20_000.0],
    [178.0, -3.0, 8_000.0],
    [177.0, 4.0, 4_000.0],
    [170.2, 0.0, 120_000.0],
    [0.0, 0.0, 10_000.0],
]
FOUND = [
    [179.9, 0.0, 10_000.0, 0.9],
    [-179.0, 2.0, 22_000.0, 0.8],
    [177.0, 4.0, 5_500.0, 0.7],  # right size, on a listed one that is ignored: neither
    [175.0, 1.0, 6_000.0, 0.6],  # false
    [176.0, 1.0, 3_000.0, 0.95],  # too small to be judged
    [0.0, 5.0, 10_000.0, 0.9],  # where nobody looked
]
WINDOW = Window(5.0, 40.0)


def test_counts_by_hand() -> None:
    report = evaluate_on_sphere(contest(FOUND, LISTED), WINDOW, 0.45)
    figures = report["figures"]
    assert (figures["right"], figures["false"], figures["missed"]) == (2, 1, 1)
    assert figures["precision"] == figures["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["diameters"]["pairs"] == 2
    assert report["diameters"]["bias"] == pytest.approx(0.05, abs=1e-4)
    every = report["all_sizes"]
    assert (every["right"], every["false"], every["missed"]) == (3, 2, 1)


def test_sizes_are_metres_and_hold_every_object_once() -> None:
    rows = evaluate_on_sphere(contest(FOUND, LISTED), WINDOW, 0.45)["by_size"]
    assert sum(row["labels"] for row in rows) == 4 and sum(row["found"] for row in rows) == 3
    assert sum(row["detections"] for row in rows) == 5 and sum(row["right"] for row in rows) == 3
    (ten,) = [row for row in rows if row["from_m"] <= 10_000 < row["to_m"]]
    assert (ten["from_m"], ten["to_m"]) == (8000.0, 11313.71)
    assert (ten["labels"], ten["recall"]) == (2, 0.5)


def test_an_incomplete_list_says_nothing_of_precision() -> None:
    report = evaluate_on_sphere(contest(FOUND, LISTED, complete=False), WINDOW, 0.45)
    assert report["figures"]["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["figures"]["precision"] is None and report["figures"]["false"] is None
    assert report["ap50"]["in the window"] is None and report["curve"] == []
    assert {row["detections"] for row in report["by_size"]} == {None}


def test_average_precision_by_hand() -> None:
    """Right, right, false by score over three listed: 2/3; at IoU 0.5 both pairs hold."""
    report = evaluate_on_sphere(contest(FOUND, LISTED), WINDOW, 0.45)
    assert report["ap50"]["in the window"] == pytest.approx(2 / 3, abs=1e-4)
    at = {row["threshold"]: row for row in report["curve"]}
    assert min(at) == 0.45 and at[0.85]["recall"] == pytest.approx(1 / 3, abs=1e-4)
    assert at[0.65]["precision"] == 1.0 and at[0.45]["precision"] == pytest.approx(2 / 3, abs=1e-4)


def test_the_strict_rule_wants_the_diameter() -> None:
    found = [[179.9, 0.0, 12_400.0, 0.9], [-179.0, 2.0, 25_100.0, 0.8]]
    measures = evaluate_on_sphere(contest(found, LISTED), WINDOW, 0.45)["other_measures"]
    assert measures["strict"]["precision"] == 0.5
    assert measures["circle IoU 0.5"]["precision"] == 1.0


def test_a_crater_on_the_edge_of_the_ground_is_not_whole() -> None:
    ground = around(180.0, 0.0, 10.0)
    craters = np.array([[170.2, 0.0, 120_000.0], [179.0, 0.0, 120_000.0], [0.0, 0.0, 10.0]])
    assert ground.holds(craters[:, 0], craters[:, 1]).tolist() == [True, True, False]
    assert ground.holds_whole(craters, MARS).tolist() == [False, True, False]


def test_nothing_found() -> None:
    report = evaluate_on_sphere(contest([], LISTED), WINDOW, 0.45)
    assert report["figures"]["recall"] == 0 and report["figures"]["precision"] is None
    assert report["diameters"] == {"pairs": 0, "bias": None, "scatter": None}
