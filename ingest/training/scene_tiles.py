"""A training set from registered scenes and a catalogue: tiles, labels, split by ground distance.

A scientist corrects a catalogue and trains on it: the tiles are read by the worker's own reader
(same levels, stretch and nodata), the labels are the catalogue's circles in each tile's pixels. A
training tile never shows ground of a validation tile, whatever scenes they come from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from cda_db.errors import InputError
from cda_db.scenes import Scene
from ingest.grid import SceneGrid, unit_vectors
from ingest.reader import TileReader
from ingest.scene import scene_grid
from ingest.training.crops import clip_boxes
from ingest.training.folders import Boxes, write_yolo

Craters = NDArray[np.float64]
SPLITS = ("train", "valid")


@dataclass(frozen=True)
class TileSet:
    """How tiles are cut and split.

    Attributes:
        level: down-sampling factor of the tiles.
        tile, overlap: pixels of the level.
        holdout: share of the ground that goes to validation.
        block_deg: side of the blocks of ground that are drawn, in degrees.
        min_box_px: smaller craters are no labels.
        min_valid: least share of a tile that is imaged.
        seed: of the draw.
    """

    level: float = 1.0
    tile: int = 416
    overlap: int = 0
    holdout: float = 0.1
    block_deg: float = 2.0
    min_box_px: float = 4.0
    min_valid: float = 0.5
    seed: int = 0


def scene_boxes(grid: SceneGrid, craters: Craters) -> Boxes:
    """Pixel boxes (n, 4) at level 1 of the craters (n, 3: lon, lat, metres) near a scene.

    A box is as wide and high as the circle looks on the map at its centre.
    """
    col, row = grid.to_pixel(craters[:, 0], craters[:, 1])
    near = np.isfinite(col) & np.isfinite(row)
    near &= (col > -grid.width) & (col < 2 * grid.width)
    near &= (row > -grid.height) & (row < 2 * grid.height)
    col, row, diameter = col[near], row[near], craters[near, 2]
    right, down = grid.ground_steps(col, row)
    half_w = diameter / 2 / np.linalg.norm(right, axis=-1)
    half_h = diameter / 2 / np.linalg.norm(down, axis=-1)
    return np.column_stack([col - half_w, row - half_h, col + half_w, row + half_h])


def split_by_ground(
    centres: NDArray[np.float64], reach_rad: NDArray[np.float64], how: TileSet
) -> NDArray[np.intp]:
    """Split of each tile: 0 train, 1 valid, -1 left out because it touches a validation tile.

    Blocks of ``block_deg`` are drawn at random; tiles whose centres lie in them are validation.

    Args:
        centres: longitude and latitude in degrees, (n, 2).
        reach_rad: half diagonal of each tile on the ground, in radians of arc.
        how: share, block size, seed.
    """
    block = np.floor(centres / how.block_deg).astype(int)
    _, which = np.unique(block, axis=0, return_inverse=True)
    count = int(which.max()) + 1
    wanted = max(1, round(count * how.holdout)) if how.holdout > 0 else 0
    if wanted >= count:
        raise InputError(
            f"The tiles lie in {count} block(s) of {how.block_deg:g} degrees: no ground is left to"
            " train on.",
            "Give more scenes or a smaller --block.",
        )
    drawn = np.random.default_rng(how.seed).permutation(count)[:wanted]
    split = np.isin(which.ravel(), drawn).astype(np.intp)
    held = np.flatnonzero(split == 1)
    if len(held):
        points = unit_vectors(centres[:, 0], centres[:, 1])
        # Each pair is tested with its own reaches; a tree finds the pairs that could touch.
        most = 2 * float(reach_rad.max())
        hits = cKDTree(points[held]).query_ball_point(points, most)
        for k in np.flatnonzero(split == 0):
            others = held[hits[k]]
            apart = np.linalg.norm(points[others] - points[k], axis=1)
            if (apart < reach_rad[others] + reach_rad[k]).any():
                split[k] = -1
    return split


def make_tiles(
    scenes: Sequence[Scene], craters: Craters, out: Path, how: TileSet
) -> dict[str, Any]:
    """Write ``images/SPLIT``, ``labels/SPLIT`` and ``tiles.json``; return the counts.

    Args:
        scenes: registered scenes of one body.
        craters: lon, lat in degrees and diameter in metres, (n, 3).
        out: folder to write; must not exist.
        how: level, tiles, split.

    Raises:
        InputError: nothing to write, or ``out`` exists.
    """
    if out.exists():
        raise InputError(f"{out} exists.", "Name a new folder.")
    places = [place for scene in scenes for place in _tile_places(scene, how)]
    if not places:
        raise InputError("No scene has a tile.", "Register scenes first: cda ingest scenes.")
    centres = np.array([place[2] for place in places])
    split = split_by_ground(centres, np.array([place[3] for place in places]), how)
    fate = {place[:2]: int(s) for place, s in zip(places, split, strict=True)}
    counts = {f"{part}_{kind}": 0 for part in SPLITS for kind in ("tiles", "boxes")}
    for part in SPLITS:
        (out / "images" / part).mkdir(parents=True)
        (out / "labels" / part).mkdir(parents=True)
    for scene in scenes:
        boxes = scene_boxes(scene_grid(scene), craters) / how.level
        for name, pixels, labels, where in _labelled_tiles(scene, boxes, how):
            if fate[where] < 0:
                continue
            part = SPLITS[fate[where]]
            Image.fromarray(pixels).save(out / "images" / part / f"{name}.png")
            write_yolo(out / "labels" / part / f"{name}.txt", labels, how.tile, how.tile)
            counts[f"{part}_tiles"] += 1
            counts[f"{part}_boxes"] += len(labels)
    counts["left_out_tiles"] = int((split < 0).sum())
    record = {
        "how": vars(how),
        "scenes": {s.name: s.sha256.hex() for s in scenes},
        "counts": counts,
    }
    (out / "tiles.json").write_text(json.dumps(record, indent=1))
    return counts


Where = tuple[bytes, tuple[int, int]]


def _tile_places(
    scene: Scene, how: TileSet
) -> list[tuple[bytes, tuple[int, int], tuple[float, float], float]]:
    """Scene, (row, column), centre (lon, lat) and reach in radians of every tile of a scene."""
    grid = scene_grid(scene)
    tiles = TileReader(scene, how.level, how.tile, how.overlap).grid
    half = how.tile * how.level / 2
    places = []
    for row in range(tiles.n_rows):
        for column in range(tiles.n_columns):
            x, y = tiles.origin(row, column)
            col = np.array([x * how.level + dx * half for dx in (1, 0, 0, 2, 2)])
            line = np.array([y * how.level + dy * half for dy in (1, 0, 2, 0, 2)])
            lon, lat = grid.to_lonlat(col, line)
            corner = unit_vectors(lon, lat)
            reach = float(np.linalg.norm(corner[1:] - corner[0], axis=1).max())
            places.append((scene.sha256, (row, column), (float(lon[0]), float(lat[0])), reach))
    return places


def _labelled_tiles(
    scene: Scene, boxes: Boxes, how: TileSet
) -> list[tuple[str, NDArray[np.uint8], Boxes, Where]]:
    """Name, picture, labels and place of every tile of a scene that is imaged enough."""
    found = []
    with TileReader(scene, how.level, how.tile, how.overlap) as reader:
        for row in reader.rows():
            columns, pictures, valid = reader.read_row(row)
            for column, picture, mask in zip(columns, pictures, valid, strict=True):
                if mask.mean() < how.min_valid:
                    continue
                x, y = reader.grid.origin(row, column)
                labels = clip_boxes(boxes - (x, y, x, y), how.tile, how.min_box_px, 0.5)
                middle = ((labels[:, :2] + labels[:, 2:]) / 2).astype(int).clip(0, how.tile - 1)
                labels = labels[mask[middle[:, 1], middle[:, 0]]]
                name = f"{Path(scene.name).stem}-{scene.sha256.hex()[:8]}-{row}-{column}"
                found.append((name, picture, labels, (scene.sha256, (row, column))))
    return found
