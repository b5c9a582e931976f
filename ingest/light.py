"""Pictures whose light is known: searched with it from the left, and hills told by it.

Under light from the west a crater is dark in the west and bright in the east, a hill the other way
round. A detector for pictures lit from either side cannot tell them apart where one stands alone;
who knows the light can. Detectors are trained on light from the sides, not from above or below, so
tiles are turned by quarters until theirs comes from the left, and what is found is turned back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cda_db.scenes import Scene
from ingest.grid import SceneGrid, unit_vectors
from ingest.scene import scene_grid

Tiles = NDArray[np.uint8]
Rows = NDArray[np.float32]
Floats = NDArray[np.float64]

# Chosen on the validation sets that docs/detector.md names: F1 hardly changes from 1 to 3.
WEIGHT = 1.5
# A crater's slope along the light is about 1.2 standard deviations; below this it is suspect.
_CRATER_SLOPE = 0.3
# Smaller finds have too few pixels to tell.
LEAST_PX = 6.0


class AnyDetector(Protocol):
    """What finds boxes in tiles: ``ingest.detector``, ``ingest.detector_torch``."""

    threshold: float

    def detect(self, tiles: Tiles) -> list[Rows]:
        """Boxes (k, 5) of each tile (n, side, side)."""


@dataclass(frozen=True)
class Light:
    """Light over a picture.

    Attributes:
        azimuth_deg: where it comes from, clockwise from the top of the picture.
        weight: how much a slope against it takes from a find's score; see ``doubted``.
    """

    azimuth_deg: float
    weight: float = WEIGHT

    @property
    def quarters(self) -> int:
        """Quarter turns, against the clock, after which it comes from within 45 degrees of left."""
        return round((self.azimuth_deg - 270.0) / 90.0) % 4

    def turned(self) -> Light:
        """The light over the picture that was turned by ``quarters``."""
        return Light((self.azimuth_deg - 90.0 * self.quarters) % 360.0, self.weight)


def scene_light(scene: Scene, weight: float) -> Light | None:
    """The light over a scene's pixels; None where it is not known, or has no weight.

    An elevation model's is that which shades it. A picture's is what was stated when it was
    registered, clockwise from north on the ground, carried to its pixels at its centre.
    """
    if weight == 0:
        return None
    if scene.shading is not None:
        return Light(float(scene.shading["azimuth_deg"]), weight)
    stated = (scene.view or {}).get("options", {}).get("light_deg")
    if stated is None:
        return None
    return Light(picture_azimuth(scene_grid(scene), float(stated)), weight)


def picture_azimuth(grid: SceneGrid, ground_deg: float) -> float:
    """A direction on the ground at a grid's centre, clockwise from north, as seen in its picture.

    Returns:
        degrees clockwise from the top of the picture, in [0, 360).
    """
    middle = np.array(grid.width / 2), np.array(grid.height / 2)
    right, down = grid.ground_steps(*middle)
    lon, lat = (float(value) for value in grid.to_lonlat(*middle))
    north = unit_vectors(np.array(lon), np.array(lat + 90.0))
    east = unit_vectors(np.array(lon + 90.0), np.array(0.0))
    angle = np.radians(ground_deg)
    wanted = np.cos(angle) * north + np.sin(angle) * east
    step = np.linalg.lstsq(np.column_stack([right, down]), wanted, rcond=None)[0]
    return float(np.degrees(np.arctan2(step[0], -step[1])) % 360.0)


def detect_lit(detector: AnyDetector, tiles: Tiles, light: Light | None) -> list[Rows]:
    """``detector.detect`` of tiles (n, side, side) under a light; as it is where that is unknown.

    Returns:
        boxes (k, 5) of each tile in its own pixels, best first, ties by box; those whose score
        the light takes below the detector's threshold are left out.
    """
    if light is None:
        return detector.detect(tiles)
    side, quarters, level = tiles.shape[1], light.quarters, light.turned()
    turned = np.ascontiguousarray(np.rot90(tiles, quarters, axes=(1, 2)))
    found = []
    for tile, rows in zip(turned, detector.detect(turned), strict=True):
        kept = doubted(tile, rows, level)
        kept = turn_boxes(kept[kept[:, 4] >= np.float32(detector.threshold)], side, -quarters)
        order = np.lexsort((kept[:, 3], kept[:, 2], kept[:, 1], kept[:, 0], -kept[:, 4]))
        found.append(kept[order])
    return found


def doubted(pixels: Tiles, rows: Rows, light: Light) -> Rows:
    """Rows (k, 5) of which those lit like hills have lower scores.

    The slope s of a box is its brightness away from the light less that towards it, in standard
    deviations (``slopes``). Where s < 0.3, the score's log-odds fall by weight (0.3 - s).
    """
    angle = np.radians(light.azimuth_deg)
    along = slopes(pixels, rows) @ np.array([-np.sin(angle), np.cos(angle)])
    size = np.sqrt((rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1]))
    suspect = (along < _CRATER_SLOPE) & (size >= LEAST_PX)  # never for NaN
    score = rows[suspect, 4].astype(np.float64)
    odds = score / np.maximum(1 - score, 1e-6)
    odds *= np.exp(light.weight * (along[suspect] - _CRATER_SLOPE))
    changed = rows.copy()
    changed[suspect, 4] = odds / (1 + odds)
    return changed


def slopes(pixels: Tiles, boxes: NDArray[np.floating]) -> Floats:
    """Brightness of each box's right half less its left, and its lower less its upper, (n, 2).

    In standard deviations of the box's pixels; NaN where the box has fewer than three pixels a side
    in the picture, or one grey.
    """
    found = np.full((len(boxes), 2), np.nan)
    height, width = pixels.shape
    for k, (x0, y0, x1, y1) in enumerate(boxes[:, :4].tolist()):
        rows = slice(max(0, round(y0)), min(height, round(y1)))
        columns = slice(max(0, round(x0)), min(width, round(x1)))
        part = pixels[rows, columns].astype(np.float64)
        spread = part.std() if min(part.shape) >= 3 else 0.0
        if spread > 0:
            down, across = part.shape[0] // 2, part.shape[1] // 2
            found[k] = (
                part[:, -across:].mean() - part[:, :across].mean(),
                part[-down:].mean() - part[:down].mean(),
            )
            found[k] /= spread
    return found


def turn_boxes(rows: Rows, side: int, quarters: int) -> Rows:
    """Boxes (k, 5) of a square picture that ``np.rot90`` has turned, against the clock."""
    turned = rows.copy()
    for _ in range(quarters % 4):
        x0, y0, x1, y1 = turned[:, :4].T.copy()
        turned[:, :4] = np.column_stack([y0, side - x1, y1, side - x0])
    return turned
