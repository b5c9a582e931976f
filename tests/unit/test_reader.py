"""Tiles: exact area means, one stretch for all, no seam between tiles, nothing lost at +-180."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from scene_files import MARS_R, write

from ingest.radiometry import to_bytes
from ingest.reader import TileReader
from ingest.scene import open_scenes, open_seen
from ingest.shading import Shading, shade

MARS = "IAU_2015:49910"
PLACE = Affine(100, 0, 1e6, 0, -100, 2e5)


def brute_mean(pixels: np.ndarray, valid: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Block means one by one: over the valid pixels, valid where at least half are."""
    rows, columns = -(-pixels.shape[0] // k), -(-pixels.shape[1] // k)
    mean, ok = np.zeros((rows, columns)), np.zeros((rows, columns), bool)
    for r in range(rows):
        for c in range(columns):
            part = np.s_[r * k : (r + 1) * k, c * k : (c + 1) * k]
            good = pixels[part][valid[part]]
            ok[r, c] = good.size > 0 and 2 * good.size >= valid[part].size
            mean[r, c] = good.mean() if good.size else 0
    return mean, ok


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    width=st.integers(40, 150),
    height=st.integers(40, 150),
    k=st.sampled_from([1, 2, 3, 8]),
    seed=st.integers(0, 2**32 - 1),
)
def test_level_is_the_area_mean_that_honours_nodata(width, height, k, seed, tmp_path) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(1, 256, (height, width)).astype(np.uint8)
    pixels[rng.random((height, width)) < 0.3] = 0
    pixels[: height // 3, : width // 2] = 0
    path = write(tmp_path / "a.tif", pixels, MARS, PLACE, nodata=0)
    (scene,) = open_scenes(str(path))
    mean, ok = brute_mean(pixels.astype(float), pixels > 0, k)
    tile, overlap = 64, 24
    seen = np.zeros(mean.shape, bool)
    with TileReader(scene, k, tile, overlap) as reader:
        for row in reader.rows():
            columns, tiles, valid = reader.read_row(row)
            for column, picture, mask in zip(columns, tiles, valid, strict=True):
                x, y = reader.grid.origin(row, column)
                part = np.s_[y : y + tile, x : x + tile]
                shape = mean[part].shape
                np.testing.assert_array_equal(mask[: shape[0], : shape[1]], ok[part])
                assert not mask[shape[0] :].any() and not mask[:, shape[1] :].any()
                want = np.rint(mean[part])[ok[part]]
                got = picture[: shape[0], : shape[1]][ok[part]]
                # float32 sums may round a mean of exactly one half either way
                assert np.abs(got - want).max(initial=0) <= 1
                assert (got != want).mean() < 0.02
                fill = picture[~mask]
                assert fill.size == 0 or (fill == np.rint(picture[mask].mean())).all()
                seen[part] |= ok[part]
    np.testing.assert_array_equal(seen, ok)  # tiles left out had nothing to show


@pytest.mark.parametrize("level", [1, 2, 0.5, 2.5])
def test_neighbouring_tiles_agree_where_they_overlap(level: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(300, 420)), 0), 1)
    path = write(tmp_path / "a.tif", smooth.astype(np.float32), MARS, PLACE)
    for kind in ("image", "elevation"):
        (scene,) = open_scenes(str(path), kind=kind)
        whole: dict[tuple[int, int], int] = {}
        with TileReader(scene, level, 96, 32) as reader:
            for row in reader.rows():
                for column, picture in zip(*reader.read_row(row)[:2], strict=True):
                    x, y = reader.grid.origin(row, column)
                    for (r, c), value in np.ndenumerate(picture[::7, ::7]):
                        place = (x + 7 * c, y + 7 * r)
                        assert abs(whole.setdefault(place, int(value)) - int(value)) <= 1


def test_stretch_is_robust_and_one_for_the_scene(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.normal(1000, 10, (200, 400)).astype(np.float32)
    pixels[:, 200:] += 30
    pixels[5, 5], pixels[6, 6] = 1e9, -1e9  # hot pixels do not count
    (scene,) = open_scenes(str(write(tmp_path / "a.tif", pixels, MARS, PLACE)))
    ((_, low, high),) = scene.radiometry["limits"]
    assert low == pytest.approx(np.percentile(pixels, 0.5))
    assert high == pytest.approx(np.percentile(pixels, 99.5))
    with TileReader(scene, 1, 128, 32) as reader:
        for column, picture in zip(*reader.read_row(0)[:2], strict=True):
            x, _ = reader.grid.origin(0, column)
            np.testing.assert_array_equal(picture, to_bytes(pixels[:128, x : x + 128], (low, high)))


def test_special_pixels_of_isis_are_not_imaged(tmp_path: Path) -> None:
    """The five special values of a float cube: bits FF7FFFFB to FF7FFFFF."""
    specials = np.arange(0xFF7FFFFB, 0xFF800000, dtype=np.uint32).view(np.float32)
    pixels = np.random.default_rng(3).normal(5, 1, (64, 64)).astype(np.float32)
    pixels[10, 10:15] = specials
    path = write(tmp_path / "a.cub", pixels, MARS, PLACE, driver="ISIS3", TARGET_NAME="Mars")
    (scene,) = open_scenes(str(path))
    with TileReader(scene, 1, 64, 16) as reader:
        _, _, valid = reader.read_row(0)
    assert not valid[0, 10, 10:15].any()
    assert valid[0].sum() == 64 * 64 - 5


def test_palette_and_colour_become_grey(tmp_path: Path) -> None:
    import rasterio

    index = (np.arange(64 * 64).reshape(64, 64) % 4).astype(np.uint8)
    colours = {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 2: (0, 255, 0, 255), 3: (255,) * 4}
    path = tmp_path / "p.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8", crs=MARS,
        transform=PLACE, photometric="PALETTE",
    ) as out:  # fmt: skip
        out.write(index, 1)
        out.write_colormap(1, colours)
    rgb = np.stack([np.array([colours[i][k] for i in index.ravel()]).reshape(64, 64)
                    for k in range(3)]).astype(np.uint8)  # fmt: skip
    other = write(tmp_path / "rgb.tif", rgb, MARS, PLACE, photometric="RGB")
    grey = np.array([0, 76, 150, 255])[index]  # Rec. 601: 0.299 R + 0.587 G + 0.114 B
    for file in (path, other):
        (scene,) = open_scenes(str(file))
        with TileReader(scene, 1, 64, 16) as reader:
            np.testing.assert_allclose(reader.read_row(0)[1][0], grey, atol=1)


def test_band_goes_on_past_the_antimeridian(tmp_path: Path) -> None:
    """Both ends of the band show the same ground, from either side of the file."""
    lon = np.radians(-180 + (np.arange(360) + 0.5))
    lat = np.radians(90 - (np.arange(180) + 0.5))
    field = 100 + 60 * np.cos(3 * lon)[None] * np.cos(lat)[:, None] + 30 * np.sin(5 * lat)[:, None]
    transform = Affine(1, 0, -180, 0, -1, 90)
    path = write(tmp_path / "g.tif", field.astype(np.float32), "IAU_2015:49900", transform)
    for scene in open_scenes(str(path)):
        with open_seen(scene) as seen:
            values, valid = seen.window(1.0, 0, 0, scene.width, scene.height)
            row, col = np.meshgrid(np.arange(scene.height) + 0.5, np.arange(scene.width) + 0.5,
                                   indexing="ij")  # fmt: skip
            lon_deg, lat_deg = seen.grid.to_lonlat(col, row)
        want = (100 + 60 * np.cos(3 * np.radians(lon_deg)) * np.cos(np.radians(lat_deg))
                + 30 * np.sin(5 * np.radians(lat_deg)))  # fmt: skip
        assert valid[np.abs(lat_deg) < 89].all()
        assert np.abs(values - want)[valid].max() < 1.0


def test_slopes_are_in_true_metres_at_every_latitude() -> None:
    """A plane that rises 10 degrees to the east is equally bright at 0 and 70 degrees north."""
    from ingest.grid import SceneGrid
    from ingest.sphere import SphereProjection

    light = Shading(altitude_deg=30.0)
    grid = SceneGrid(SphereProjection("equirectangular", MARS_R), (100, 0, 0, 0, -100, 5e6),
                     50, 50_000)  # fmt: skip
    tilt = np.tan(np.radians(10.0))
    # Lambert: cos of the angle between the sun in the west, 30 up, and the plane's normal.
    want = np.sin(np.radians(30.0)) * np.cos(np.radians(10.0)) - np.cos(np.radians(30.0)) * np.sin(
        np.radians(10.0)
    )
    for lat in (0.0, 70.0):
        row = int((5e6 - np.radians(lat) * MARS_R) / 100)
        east_m = np.arange(12) * 100 * np.cos(np.radians(lat))
        plane = np.tile(-tilt * east_m, (12, 1)).astype(np.float32)
        bright, ok = shade(plane, np.ones((12, 12), bool), grid, (1, row), 1.0, light)
        assert ok.all()
        # falls to the east, faces east: the sun in the west sees less of it
        np.testing.assert_allclose(bright, want, atol=0.002)


def test_slope_beside_a_hole_is_one_sided() -> None:
    from ingest.grid import SceneGrid
    from ingest.sphere import SphereProjection

    grid = SceneGrid(SphereProjection("equirectangular", MARS_R), (100, 0, 0, 0, -100, 0), 9, 9)
    plane = np.tile(np.arange(9) * 10.0, (9, 1)).astype(np.float32)
    valid = np.ones((9, 9), bool)
    valid[4, 4] = False
    plane[4, 4] = 1e6
    bright, ok = shade(plane, valid, grid, (0, 0), 1.0, Shading())
    assert not ok[3, 3] and ok.sum() == 48
    np.testing.assert_allclose(bright[ok], bright[0, 0], atol=1e-5)


def test_elevations_and_images_are_two_scenes_of_one_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).normal(0, 50, (64, 64)).astype(np.float32)
    path = str(write(tmp_path / "a.tif", pixels, MARS, PLACE))
    (image,), (model,) = open_scenes(path), open_scenes(path, kind="elevation")
    assert image.sha256 == image.file_sha256 == model.file_sha256 != model.sha256
    again = open_scenes(path, kind="elevation")[0]
    assert again.sha256 == model.sha256
    assert dataclasses.asdict(again)["shading"] == model.shading
