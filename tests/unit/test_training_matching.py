"""Overlaps against independent formulas and brute force; matching against every permutation."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import circle_iou as oracle_iou
from oracles import distance_m
from shapely.geometry import Point, box

from ingest.training.matching import (
    Pairs,
    box_pairs,
    circle_iou,
    disc_pairs,
    match,
    sphere_pairs,
)

Floats = NDArray[np.float64]


def one(distance: float, r1: float, r2: float) -> float:
    return float(circle_iou(np.array([distance]), np.array([r1]), np.array([r2]))[0])


def test_circle_iou_by_hand() -> None:
    assert one(0, 3, 3) == pytest.approx(1)
    assert one(1, 4, 2) == pytest.approx(4 / 16)  # nested: ratio of areas
    assert one(5, 2, 3) == 0  # touching from outside
    # Equal unit circles one radius apart: lens 2 pi/3 - sqrt(3)/2.
    lens = 2 * np.pi / 3 - np.sqrt(3) / 2
    assert one(1, 1, 1) == pytest.approx(lens / (2 * np.pi - lens))


@given(st.floats(0, 4), st.floats(0.1, 2), st.floats(0.1, 2))
@settings(deadline=None)
def test_circle_iou_equals_that_of_polygons(distance: float, r1: float, r2: float) -> None:
    a, b = Point(0, 0).buffer(r1, 512), Point(distance, 0).buffer(r2, 512)
    expected = a.intersection(b).area / a.union(b).area
    assert one(distance, r1, r2) == pytest.approx(expected, abs=2e-4)


discs = st.lists(
    st.tuples(st.floats(0, 30), st.floats(0, 30), st.floats(0.5, 20)), min_size=0, max_size=25
)


@given(discs, discs, st.sampled_from([0.1, 0.3, 0.5]))
@settings(deadline=None)
def test_disc_and_box_pairs_miss_nothing(
    a: list[tuple[float, float, float]], b: list[tuple[float, float, float]], least: float
) -> None:
    p, q = np.array(a).reshape(-1, 3), np.array(b).reshape(-1, 3)
    expected = {
        (i, j)
        for i, (x, y, d) in enumerate(p)
        for j, (u, v, e) in enumerate(q)
        if one(float(np.hypot(x - u, y - v)), d / 2, e / 2) >= least
    }
    pairs = disc_pairs(p, q, least)
    assert set(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)) == expected
    corners = [np.column_stack([r[:, :2], r[:, :2] + r[:, 2:] * (1, 2)]) for r in (p, q)]
    pairs = box_pairs(*corners, least)
    found = dict(
        zip(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True), pairs.overlap, strict=True)
    )
    for i, first in enumerate(corners[0]):
        for j, second in enumerate(corners[1]):
            m, n = box(*first), box(*second)
            iou = m.intersection(n).area / m.union(n).area
            if abs(iou - least) > 1e-9:
                assert ((i, j) in found) == (iou >= least)
            if (i, j) in found:
                assert found[i, j] == pytest.approx(iou, abs=1e-9)


def test_sphere_pairs_hold_across_the_date_line_and_over_the_pole() -> None:
    radius = 3_396_190.0
    degree = np.pi * radius / 180
    a = np.array([[179.9, 10.0, degree], [0.0, 89.8, degree], [10.0, 0.0, degree]])
    b = np.array([[-179.9, 10.0, degree], [180.0, 89.8, degree], [11.5, 0.0, degree]])
    pairs = sphere_pairs(a, b, radius, 0.3)
    assert list(zip(pairs.i, pairs.j, strict=True)) == [(0, 0), (1, 1)]
    # 0.2 degrees of longitude at latitude 10, and 0.4 degrees over the pole.
    for overlap, apart in zip(pairs.overlap, (0.2 * np.cos(np.radians(10)), 0.4), strict=True):
        assert overlap == pytest.approx(one(apart, 0.5, 0.5), rel=1e-3)


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.3, 0.6]))
@settings(deadline=None, max_examples=50)
def test_sphere_pairs_equal_brute_force(seed: int, least: float) -> None:
    """Points crowded on both poles and on +-180 degrees, diameters over three decades."""
    rng = np.random.default_rng(seed)
    radius = 1_737_400.0
    lon = rng.choice([-180.0, 0, 179.99], 80) + rng.normal(0, 0.3, 80)
    lat = np.clip(rng.choice([-90.0, 0, 90], 80) + rng.normal(0, 0.3, 80), -90, 90)
    a = np.column_stack([lon, lat, 10 ** rng.uniform(2.5, 5.5, 80)])
    b = a[::2] * (1, 1, 1.1)
    pairs = sphere_pairs(a, b, radius, least)
    found = set(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True))
    i, j = (grid.ravel() for grid in np.meshgrid(range(80), range(40), indexing="ij"))
    distance = distance_m(a[i, 0], a[i, 1], b[j, 0], b[j, 1], radius)
    iou = oracle_iou(distance, a[i, 2] / 2, b[j, 2] / 2)
    clear = np.abs(iou - least) > 1e-6
    expected = set(
        zip(i[clear & (iou > least)].tolist(), j[clear & (iou > least)].tolist(), strict=True)
    )
    unclear = set(zip(i[~clear].tolist(), j[~clear].tolist(), strict=True))
    assert found - unclear == expected


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 5))
@settings(deadline=None, max_examples=200)
def test_matching_is_the_best_of_all(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    overlap = np.where(rng.random((n, m)) < 0.6, rng.uniform(0.3, 1, (n, m)), 0)
    i, j = np.nonzero(overlap)
    rows, columns, values = match(Pairs(i, j, overlap[i, j]), n, m)
    assert len(set(rows.tolist())) == len(rows) and len(set(columns.tolist())) == len(columns)
    np.testing.assert_array_equal(values, overlap[rows, columns])
    assert (values > 0).all()
    wide = overlap if n <= m else overlap.T
    best = max(
        sum(wide[k, order[k]] for k in range(len(wide)))
        for order in permutations(range(wide.shape[1]), len(wide))
    )
    assert values.sum() == pytest.approx(best)


def test_matching_does_not_depend_on_order() -> None:
    rng = np.random.default_rng(4)
    a = np.column_stack([rng.uniform(0, 60, (200, 2)), rng.uniform(2, 12, 200)])
    b = a + rng.normal(0, 0.6, a.shape) * (1, 1, 0.3)
    rows, columns, _ = match(disc_pairs(a, b, 0.3), 200, 200)
    shuffle = rng.permutation(200)
    again, columns2, _ = match(disc_pairs(a[shuffle], b, 0.3), 200, 200)
    first = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert first == set(zip(shuffle[again].tolist(), columns2.tolist(), strict=True))


def test_nothing_matches_nothing() -> None:
    empty: Floats = np.empty((0, 3))
    pairs = disc_pairs(empty, np.array([[0.0, 0.0, 1.0]]), 0.3)
    assert [len(part) for part in match(pairs, 0, 1)] == [0, 0, 0]
