"""Pictures of scenes: views looked up at the right place, wrap, gaps, stretch, circles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image

from cda_db.bodies import get_body
from cda_db.errors import SceneError
from ingest.scene import open_scenes
from queries.annotate import draw_scene, write_picture
from queries.scene_picture import scene_lonlat, scene_picture

MOON = get_body("moon")


def spot_value(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """A smooth pattern on the sphere that no shift or mirror image reproduces."""
    a, b = np.radians(lon), np.radians(lat)
    return 120 + 40 * np.cos(b) * np.cos(a) + 30 * np.sin(b) + 50 * np.cos(b) ** 2 * np.sin(2 * a)


@pytest.fixture(scope="module")
def globe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A global raster of 720 x 360 px in lon/lat whose columns run from 0 to 360."""
    path = tmp_path_factory.mktemp("globe") / "globe.tif"
    lon, lat = np.meshgrid(np.arange(0.25, 360, 0.5), np.arange(89.75, -90, -0.5))
    with rasterio.open(
        path, "w", driver="GTiff", width=720, height=360, count=1, dtype="float32",
        crs=MOON.crs().to_wkt(), transform=rasterio.Affine(0.5, 0, 0, 0, -0.5, 90), nodata=-1,
    ) as file:  # fmt: skip
        file.write(spot_value(lon, lat).astype("float32"), 1)
    return path


def test_views_show_the_ground_that_they_say(globe: Path) -> None:
    scenes = open_scenes(str(globe))
    assert len(scenes) == 3
    for scene in scenes:
        picture = scene_picture(scene, longest_px=300)
        height, width = picture.pixels.shape
        cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        lon, lat, on_map = scene_lonlat(scene, cols / picture.scale[0], rows / picture.scale[1])
        assert on_map.all()
        low, high = scene.radiometry["limits"][0][1:]
        expected = np.clip((spot_value(lon, lat) - low) / (high - low) * 255, 0, 255)
        # Nearest source pixel of an averaged raster: within a source step of the true value.
        assert np.abs(picture.pixels - expected).max() < 12
        assert np.abs(picture.pixels - expected).mean() < 2


def test_gaps_are_white_and_the_scale_is_true(tmp_path: Path) -> None:
    path = tmp_path / "gap.tif"
    pixels = np.full((300, 600), 100, np.uint8)
    pixels[:, :300] = 200
    pixels[200:] = 0
    with rasterio.open(
        path, "w", driver="GTiff", width=600, height=300, count=1, dtype="uint8", nodata=0,
        crs=MOON.crs("equirectangular").to_wkt(), transform=rasterio.Affine(100, 0, 0, 0, -100, 0),
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    (scene,) = open_scenes(str(path))
    picture = scene_picture(scene, longest_px=300)
    assert picture.pixels.shape == (150, 300) and picture.scale == (0.5, 0.5)
    assert (picture.pixels[101:] == 255).all()
    # White is both "not imaged" and the stretch's top: the ground's two greys stay apart.
    assert picture.pixels[50, 20] > picture.pixels[50, 280] + 50


def test_circles_are_drawn_where_the_detections_are(tmp_path: Path) -> None:
    path = tmp_path / "flat.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=1000, height=1000, count=1, dtype="uint8",
        crs=MOON.crs("equirectangular").to_wkt(), transform=rasterio.Affine(100, 0, 0, 0, -100, 0),
    ) as file:  # fmt: skip
        ramp = np.linspace(60, 150, 1000).astype(np.uint8)
        file.write(np.broadcast_to(ramp, (1000, 1000)), 1)
    (scene,) = open_scenes(str(path))
    rows = {"verdict": ["kept"], "x_px": [600.0], "y_px": [250.0], "w_px": [200.0], "h_px": [100.0]}
    figure = draw_scene(scene, scene_picture(scene), pd.DataFrame(rows), title="t")
    write_picture(tmp_path / "a.png", figure)
    image = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    top = round(0.3 * 150)  # the margin above the picture
    image = image[top : top + 1000]
    assert image.shape[1] == 1000
    green = (image[..., 1] - image[..., 0] > 40) & (image[..., 1] - image[..., 2] > 60)
    y, x = np.nonzero(green)
    assert (x.min(), x.max()) == (pytest.approx(500, abs=3), pytest.approx(700, abs=3))
    assert (y.min(), y.max()) == (pytest.approx(200, abs=3), pytest.approx(300, abs=3))


def test_a_lost_file_is_told(globe: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tif"
    copy.write_bytes(globe.read_bytes())
    scene = open_scenes(str(copy))[0]
    copy.unlink()
    with pytest.raises(SceneError, match="gone"):
        scene_picture(scene)
    copy.write_text("no raster", encoding="utf-8")
    with pytest.raises(SceneError, match="cannot be read"):
        scene_picture(scene)
