"""Boxes under maps, clipping, windows and hold-out: geometry by hand and by dense sampling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cda_db.bodies import get_body
from cda_db.errors import InputError
from ingest.training.caps import CapRule, cap_boxes, cap_known, enlarge, shade
from ingest.training.crops import (
    CropRule,
    clip_boxes,
    grid_starts,
    plain_windows,
    turned_affine,
    warp_boxes,
)
from ingest.training.folders import (
    LabelledImage,
    find_images,
    folder_sha256,
    hold_out,
    read_yolo,
    write_yolo,
)


@given(st.integers(0, 100_000))
def test_a_turned_box_is_that_of_the_turned_ellipse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    affine = turned_affine(rng.uniform(0, 400, 2), CropRule(), rng)
    x, y, a, b = rng.uniform(1, 100, 4)
    angle = np.linspace(0, 2 * np.pi, 3601)
    points = np.column_stack([x + a * np.cos(angle), y + b * np.sin(angle)])
    moved = points @ affine[:, :2].T + affine[:, 2]
    expected = np.r_[moved.min(axis=0), moved.max(axis=0)]
    boxes = np.array([[x - a, y - b, x + a, y + b]])
    np.testing.assert_allclose(warp_boxes(boxes, affine)[0], expected, atol=0.01)


def test_a_turn_brings_its_centre_to_the_middle_of_the_crop() -> None:
    rng = np.random.default_rng(0)
    centre = np.array([120.0, 80.0])
    affine = turned_affine(centre, CropRule(), rng)
    np.testing.assert_allclose(affine[:, :2] @ centre + affine[:, 2], [112, 112])


@given(st.integers(0, 100_000))
def test_a_turn_scales_areas_as_the_rule_says(seed: int) -> None:
    rule = CropRule(turned_scale=(0.4, 0.5))
    affine = turned_affine(np.zeros(2), rule, np.random.default_rng(seed))
    assert 0.4**2 <= np.linalg.det(affine[:, :2]) <= 0.5**2


def test_slivers_and_mostly_outside_boxes_are_no_labels() -> None:
    boxes = np.array(
        [
            [10.0, 10, 20, 20],  # whole
            [-4.0, 10, 6, 20],  # 60 % inside
            [-6.0, 10, 4, 20],  # 40 % inside
            [10.0, 10, 13, 30],  # 3 px wide
        ]
    )
    np.testing.assert_array_equal(
        clip_boxes(boxes, 224, 4.0, 0.5), [[10, 10, 20, 20], [0, 10, 6, 20]]
    )


@given(st.integers(1, 3000), st.floats(20, 500))
def test_windows_cover_evenly_without_leaving_the_image(length: int, window: float) -> None:
    starts = grid_starts(length, window)
    assert starts[0] == 0
    if window < length:
        assert starts[-1] == pytest.approx(length - window)
        assert (np.diff(starts) <= window + 1e-9).all()
        assert (len(starts) - 1) * window < length


def test_four_windows_of_a_themis_tile() -> None:
    maps = list(plain_windows((416, 416), 224, 1.0))
    assert [(-m[0, 2], -m[1, 2]) for m in maps] == [(0, 0), (192, 0), (0, 192), (192, 192)]


@given(st.integers(2, 700), st.floats(0.01, 0.5))
def test_hold_out_splits_by_image_in_blocks(n: int, share: float) -> None:
    images = [LabelledImage(Path(f"{k}.png"), Path(f"{k}.txt")) for k in range(n)]
    if max(1, round(n * share)) >= n:
        return
    train, held = hold_out(images, share)
    assert len(held) == max(1, round(n * share))
    assert sorted(train + held, key=lambda item: int(item.name)) == images
    edges = np.diff(np.isin(np.arange(n), [int(item.name) for item in held]).astype(int))
    assert np.abs(edges).sum() <= 10


def test_nothing_left_to_train_on_is_refused() -> None:
    with pytest.raises(InputError):
        hold_out([LabelledImage(Path("a.png"), Path("a.txt"))], 0.1)


def folder(root: Path, names: list[str]) -> Path:
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for name in names:
        Image.new("L", (100, 50), 90).save(root / "images" / f"{name}.png")
        (root / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    return root


def test_images_come_in_natural_order_without_the_excluded(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", ["c10", "c2", "c1"])
    assert [item.name for item in find_images(root)] == ["c1", "c2", "c10"]
    images = find_images(root, exclude=["c2"])
    assert [item.name for item in images] == ["c1", "c10"]
    np.testing.assert_allclose(images[0].boxes(), [[40, 15, 60, 35]])
    assert images[0].pixels().shape == (50, 100)


def test_an_image_without_labels_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", ["a", "b"])
    (root / "labels" / "a.txt").unlink()
    with pytest.raises(InputError, match=r"a\.png"):
        find_images(root)


def test_the_hash_of_a_folder_sees_every_label(tmp_path: Path) -> None:
    images = find_images(folder(tmp_path / "set", ["a", "b"]))
    before = folder_sha256(images)
    assert folder_sha256(images) == before
    images[1].label.write_text("")
    assert folder_sha256(images) != before


def test_labels_survive_writing_and_reading(tmp_path: Path) -> None:
    boxes = np.array([[1.0, 2, 11, 22], [100, 50, 130, 80]])
    write_yolo(tmp_path / "a.txt", boxes, 224, 112)
    np.testing.assert_allclose(read_yolo(tmp_path / "a.txt", 224, 112), boxes, atol=1e-3)


def test_a_broken_label_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1\n")
    with pytest.raises(InputError, match="line 2"):
        read_yolo(tmp_path / "a.txt", 10, 10)


def test_cap_boxes_lie_where_the_projection_puts_them() -> None:
    moon = get_body("moon")
    # By hand: polar stereographic on a sphere, true at the pole: r = 2 R tan(colatitude / 2),
    # longitude 0 points down on the north cap and up on the south cap.
    r = 2 * moon.radius_m * np.tan(np.radians(10) / 2) / 5000
    craters = np.array([[0.0, 80.0, 100.0], [90.0, 80.0, 100.0], [0.0, -80.0, 100.0]])
    north = cap_boxes(craters, moon, "north_polar", 400, 5000.0)
    centres = (north[:, :2] + north[:, 2:]) / 2
    np.testing.assert_allclose(centres, [[200, 200 + r], [200 + r, 200]], atol=1e-6)
    side = 100_000 / 5000 * 2 / (1 + np.sin(np.radians(80)))
    np.testing.assert_allclose(north[:, 2:] - north[:, :2], side, rtol=1e-6)
    south = cap_boxes(craters, moon, "south_polar", 400, 5000.0)
    np.testing.assert_allclose((south[:, :2] + south[:, 2:]) / 2, [[200, 200 - r]], atol=1e-6)


def test_light_from_the_left_brightens_slopes_that_face_left() -> None:
    ridge = np.tile(np.r_[np.arange(20.0), np.arange(20.0)[::-1]] * 10, (30, 1))
    known = np.ones(ridge.shape, dtype=bool)
    grey = shade(ridge, known, 100.0, azimuth_deg=270, altitude_deg=30)
    assert grey[15, 5] > 200 and grey[15, 35] < 50
    # Limits twice as wide: half the contrast about the same middle.
    soft = shade(ridge, known, 100.0, azimuth_deg=270, altitude_deg=30, widening=2.0)
    assert int(soft[15, 5]) - int(soft[15, 35]) == pytest.approx(
        (int(grey[15, 5]) - int(grey[15, 35])) / 2, abs=2
    )


def test_what_is_not_shown_is_the_mean_of_what_is() -> None:
    rng = np.random.default_rng(0)
    known = np.zeros((40, 40), dtype=bool)
    known[:, :20] = True
    grey = shade(rng.normal(0, 30, (40, 40)), known, 100.0, azimuth_deg=90, altitude_deg=30)
    assert np.unique(grey[:, 20:]).size == 1
    assert grey[0, 30] == pytest.approx(grey[:, :20].mean(), abs=1)


def test_shown_and_held_out_ground_share_the_cap_by_longitude() -> None:
    """0-90 E is held out: seen from above the north pole the lower right quarter, on the south
    cap the upper right one (longitude 0 points down in the north, up in the south)."""
    moon = get_body("moon")
    rule = CapRule(min_latitude_deg=70.0)
    edge = 2 * moon.radius_m * np.tan(np.radians(20) / 2)
    side, pixel_m = 200, 2 * edge / 200
    for frame, (row, column) in (("north_polar", (130, 130)), ("south_polar", (70, 130))):
        shown = cap_known(side, pixel_m, moon, frame, rule)
        held = cap_known(side, pixel_m, moon, frame, rule, held=True)
        assert held[row, column] and not (shown & held).any()
        assert held.sum() == pytest.approx(shown.sum() / 3, rel=1e-3)
        assert (shown | held).sum() == pytest.approx(np.pi * 100**2, rel=0.01)
        assert not shown[0, 0]


def test_enlarging_keeps_heights_where_they_were() -> None:
    """A plane stays that plane: pixel k of the large picture shows (k + 0.5) / up - 0.5."""
    rows, columns = np.indices((12, 16)).astype(float)
    large = enlarge(3 * columns - 2 * rows, 4, 0.5)
    y, x = (np.indices(large.shape) + 0.5) / 4 - 0.5
    np.testing.assert_allclose(large[12:-12, 12:-12], (3 * x - 2 * y)[12:-12, 12:-12], atol=0.02)
