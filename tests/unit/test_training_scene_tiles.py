"""Training tiles from scenes: labels where the craters are, splits that share no ground."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cda_db.errors import InputError
from ingest.grid import SceneGrid, unit_vectors
from ingest.scene import open_scenes
from ingest.sphere import SphereProjection
from ingest.training.folders import find_images
from ingest.training.scene_tiles import TileSet, make_tiles, scene_boxes, split_by_ground

RADIUS = 3_396_190.0


def test_boxes_are_as_wide_as_the_map_stretches_them() -> None:
    """Equirectangular at latitude 60: a circle is twice as wide as high."""
    pixel = 1000.0
    north = np.radians(60) * RADIUS + 100 * pixel
    grid = SceneGrid(
        SphereProjection("equirectangular", RADIUS, 0.0, 0.0),
        (pixel, 0.0, -100 * pixel, 0.0, -pixel, north),
        200,
        200,
    )
    (box,) = scene_boxes(grid, np.array([[0.0, 60.0, 20_000.0]]))
    np.testing.assert_allclose(box, [80, 90, 120, 110], atol=0.02)


def test_craters_far_from_the_scene_have_no_box() -> None:
    grid = SceneGrid(
        SphereProjection("equirectangular", RADIUS, 0.0, 0.0),
        (1000.0, 0.0, 0.0, 0.0, -1000.0, 0.0),
        200,
        200,
    )
    assert len(scene_boxes(grid, np.array([[120.0, -40.0, 9000.0]]))) == 0


def test_no_training_tile_touches_a_validation_tile() -> None:
    rng = np.random.default_rng(0)
    centres = np.column_stack([rng.uniform(-180, 180, 3000), rng.uniform(-89, 89, 3000)])
    reach = np.radians(rng.uniform(0.2, 1.0, 3000))
    split = split_by_ground(centres, reach, TileSet(block_deg=10, holdout=0.2, seed=1))
    points = unit_vectors(centres[:, 0], centres[:, 1])
    train, valid = np.flatnonzero(split == 0), np.flatnonzero(split == 1)
    apart = np.linalg.norm(points[train][:, None] - points[valid][None], axis=2)
    assert (apart >= reach[train][:, None] + reach[valid][None]).all()
    assert 0.1 < len(valid) / 3000 < 0.3
    assert len(train) > 1000


def test_one_block_of_ground_cannot_be_split() -> None:
    with pytest.raises(InputError, match="block"):
        split_by_ground(np.array([[0.5, 0.5]]), np.array([0.01]), TileSet())


def test_tiles_of_real_scenes_hold_the_listed_craters(
    sample_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Every listed crater that is whole in its tile is a label of its size, nowhere twice."""
    import csv

    folder = sample_data("mars_themis_georef")
    with (folder / "craters.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    craters = np.array(
        [
            [float(r["lon_east_deg"]), float(r["lat_deg"]), 1000 * float(r["diameter_km"])]
            for r in rows
        ]
    )
    names = sorted({r["scene"] for r in rows})[:6]
    paths = [folder / "scenes" / (n if n.endswith(".tif") else f"{n}.tif") for n in names]
    scenes = [scene for path in paths for scene in open_scenes(str(path), body="mars")]
    counts = make_tiles(scenes, craters, tmp_path / "set", TileSet(holdout=0.3, block_deg=0.5))
    assert counts["train_tiles"] > 0 and counts["valid_tiles"] > 0
    labels = [
        box
        for split in ("train", "valid")
        for image in find_images(tmp_path / "set", split=split)
        for box in image.boxes()
    ]
    assert len(labels) == counts["train_boxes"] + counts["valid_boxes"]
    # Sides in km: heights are true, widths stretched by at most 1 / cos(30 degrees).
    height = np.sort([0.1 * (box[3] - box[1]) for box in labels])
    assert len(height) >= 5
    listed = np.array([float(r["diameter_km"]) for r in rows])
    nearest = np.abs(listed[:, None] - height[None]).min(axis=0)
    assert np.median(nearest / height) < 0.02
    with pytest.raises(InputError, match="exists"):
        make_tiles(scenes, craters, tmp_path / "set", TileSet())
