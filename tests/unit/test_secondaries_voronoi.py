"""Spherical Voronoi cells against SciPy, hand values and counted points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial import SphericalVoronoi, cKDTree

from cda_db.errors import InputError
from queries.coverage import Coverage, cell_centres, cell_count
from queries.random_populations import plant_clusters
from queries.secondaries.parts import parts_of
from queries.secondaries.voronoi import voronoi_cells
from queries.sphere import unit_vectors

WHOLE = Coverage.whole()


def test_an_octahedron_has_six_equal_cells() -> None:
    cells = voronoi_cells([0, 90, 180, 270, 0, 0], [0, 0, 0, 0, 90, -90], WHOLE)
    assert_allclose(cells.area_sr, 4.0 * np.pi / 6.0)


@given(st.integers(5, 300), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_areas_equal_scipy(n: int, seed: int) -> None:
    lon, lat = WHOLE.draw(n, np.random.default_rng(seed))
    expected = SphericalVoronoi(unit_vectors(lon, lat)).calculate_areas()
    assert_allclose(voronoi_cells(lon, lat, WHOLE).area_sr, expected, rtol=1e-7)


@given(st.integers(4, 200), st.integers(0, 2**31), st.sampled_from([60.0, 3.0, 0.05]))
@example(n=4, seed=595, size=0.05)
@settings(max_examples=40, deadline=None)
def test_cells_fill_the_sphere_also_of_a_small_patch(n: int, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    lon, lat = 179.0 + size * rng.random(n), 80.0 + size / 6.0 * rng.random(n)
    cells = voronoi_cells(lon, lat, WHOLE)
    assert_allclose(cells.area_sr.sum(), 4.0 * np.pi, rtol=1e-6)
    assert (cells.area_sr > 0.0).all()


@pytest.mark.parametrize("kind", ["even", "clustered", "band", "patch", "twice"])
def test_cells_made_in_parts_are_the_same(kind: str) -> None:
    """Even and crowded ground, empty poles, one small patch, every crater listed twice."""
    rng = np.random.default_rng(11)
    lon, lat = WHOLE.draw(6000, rng)
    if kind == "clustered":
        planted = plant_clusters(lon, lat, WHOLE, rng, clusters=5, size=400, contrast=300.0)
        lon, lat = planted.lon_deg, planted.lat_deg
    if kind == "band":
        lon, lat = lon[np.abs(lat) < 50.0], lat[np.abs(lat) < 50.0]
    if kind == "patch":
        lon, lat = 170.0 + lon / 15.0, 60.0 + lat / 30.0
    if kind == "twice":
        lon, lat = np.tile(lon[:3000], 2), np.tile(lat[:3000], 2)
    north = Coverage.between_latitudes(-20.0, 90.0, order=4)
    at_once, in_parts = (voronoi_cells(lon, lat, north, at_once=n) for n in (10**6, 1000))
    assert_allclose(in_parts.whole_sr, at_once.whole_sr, rtol=1e-6)
    assert_allclose(in_parts.area_sr, at_once.area_sr, rtol=1e-5, atol=1e-12)
    pairs = [{tuple(sorted(e)) for e in c.edges.tolist()} for c in (at_once, in_parts)]
    assert len(in_parts.edges) == len(at_once.edges)
    assert pairs[0] == pairs[1]


def test_a_part_takes_little_more_than_its_core() -> None:
    points = unit_vectors(*WHOLE.draw(30_000, np.random.default_rng(12)))
    parts = list(parts_of(points, 7500, in_cell=30))
    assert len(parts) == 4
    assert sorted(np.concatenate([part.core for part in parts]).tolist()) == list(range(30_000))
    assert max(len(part.members) / len(part.core) for part in parts) < 1.6


def test_equal_craters_share_their_cell() -> None:
    cells = voronoi_cells([0, 90, 180, 270, 0, 0, 0], [0, 0, 0, 0, 90, -90, -90], WHOLE)
    assert_allclose(cells.area_sr[-2:], 4.0 * np.pi / 12.0)
    assert_allclose(cells.area_sr.sum(), 4.0 * np.pi)


@pytest.mark.parametrize("n", [40, 400])
def test_clipped_cells_equal_counted_points(n: int) -> None:
    """The oracle gives every sub-cell of the mask to its nearest crater."""
    order, fine = 5, 9
    lon, lat = cell_centres(order, np.arange(cell_count(order)))
    patch = Coverage.where(order, (np.abs(lon - 100.0) < 20.0) & (np.abs(lat - 30.0) < 12.0))
    x, y = patch.draw(n, np.random.default_rng(n))
    inside = np.flatnonzero(patch.fraction)
    sub = (inside[:, None] * 4 ** (fine - order) + np.arange(4 ** (fine - order))).ravel()
    _, owner = cKDTree(unit_vectors(x, y)).query(unit_vectors(*cell_centres(fine, sub)))
    counted = np.bincount(owner, minlength=n) * 4.0 * np.pi / cell_count(fine)
    area = voronoi_cells(x, y, patch).area_sr
    assert_allclose(area.sum(), patch.area_sr, rtol=5e-3)
    assert np.median(np.abs(area / counted - 1.0)) < 0.02
    assert_allclose(area, counted, rtol=0.15, atol=0.02 * counted.mean())


def test_edges_are_the_neighbours() -> None:
    cells = voronoi_cells([0, 90, 180, 270, 0, 0], [0, 0, 0, 0, 90, -90], WHOLE)
    pairs = {tuple(sorted(pair)) for pair in cells.edges.tolist()}
    opposite = {(0, 2), (1, 3), (4, 5)}
    assert pairs == {(i, j) for i in range(6) for j in range(i + 1, 6)} - opposite


def test_three_craters_have_no_cells() -> None:
    with pytest.raises(InputError, match="3 distinct"):
        voronoi_cells([0, 90, 180, 180], [0, 0, 0, 0], WHOLE)
