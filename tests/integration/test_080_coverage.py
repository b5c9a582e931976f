"""Imaged ground in the database: unions of scenes and levels against exact areas by shapely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from pyproj import Proj
from rasterio.transform import Affine
from rows import LEVEL, Detections, make_run, scene, store
from scene_files import MARS_R, write

from cda_db.bodies import get_body
from cda_db.catalogue import coverage
from cda_db.cells import count_in_cells
from cda_db.connection import Connection
from cda_db.rollup import imaged_areas, roll_up
from cda_db.runs import Level, Run, add_scenes
from cda_db.scenes import Scene, get_scene, register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress
from ingest.scene import open_scenes
from queries.density.bins import root2_bins
from queries.density.of_run import density_of_run
from queries.regions import Box

MARS = get_body("mars")
SPHERE = f"+R={MARS_R} +units=m"
EQC, SINU = f"+proj=eqc {SPHERE}", f"+proj=sinu {SPHERE}"
# fine: 100 m/px, turned; coarse: 400 m/px; small: 2 m/px, 600 m wide, off the others
FRAMES = {
    "fine": (EQC, "IAU_2015:49910", Affine(96, 25, 2.30e6, 25, -96, 4.0e5), 700),
    "coarse": (SINU, "IAU_2015:49920", Affine(400, 0, 2.32e6, 0, -400, 4.2e5), 300),
    "small": (EQC, "IAU_2015:49910", Affine(2, 0, 1.5e6, 0, -2, -6e5), 300),
}


def exact(name: str) -> shapely.Polygon:
    """A frame on the cylindrical equal-area map, km, its sides in 4,000 straight pieces."""
    definition, _, (a, b, c, d, e, f, *_), side = FRAMES[name]
    step = np.linspace(0, side, 1000, endpoint=False)
    col = np.concatenate([step, 0 * step + side, side - step, 0 * step])
    row = np.concatenate([0 * step, step, 0 * step + side, side - step])
    lon, lat = Proj(definition)(a * col + b * row + c, d * col + e * row + f, inverse=True)
    return shapely.Polygon(np.stack(Proj(f"+proj=cea {SPHERE}")(lon, lat), axis=1) / 1000)


def band(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """A box between meridians and parallels on that map."""
    x, y = Proj(f"+proj=cea {SPHERE}")(np.array([west, east]), np.array([south, north]))
    return shapely.box(x[0] / 1000, y[0] / 1000, x[1] / 1000, y[1] / 1000)


def found_in(batches: int) -> Detections:
    """One detection a batch, off the scenes."""
    n = np.arange(batches)
    ones = np.ones(batches, np.float32)
    return Detections(n * 1.0, n * 1.0, ones * 3e3, ones / 2, n)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """The scenes of the frames, valid all over."""
    folder, made = tmp_path_factory.mktemp("frames"), []
    for name, (_, crs, transform, side) in FRAMES.items():
        grey = np.random.default_rng(1).integers(1, 255, (side, side)).astype(np.uint8)
        made += open_scenes(str(write(folder / f"{name}.tif", grey, crs, transform)))
    return made


@pytest.fixture
def run(database: Target, conn: Connection, scenes: list[Scene]) -> Run:
    """A run over them, done: windows 0.6-9.2 km, 2.4-36.8 km and 12-184 m."""
    made = make_run(conn, "run", n_scenes=0)
    add_scenes(conn, made, [register_scene(conn, scene)[0] for scene in scenes])
    conn.commit()
    store(conn, made, found_in(3))
    suppress(database, made)
    return made


# bin k holds 2^(k/2) to 2^((k+1)/2) km
SEEN = {-10: ["small"], -1: ["fine"], 2: ["fine"], 3: ["fine", "coarse"], 5: ["fine", "coarse"],
        6: ["coarse"], 9: ["coarse"]}  # fmt: skip


@pytest.mark.parametrize("rolled", [False, True])
def test_area_by_bin_is_the_exact_union(conn: Connection, run: Run, rolled: bool) -> None:
    """Scenes of unlike resolution, map and HEALPix order; before the roll-up and from it."""
    if rolled:
        roll_up(conn, run)
    density = density_of_run(conn, run, root2_bins(-12, 10), 6)
    got = dict(zip(range(-12, 11), density.area_km2.sum(axis=1), strict=True))
    for k, names in SEEN.items():
        truth = shapely.union_all([exact(name) for name in names]).area
        assert got[k] == pytest.approx(truth, rel=1e-3), (k, names)
    assert got[-4] == 0 and got[10] == 0


def test_area_in_a_region_is_the_exact_intersection(conn: Connection, run: Run) -> None:
    sides = (39.3, 5.2, 40.4, 6.6)
    density = density_of_run(conn, run, root2_bins(3, 3), 7, Box(MARS, *sides))
    both = shapely.union_all([exact("fine"), exact("coarse")])
    truth = both.intersection(band(*sides)).area
    assert 0.2 * both.area < truth < 0.8 * both.area
    assert density.area_km2.sum() == pytest.approx(truth, rel=5e-4)


def test_the_roll_up_and_sql_alone_have_the_same_cells(conn: Connection, run: Run) -> None:
    """Python's union, the roll-up's areas and cda.imaged_ranges count the same sub-cells."""
    order, ranges = coverage(conn, run, 3)
    cell, n = count_in_cells(ranges, order, 9)
    rows = conn.execute(
        "SELECT cell, fraction FROM cda.cell_fractions(cda.imaged_ranges(%s, 3, %s), %s, 9)"
        " ORDER BY cell",
        [run.run_id, order, order],
    ).fetchall()
    assert [row[0] for row in rows] == cell.tolist()
    np.testing.assert_allclose([row[1] for row in rows], n / 4 ** (order - 9), rtol=1e-12)
    roll_up(conn, run)
    areas = imaged_areas(conn, run, 9)
    mine = areas[areas["bin"] == 3]
    assert mine["cell"].tolist() == cell.tolist()
    np.testing.assert_allclose(mine["area_km2"], n * MARS.area_km2 / (12 * 4**order), rtol=1e-12)
    np.testing.assert_array_equal(coverage(conn, run, 3)[1], ranges)


def test_fractions_of_a_scene(conn: Connection, run: Run) -> None:
    """By level and order: their sum is the scene's exact area, and none leaves 0..1."""
    scene_id, _ = get_scene(conn, "fine")
    for order in (5, 9, 11):
        rows = conn.execute(
            "SELECT fraction FROM cda.scene_fractions(%s, 1, %s)", [scene_id, order]
        ).fetchall()
        parts = np.array(rows)
        assert parts.min() > 0 and parts.max() <= 1
        area = parts.sum() * MARS.area_km2 / (12 * 4**order)
        assert area == pytest.approx(exact("fine").area, rel=3e-4)


# Order 6: level 1 sees half of cell 5, level 2 and coarser all of it.
HALF, ALL = 2**32 - 1, np.array([[5, 6]])
LEVELS = (LEVEL, Level(8.0, 96, 6.0, 92.0))


def two_grounds(name: str) -> Scene:
    """A scene whose gaps close at level 2."""
    none = np.zeros((0, 2), np.int64)
    return replace(
        scene(name), coverage=none, border=np.array([[5, HALF]]), coarser=((2.0, ALL, none),)
    )


@pytest.mark.parametrize(("done", "small", "joined", "large"), [
    ([0], 0.5, 0, 0), ([1], 0, 0, 1), ([0, 1], 0.5, 0.5, 1),
])  # fmt: skip
def test_each_level_has_its_own_ground(
    database: Target, conn: Connection, done: list[int], small: float, joined: float, large: float
) -> None:
    """100 m/px: level 1 finds 0.6-9.2 km, level 8 4.8-73.6 km. Bin 0 (1-1.41 km) is level 1's, bin
    9 (22.6-32 km) level 8's; bin 6 (8-11.3 km) is level 8's alone, bin 4 (4-5.66 km) level 1's; bin
    5 (5.66-8 km) both hold. What no level holds alone (windows cut to meet inside bin 6) is seen
    where the finer one sees."""
    meeting = (Level(1.0, 96, 6.0, 92.0), Level(8.0, 96, 11.0, 92.0))  # meet at 8.8-9.2 km
    for levels, bins in ((LEVELS, {0: small, 9: large}), (meeting, {0: small, 6: joined})):
        run = make_run(conn, f"run{len(bins)}{levels[1].min_px}", n_scenes=0, levels=levels)
        add_scenes(conn, run, [register_scene(conn, two_grounds("two"))[0]])
        conn.commit()
        store(conn, run, found_in(2), only=done)
        suppress(database, run)
        roll_up(conn, run)
        areas = imaged_areas(conn, run, 6)
        for k, share in bins.items():
            got = areas[areas["bin"] == k]["area_km2"].sum() / (MARS.area_km2 / (12 * 4**6))
            assert got == pytest.approx(share)
        conn.commit()


def test_coverage_comes_back_as_it_was_stored(conn: Connection) -> None:
    made = two_grounds("kept")
    register_scene(conn, made)
    _, found = get_scene(conn, "kept")
    for mine, theirs in zip(made.levels_coverage, found.levels_coverage, strict=True):
        assert mine[0] == theirs[0]
        np.testing.assert_array_equal(mine[1], theirs[1])
        np.testing.assert_array_equal(mine[2], theirs[2])
