"""Up-sampling of a scene that is its file's own grid, against SciPy's interpolation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from scipy import ndimage

from cda_db.bodies import get_body
from ingest.scene import open_scenes, open_seen

SIDE = 60


def write(path: Path, values: np.ndarray[tuple[int, int], np.dtype[np.uint16]]) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint16", height=SIDE, width=SIDE, nodata=0,
        crs=get_body("mars").crs("equirectangular").to_wkt(),
        transform=Affine(100.0, 0, 0, 0, -100.0, 0),
    ) as out:  # fmt: skip
        out.write(values, 1)
    return path


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("level", [0.25, 0.5])
def test_bilinear_with_weights_only_where_there_is_data(
    tmp_path: Path, level: float, holes: bool
) -> None:
    """Centres of up-sampled pixels at (k + 1/2) level - 1/2 of the file's pixel indices."""
    rng = np.random.default_rng(1)
    values = rng.integers(1, 60_000, (SIDE, SIDE), dtype=np.uint16)
    if holes:
        values[20:30, 5:40] = 0
        values[rng.random((SIDE, SIDE)) < 0.05] = 0
    (scene,) = open_scenes(str(write(tmp_path / "a.tif", values)))
    n = int(SIDE / level)
    with open_seen(scene) as seen:
        found, valid = seen.window(level, 0, 0, n, n)
    at = (np.arange(n) + 0.5) * level - 0.5
    where = np.stack(np.meshgrid(at, at, indexing="ij"))
    # beyond the outermost centres there is data on one side only
    padded, there = np.pad(values.astype(float), 1), np.pad((values > 0).astype(float), 1)
    weight = ndimage.map_coordinates(there, where + 1, order=1)
    total = ndimage.map_coordinates(padded, where + 1, order=1)
    np.testing.assert_array_equal(valid, weight >= 0.5)
    np.testing.assert_allclose(found[valid], total[valid] / weight[valid], rtol=1e-6)
