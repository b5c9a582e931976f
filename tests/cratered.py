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
