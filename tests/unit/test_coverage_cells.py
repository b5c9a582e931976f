"""Imaged ground: HEALPix cells by brute force, ranges, outlines and areas."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import hpgeom
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Geod, Proj
from rasterio.transform import Affine
from scene_files import MARS_R, write

from cda_db.cells import border_ranges, masks_of, to_ranges, union
from cda_db.scenes import Scene
from ingest import coverage
from ingest.coverage import coverage_order, ground
from ingest.grid import SceneGrid
from ingest.scene import open_scenes
from ingest.sphere import SphereProjection
from ingest.validity import PixelMask

PX = 8000.0
SPHERE = f"+R={MARS_R} +units=m"
CELL_KM2 = 4 * np.pi * (MARS_R / 1000) ** 2 / 12


def cells_of(scene: Scene, level: int = 0) -> tuple[int, np.ndarray]:
    """Order and sub-cells of a scene's ground, level by level."""
    order = scene.coverage_order
    _, ranges, border = scene.levels_coverage[level]
    whole = union(order + 3, [(order, ranges, border)])
    return order + 3, np.concatenate([np.arange(a, b) for a, b in whole])


def km2(order: int, cells: int) -> float:
    return float(cells * CELL_KM2 / 4**order)


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
def test_cells_are_those_whose_centre_is_a_valid_pixel(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Larger sub-cells than usual, so that all of the sphere's can be tried.
    monkeypatch.setattr(coverage, "_PIXEL", 1.0)
    definition, crs, corner = MAPS[name]
    pixels = holes((200, 220))
    transform = Affine(PX, 0, corner[0], 0, -PX, corner[1])
    (scene,) = open_scenes(str(write(tmp_path / "a.tif", pixels, crs, transform, nodata=0)))
    # Brute force: all sub-cells of the sphere, by pyproj.
    order, got = cells_of(scene)
    cells = np.arange(12 * 4**order)
    lon, lat = hpgeom.pixel_to_angle(2**order, cells, nest=True, lonlat=True, degrees=True)
    x, y = Proj(definition)(np.where(lon > 180, lon - 360, lon), lat)
    if name == "antimeridian":
        x = np.where(x < 0, x + 2 * np.pi * MARS_R, x)
    col, row = np.floor((x - corner[0]) / PX), np.floor((corner[1] - y) / PX)
    inside = (col >= 0) & (col < 220) & (row >= 0) & (row < 200)
    good = np.zeros(len(cells), bool)
    good[inside] = pixels[row[inside].astype(int), col[inside].astype(int)] > 0
    np.testing.assert_array_equal(got, cells[good])
    side_px = np.sqrt(km2(order, 1)) / (scene.pixel_scale_m / 1000)
    assert 0.5 < side_px < 1.05


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
    order, cells = cells_of(scene)
    assert km2(order, len(cells)) == pytest.approx(truth, rel=2e-3)
    geod = Geod(a=MARS_R, b=MARS_R)
    area = sum(abs(geod.geometry_area_perimeter(part)[0]) for part in scene.footprint.geoms) / 1e6
    # Around the pole the outline is traced on a lon/lat grid; polygons with a side along the
    # pole or +-180 are right for geod, which takes their edges as they are.
    assert area == pytest.approx(truth, rel=0.02 if name == "north pole" else 0.005)
    west, south, east, north = scene.footprint.bounds
    assert west >= -180 and east <= 180 and south >= -90 and north <= 90
    assert scene.footprint.is_valid


SQUARES = {  # map, its CRS, transform, pixels a side: frames that overlap, of unlike resolution
    "coarse": (f"+proj=eqc {SPHERE}", "IAU_2015:49910", Affine(900, 0, 2e6, 0, -900, 7e5), 500),
    "fine": (f"+proj=eqc {SPHERE}", "IAU_2015:49910", Affine(70, 0, 2.3e6, 0, -70, 4e5), 1500),
    "turned": (f"+proj=sinu {SPHERE}", "IAU_2015:49920",
               Affine(150, 40, 2.3e6, 40, -150, 7.2e5), 900),
    "far": (f"+proj=sinu {SPHERE}", "IAU_2015:49920", Affine(200, 0, -4e6, 0, -200, 5e5), 300),
}  # fmt: skip


def exact(name: str) -> shapely.Polygon:
    """A frame on the cylindrical equal-area map (km), its sides in 4,000 straight pieces."""
    definition, _, transform, side = SQUARES[name]
    step = np.linspace(0, side, 1000, endpoint=False)
    col = np.concatenate([step, 0 * step + side, side - step, 0 * step])
    row = np.concatenate([0 * step, step, 0 * step + side, side - step])
    a, b, c, d, e, f = transform[:6]
    lon, lat = Proj(definition)(a * col + b * row + c, d * col + e * row + f, inverse=True)
    x, y = Proj(f"+proj=cea {SPHERE}")(lon, lat)
    return shapely.Polygon(np.stack([x, y], axis=1) / 1000)


@pytest.mark.parametrize("names", [
    ("coarse",), ("fine",), ("turned",), ("far",), ("coarse", "fine"), ("fine", "turned"),
    ("coarse", "turned"), ("coarse", "fine", "turned"), ("coarse", "fine", "turned", "far"),
])  # fmt: skip
def test_union_of_overlapping_scenes_has_its_exact_area(
    names: tuple[str, ...], frames: dict[str, Scene]
) -> None:
    """Against shapely on an equal-area map: to 5 in 10,000, and a tenth of the border's cells."""
    parts = [
        (scene.coverage_order, scene.coverage, scene.border)
        for scene in (frames[name] for name in names)
    ]
    order = max(part[0] for part in parts) + 3
    ranges = union(order, parts)
    got = km2(order, int((ranges[:, 1] - ranges[:, 0]).sum()))
    truth = shapely.union_all([exact(name) for name in names]).area
    assert got == pytest.approx(truth, rel=5e-4)
    bound = sum(  # the border's length times a sub-cell's diagonal, scene by scene
        1.5 * 4 * SQUARES[name][3] * frames[name].pixel_scale_m / 1000
        * np.sqrt(2 * km2(frames[name].coverage_order + 3, 1))
        for name in names
    )  # fmt: skip
    assert abs(got - truth) < 0.1 * bound


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """A scene of each frame, valid all over."""
    folder, made = tmp_path_factory.mktemp("frames"), {}
    for name, (_, crs, transform, side) in SQUARES.items():
        grey = np.random.default_rng(1).integers(1, 255, (side, side)).astype(np.uint8)
        (made[name],) = open_scenes(str(write(folder / f"{name}.tif", grey, crs, transform)))
    return made


def test_scenes_side_by_side_leave_no_gap(tmp_path: Path) -> None:
    """Four quarters of a picture: their sub-cells are the whole's, each in one quarter only."""
    grey = np.full((300, 420), 9, np.uint8)
    corner = Affine(PX, 0, 2e6, 0, -PX, 7e5)
    (whole,) = open_scenes(str(write(tmp_path / "all.tif", grey, "IAU_2015:49910", corner)))
    found = []
    for row, col in ((0, 0), (0, 210), (150, 0), (150, 210)):
        place = corner @ Affine.translation(col, row)
        file = write(tmp_path / f"{row}{col}.tif", grey[:150, :210], "IAU_2015:49910", place)
        (scene,) = open_scenes(str(file))
        assert scene.coverage_order == whole.coverage_order
        found.append(cells_of(scene)[1])
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), cells_of(whole)[1])


def test_a_crop_of_150_metres_has_its_area(tmp_path: Path) -> None:
    """600 pixels of 0.257 m, as HiRISE has: far smaller than a cell of order 14 (212 m)."""
    pixel, lat = 0.257, -35.7
    transform = Affine(pixel, 0, 7e6, 0, -pixel, MARS_R * np.radians(lat))
    crs = CRS.from_proj4(f"+proj=eqc +lat_ts={lat} {SPHERE} +no_defs")
    grey = np.full((600, 600), 9, np.uint8)
    grey[:, :150] = 0
    (scene,) = open_scenes(str(write(tmp_path / "a.tif", grey, crs, transform, nodata=0)))
    order, cells = cells_of(scene)
    south = lat - np.degrees(600 * pixel / MARS_R)
    high = np.sin(np.radians(lat)) - np.sin(np.radians(south))
    truth = MARS_R**2 * high * 450 * pixel / (MARS_R * np.cos(np.radians(lat))) / 1e6
    assert km2(order, len(cells)) == pytest.approx(truth, rel=1e-3)


def test_coarse_levels_see_over_small_gaps(tmp_path: Path) -> None:
    """A fifth of the pixels missing one by one: a hole at level 1, ground at level 8; a wide strip
    is a hole at both."""
    rng = np.random.default_rng(4)
    pixels = np.where(rng.random((400, 400)) < 0.2, 0, 9).astype(np.uint8)
    pixels[:, 240:320] = 0
    crs, place = "IAU_2015:49910", Affine(PX / 4, 0, 2e6, 0, -PX / 4, 4e5)
    (scene,) = open_scenes(str(write(tmp_path / "a.tif", pixels, crs, place, nodata=0)))
    factors = [factor for factor, _, _ in scene.levels_coverage]
    assert factors[0] == 1 and 2 in factors[1:] and 8 in factors[1:]
    _, lat = Proj(MAPS["equirectangular"][0])(
        np.zeros(400), 4e5 - PX / 4 * (np.arange(400) + 0.5), inverse=True
    )
    strip = np.cos(np.radians(lat)).sum() * (PX / 4000) ** 2
    for factor, share in ((1, 0.8), (8, 1.0)):
        order, cells = cells_of(scene, factors.index(factor))
        assert km2(order, len(cells)) == pytest.approx(share * 320 * strip, rel=5e-3)


def test_a_picture_without_gaps_has_one_ground_for_all_levels(frames: dict[str, Scene]) -> None:
    assert all(scene.coarser == () for scene in frames.values())


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 2**64 - 1) | st.just(2**64 - 1)),
        unique_by=lambda x: x[0],
    )
)
def test_masks_and_ranges_are_the_same_cells(drawn: list[tuple[int, int]]) -> None:
    drawn.sort()
    bits = np.array([[mask >> i & 1 for i in range(64)] for _, mask in drawn], dtype=bool)
    masks = masks_of(bits.reshape(-1, 64))
    assert masks.tolist() == [mask - 2**64 * (mask >= 2**63) for _, mask in drawn]
    border = np.stack([np.array([c for c, _ in drawn], dtype=np.int64), masks], axis=1)
    want = [64 * c + i for c, mask in drawn for i in range(64) if mask >> i & 1]
    assert [c for a, b in border_ranges(border) for c in range(a, b)] == want


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_the_cells(cells: set[int]) -> None:
    ranges = to_ranges(np.array(sorted(cells), dtype=np.int64))
    assert [c for a, b in ranges for c in range(a, b)] == sorted(cells)
    assert all(b < c for (_, b), (c, _) in pairwise(ranges))


def test_order_follows_the_size_of_the_scene() -> None:
    """By hand: a cell of order n has a side of 3,475,535 m / 2^n on Mars."""
    tile = SceneGrid(  # 237.1 km: a 2048th is 116 m, order 15 has 106 m
        SphereProjection("equirectangular", MARS_R), (5, 0, 0, 0, -5, 0), 47_420, 47_420
    )
    assert coverage_order(tile) == 15 - 3
    crop = SceneGrid(  # half of 0.25 m: order 25 has 0.104 m
        SphereProjection("equirectangular", MARS_R), (0.25, 0, 0, 0, -0.25, 0), 600, 600
    )
    assert coverage_order(crop) == 25 - 3
    globe = SceneGrid(  # 12,039 km: a 2048th is 5.9 km, order 10 has 3.4 km
        SphereProjection("lonlat", MARS_R), (1 / 512, 0, -180, 0, -1 / 512, 90), 184_320, 92_160
    )
    assert coverage_order(globe) == 10 - 3


def test_whole_cells_and_borders_of_a_stretched_grid_by_brute_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coverage, "_PIXEL", 1.0)
    grid = SceneGrid(SphereProjection("mercator", MARS_R), (20_000, 0, 0, 0, -20_000, 9e6), 60, 400)
    order = coverage_order(grid)
    lon, lat = hpgeom.pixel_to_angle(
        2 ** (order + 3), np.arange(12 * 4 ** (order + 3)), nest=True, lonlat=True, degrees=True
    )
    col, row = grid.to_pixel(lon, lat)
    inside = (col >= 0) & (col < 60) & (row >= 0) & (row < 400)
    seen = Frame(grid)
    pixels = PixelMask(np.ones((400, 60), bool), 1)
    ranges, border = ground(seen, pixels, order)  # type: ignore[arg-type]
    cells = inside.reshape(-1, 64)
    np.testing.assert_array_equal(
        np.concatenate([np.arange(a, b) for a, b in ranges]), np.flatnonzero(cells.all(axis=1))
    )
    mixed = np.flatnonzero(cells.any(axis=1) & ~cells.all(axis=1))
    np.testing.assert_array_equal(border[:, 0], mixed)
    np.testing.assert_array_equal(border[:, 1], masks_of(cells[mixed]))


class Frame:
    """A grid without a file: the part of SeenPixels that coverage needs."""

    as_is = True

    def __init__(self, grid: SceneGrid) -> None:
        self.grid = self.source = grid
        object.__setattr__(grid, "wrap_columns", None)
