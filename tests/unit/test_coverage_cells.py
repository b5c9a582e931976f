"""Imaged ground: HEALPix cells by brute force, ranges, outlines and areas."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import hpgeom
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Proj
from rasterio.transform import Affine
from scene_files import MARS_R, write

from cda_db.scenes import Scene
from ingest.coverage import MAX_CELLS, candidate_cells, coverage_order, to_ranges
from ingest.grid import SceneGrid
from ingest.scene import open_scenes
from ingest.sphere import SphereProjection

PX = 8000.0
SPHERE = f"+R={MARS_R} +units=m"
CELL_KM2 = 4 * np.pi * (MARS_R / 1000) ** 2 / 12


def cells_of(scene: Scene) -> np.ndarray:
    return np.concatenate([np.arange(a, b) for a, b in scene.coverage])


def holes(shape: tuple[int, int]) -> np.ndarray:
    """Pixels with nodata bands, blocks and specks."""
    rng = np.random.default_rng(5)
    pixels = rng.integers(1, 255, shape).astype(np.uint8)
    pixels[:, shape[1] // 3 : shape[1] // 3 + 9] = 0
    pixels[-40:, -30:] = 0
    pixels[rng.random(shape) < 0.02] = 0
    return pixels


MAPS = {
    "equirectangular": (f"+proj=eqc {SPHERE}", "IAU_2015:49910", (2e6, 7e5)),
    "north pole": (f"+proj=stere +lat_0=90 +k=1 {SPHERE}", "IAU_2015:49930", (-7.2e5, 8.8e5)),
    "sinusoidal": (f"+proj=sinu {SPHERE}", "IAU_2015:49920", (2e5, 5e5)),
    "antimeridian": (f"+proj=eqc {SPHERE}", "IAU_2015:49910", (np.pi * MARS_R - 8e5, 2e6)),
}


@pytest.mark.parametrize("name", MAPS)
def test_cells_are_those_whose_centre_is_a_valid_pixel(name: str, tmp_path: Path) -> None:
    definition, crs, corner = MAPS[name]
    pixels = holes((200, 220))
    transform = Affine(PX, 0, corner[0], 0, -PX, corner[1])
    (scene,) = open_scenes(str(write(tmp_path / "a.tif", pixels, crs, transform, nodata=0)))
    # Brute force: all cells of the sphere at the order, by pyproj.
    order = scene.coverage_order
    cells = np.arange(12 * 4**order)
    lon, lat = hpgeom.pixel_to_angle(2**order, cells, nest=True, lonlat=True, degrees=True)
    x, y = Proj(definition)(np.where(lon > 180, lon - 360, lon), lat)
    if name == "antimeridian":
        x = np.where(x < 0, x + 2 * np.pi * MARS_R, x)
    col, row = np.floor((x - corner[0]) / PX), np.floor((corner[1] - y) / PX)
    inside = (col >= 0) & (col < 220) & (row >= 0) & (row < 200)
    good = np.zeros(len(cells), bool)
    good[inside] = pixels[row[inside].astype(int), col[inside].astype(int)] > 0
    np.testing.assert_array_equal(cells_of(scene), cells[good])
    side_px = np.sqrt(CELL_KM2 / 4**order) / (scene.pixel_scale_m / 1000)
    assert 1.4 < side_px < 2.9


@pytest.mark.parametrize("name", MAPS)
def test_outline_and_cells_have_the_area_of_the_valid_pixels(name: str, tmp_path: Path) -> None:
    definition, crs, corner = MAPS[name]
    pixels = holes((200, 220))
    pixels[:, :9] = 0
    transform = Affine(PX, 0, corner[0], 0, -PX, corner[1])
    (scene,) = open_scenes(str(write(tmp_path / "a.tif", pixels, crs, transform, nodata=0)))
    row, col = np.nonzero(pixels)
    _, lat = Proj(definition)(
        corner[0] + PX * (col + 0.5), corner[1] - PX * (row + 0.5), inverse=True
    )
    factor = {
        "equirectangular": np.cos(np.radians(lat)),
        "antimeridian": np.cos(np.radians(lat)),
        "sinusoidal": np.ones(len(lat)),
        "north pole": ((1 + np.sin(np.radians(lat))) / 2) ** 2,
    }[name]
    truth = factor.sum() * (PX / 1000) ** 2
    assert len(cells_of(scene)) * CELL_KM2 / 4**scene.coverage_order == pytest.approx(
        truth, rel=0.02
    )
    geod = Geod(a=MARS_R, b=MARS_R)
    area = sum(abs(geod.geometry_area_perimeter(part)[0]) for part in scene.footprint.geoms) / 1e6
    # Around the pole the outline is traced on a lon/lat grid; polygons with a side along the
    # pole or +-180 are right for geod, which takes their edges as they are.
    assert area == pytest.approx(truth, rel=0.02 if name == "north pole" else 0.005)
    west, south, east, north = scene.footprint.bounds
    assert west >= -180 and east <= 180 and south >= -90 and north <= 90
    assert scene.footprint.is_valid


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_the_cells(cells: set[int]) -> None:
    ranges = to_ranges(np.array(sorted(cells), dtype=np.int64))
    assert [c for a, b in ranges for c in range(a, b)] == sorted(cells)
    assert all(b < c for (_, b), (c, _) in pairwise(ranges))


def test_order_is_bounded_for_large_scenes() -> None:
    """A CTX mosaic tile (47,420 px of 5 m) and a global mosaic stay under the limits."""
    tile = SceneGrid(
        SphereProjection("equirectangular", MARS_R), (5, 0, 0, 0, -5, 0), 47_420, 47_420
    )
    assert coverage_order(tile) == 14
    globe = SceneGrid(
        SphereProjection("lonlat", MARS_R), (1 / 512, 0, -180, 0, -1 / 512, 90), 184_320, 92_160
    )
    order = coverage_order(globe)
    assert 12 * 4**order <= MAX_CELLS * 1.01 and 12 * 4 ** (order + 1) > MAX_CELLS


def test_candidates_hold_every_centre_of_a_stretched_grid() -> None:
    grid = SceneGrid(SphereProjection("mercator", MARS_R), (20_000, 0, 0, 0, -20_000, 9e6), 60, 400)
    order = coverage_order(grid)
    lon, lat = hpgeom.pixel_to_angle(
        2**order, np.arange(12 * 4**order), nest=True, lonlat=True, degrees=True
    )
    col, row = grid.to_pixel(lon, lat)
    inside = (col >= 0) & (col < 60) & (row >= 0) & (row < 400)
    np.testing.assert_array_equal(candidate_cells(grid, order), np.flatnonzero(inside))
