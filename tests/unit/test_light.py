"""A known light: where it comes from in the pixels, tiles turned to it, and hills told by it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from cratered import bowl, bowls_and_domes
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Proj
from rasterio.transform import Affine
from scene_files import MARS_R, Disc, draw, proj_lonlat, write

from cda_db.errors import InputError
from ingest.detector import Detector, default_model_name, find_model
from ingest.grid import SceneGrid
from ingest.light import Light, detect_lit, doubted, picture_azimuth, scene_light, turn_boxes
from ingest.scene import open_scenes
from ingest.source import ReadOptions
from ingest.sphere import SphereProjection


@lru_cache  # compiling the network takes longer than running it
def detector() -> Detector:
    model = find_model(default_model_name())
    return Detector(model, threads=1, batch=1, threshold=0.1, nms_iou=0.5)


@given(st.floats(0, 360))
def test_turned_light_comes_from_the_left(azimuth: float) -> None:
    light = Light(azimuth).turned()
    assert 225 <= light.azimuth_deg <= 315
    assert light.quarters == 0
    assert light.weight == Light(azimuth).weight


corners = st.tuples(st.integers(0, 29), st.integers(0, 29))
extents = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(st.integers(-4, 4), corners, extents)
def test_boxes_turn_as_pictures_do(
    quarters: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    (x, y), (wide, high), side = corner, size, 40
    picture = np.zeros((side, side), bool)
    picture[y : y + high, x : x + wide] = True
    rows, columns = np.nonzero(np.rot90(picture, quarters))
    box = np.array([[x, y, x + wide, y + high, 0.5]], np.float32)
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.5]
    np.testing.assert_array_equal(turn_boxes(box, side, quarters)[0], expected)
    np.testing.assert_array_equal(turn_boxes(turn_boxes(box, side, quarters), side, -quarters), box)


@given(st.floats(0, 360), st.sets(st.integers(0, 7), max_size=8))
def test_scores_of_hills_fall_and_those_of_craters_stay(azimuth: float, hills: set[int]) -> None:
    """A drawn dome's slope against its light is that of ``test_light_from_the_west...``: -1.5.

    So the log-odds of a score of 0.8 fall by 1.5 x (0.3 + 1.5): 4 : 1 becomes 0.27 : 1. A little
    less where the light comes from a corner, and with noise.
    """
    pixels, boxes = bowls_and_domes(azimuth, hills)
    rows = np.column_stack([boxes, np.full(len(boxes), 0.8)]).astype(np.float32)
    changed = doubted(pixels, rows, Light(azimuth, 1.5))
    craters = np.array([k not in hills for k in range(len(boxes))])
    np.testing.assert_array_equal(changed[craters], rows[craters])
    np.testing.assert_array_equal(changed[:, :4], rows[:, :4])
    np.testing.assert_allclose(changed[~craters, 4], 0.27 / 1.27, atol=0.05)
    np.testing.assert_array_equal(doubted(pixels, rows, Light(azimuth, 0.0)), rows)


def test_what_cannot_be_told_keeps_its_score() -> None:
    """Flat ground, boxes of no sides, boxes under six pixels; a score of 1 falls all the same."""
    flat = np.full((60, 60), 90, np.uint8)
    boxes = np.array([[10, 10, 30, 30, 0.7], [58.6, 10, 60, 30, 0.7]], np.float32)
    np.testing.assert_array_equal(doubted(flat, boxes, Light(270)), boxes)
    hills, at = bowls_and_domes(270, set(range(8)), radius=2.9)
    small = np.column_stack([at, np.full(8, 0.7)]).astype(np.float32)
    np.testing.assert_array_equal(doubted(hills, small, Light(270)), small)
    hills, at = bowls_and_domes(270, set(range(8)))
    sure = np.column_stack([at, np.ones(8)]).astype(np.float32)
    assert (doubted(hills, sure, Light(270))[:, 4] < 1).all()
    assert doubted(hills, sure[:0], Light(270)).shape == (0, 5)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@settings(deadline=None, max_examples=6)
@given(off=st.floats(-44, 44))
def test_a_turned_picture_under_a_turned_light_has_the_same_craters(
    quarters: int, off: float
) -> None:
    """The shipped network sees the same tile whichever way the picture was turned before."""
    tile = np.maximum(bowl(416, 200, 150, 16), bowl(416, 100, 320, 30))
    azimuth = 270 + off
    (expected,) = detect_lit(detector(), tile[None], Light(azimuth))
    turned = np.rot90(tile, quarters)
    (found,) = detect_lit(detector(), turned[None], Light((azimuth - 90 * quarters) % 360))
    back = turn_boxes(found, 416, -quarters)
    order = np.lexsort((back[:, 0], -back[:, 4]))
    want = expected[np.lexsort((expected[:, 0], -expected[:, 4]))]
    np.testing.assert_allclose(back[order], want, atol=1e-4)
    assert len(want) >= 2 and (np.diff(found[:, 4]) <= 0).all()


def test_an_unknown_light_changes_nothing_and_a_wrong_one_loses_craters() -> None:
    tile = bowl(416, 200, 150, 16)[None]
    (as_it_is,) = detector().detect(tile)
    (unknown,) = detect_lit(detector(), tile, None)
    np.testing.assert_array_equal(unknown, as_it_is)
    (right,) = detect_lit(detector(), tile, Light(270))
    assert right[0, 4] == as_it_is[0, 4]
    (wrong,) = detect_lit(detector(), tile, Light(90))
    assert not len(wrong) or wrong[0, 4] < 0.5 < right[0, 4]
    assert (wrong[:, 4] >= detector().threshold).all()


def grid(projection: SphereProjection, lon: float, lat: float) -> SceneGrid:
    """100 m pixels, north up on the map, centred on a place."""
    x, y = (float(v) for v in projection.forward(np.array(lon), np.array(lat)))
    return SceneGrid(projection, (100.0, 0.0, x - 5000.0, 0.0, -100.0, y + 5000.0), 100, 100)


def apart(a: float, b: float) -> float:
    """Degrees between two directions."""
    return abs((a - b + 180) % 360 - 180)


def test_a_direction_on_the_ground_on_a_cylinder() -> None:
    """At 60 degrees a map true at the equator draws east-west out twice: tan(45) becomes 2."""
    there = grid(SphereProjection("equirectangular", MARS_R), 20.0, 60.0)
    for azimuth in (0.0, 90.0, 180.0, 270.0):
        assert apart(picture_azimuth(there, azimuth), azimuth) < 0.05
    assert apart(picture_azimuth(there, 45.0), np.degrees(np.arctan(2))) < 0.05
    assert apart(picture_azimuth(there, 225.0), 180 + np.degrees(np.arctan(2))) < 0.05


@pytest.mark.parametrize(
    ("lon", "pole_at"), [(0.0, 0.0), (90.0, 270.0), (180.0, 180.0), (-90.0, 90.0)]
)
def test_a_direction_on_the_ground_near_a_pole(lon: float, pole_at: float) -> None:
    """The north polar map has longitude 0 below the pole and 90 east to its right."""
    there = grid(SphereProjection("polar_stereographic", MARS_R, 0.0, 90.0), lon, 80.0)
    assert apart(picture_azimuth(there, 0.0), pole_at) < 0.05
    assert apart(picture_azimuth(there, 270.0), pole_at + 270) < 0.05


def test_scenes_say_their_light(tmp_path: Path) -> None:
    """Stated for a picture, part of what the scene is; an elevation model's is its shading's."""
    definition = f"+proj=eqc +R={MARS_R}"
    x, y = Proj(definition)(30.0, 5.0)
    transform = Affine(100.0, 0, x - 10_000, 0, -100.0, y + 10_000)
    pixels = draw((200, 200), transform, proj_lonlat(definition), Disc(30.0, 5.0, 3000))
    path = str(write(tmp_path / "s.tif", pixels, "IAU_2015:49910", transform))
    (silent,) = open_scenes(path)
    assert scene_light(silent, 1.5) is None
    (lit,) = open_scenes(path, options=ReadOptions(light_deg=0.0))
    light = scene_light(lit, 1.2)
    assert light is not None
    assert apart(light.azimuth_deg, 0.0) < 0.05
    assert light.weight == 1.2
    assert scene_light(lit, 0.0) is None
    assert lit.sha256 != silent.sha256 and lit.file_sha256 == silent.file_sha256
    (shaded,) = open_scenes(path, kind="elevation")
    assert scene_light(shaded, 1.5) == Light(270.0, 1.5)
    with pytest.raises(InputError, match="elevation"):
        open_scenes(path, kind="elevation", options=ReadOptions(light_deg=270.0))
