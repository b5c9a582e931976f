"""Pictures of cratered ground that the shipped detector sees, for tests of the whole chain.

Bowls with raised rims on rough ground, lit from the west: enough like THEMIS for a detector, and
made anywhere in a second. Overlapping pictures show the same ground.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy import ndimage

from cda_db.bodies import get_body

PIXEL_M = 100.0


def cratered_ground(height: int, width: int, n_craters: int, seed: int) -> NDArray[np.uint8]:
    """Grey values (rows, columns) of ground with craters of 12 to 70 pixels."""
    rng = np.random.default_rng(seed)
    rough = sum(
        ndimage.zoom(rng.normal(size=(height // step + 2, width // step + 2)), step, order=1)[
            :height, :width
        ]
        * step**0.8
        for step in (2, 4, 8, 16, 32)
    )
    ground = 0.12 * rough
    for _ in range(n_craters):
        radius = min(6 * rng.pareto(2.0) + 6, 35)
        cx, cy = rng.uniform(0, width), rng.uniform(0, height)
        rows = slice(max(0, int(cy - 2 * radius)), int(cy + 2 * radius) + 1)
        cols = slice(max(0, int(cx - 2 * radius)), int(cx + 2 * radius) + 1)
        y, x = np.ogrid[rows, cols]
        part = ground[rows, cols]
        distance = np.hypot(x[:, : part.shape[1]] - cx, y[: part.shape[0]] - cy) / radius
        bowl = np.where(distance < 1, 0.4 * (distance**2 - 1), 0)
        part += radius * (bowl + 0.12 * np.exp(-(((distance - 1) / 0.25) ** 2)))
    slope = np.gradient(ground, axis=1)
    return np.clip(128 + 160 * slope, 1, 255).astype(np.uint8)


def write_scenes(folder: Path, side: int = 640, shift: int = 400, seed: int = 1) -> list[Path]:
    """Four overlapping GeoTIFFs of Mars, two by two; nodata is 0."""
    ground = cratered_ground(side + shift, side + shift, 90, seed)
    paths = []
    for row in (0, 1):
        for col in (0, 1):
            path = folder / f"ground_{row}{col}.tif"
            top, left = row * shift, col * shift
            with rasterio.open(
                path, "w", driver="GTiff", count=1, dtype="uint8", height=side, width=side,
                nodata=0, crs=get_body("mars").crs("equirectangular").to_wkt(),
                transform=Affine(PIXEL_M, 0, left * PIXEL_M, 0, -PIXEL_M, -top * PIXEL_M),
            ) as out:  # fmt: skip
                out.write(ground[top : top + side, left : left + side], 1)
            paths.append(path)
    return paths


def bowl(side: int, x: float, y: float, radius: float) -> NDArray[np.uint8]:
    """A parabolic pit with a raised rim, lit from the left: what any crater looks like."""
    rows, columns = np.indices((side, side)) + 0.5
    r = np.hypot(columns - x, rows - y) / radius
    height = np.where(r < 1, 0.4 * (r**2 - 1) + 0.1, 0.1 * np.exp(-((r - 1) / 0.25))) * radius
    slope = np.gradient(height, axis=1)
    noise = np.random.default_rng(1).normal(0, 2, (side, side))
    return np.clip(125 + 110 * slope + noise, 0, 255).astype(np.uint8)


_PLACES = [(30, 30), (90, 40), (150, 35), (40, 100), (100, 110), (160, 100), (60, 160), (140, 160)]


def bowls_and_domes(
    azimuth_deg: float, hills: set[int], radius: float = 9.0
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Bowls, and domes at some places, lit from an azimuth (degrees from north, clockwise).

    A bowl of depth d(r) = (r^2 - R^2) has the slope (x, y); Lambert's brightness is the ground's
    plus its slope towards the light, which lies at (sin a, -cos a) of a picture whose rows go down.
    """
    a = np.radians(azimuth_deg)
    rows, columns = np.indices((200, 200)) + 0.5
    picture = 120 + np.random.default_rng(1).normal(0, 2, (200, 200))
    boxes = []
    for k, (x, y) in enumerate(_PLACES):
        dx, dy = columns - x, rows - y
        tilt = -(dx * np.sin(a) - dy * np.cos(a)) / radius
        inside = np.hypot(dx, dy) < radius
        picture += np.where(inside, (-60 if k in hills else 60) * tilt, 0)
        boxes.append((x - radius, y - radius, x + radius, y + radius))
    return np.clip(picture, 0, 255).astype(np.uint8), np.array(boxes)
