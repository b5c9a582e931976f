"""The shipped detector on one real picture laid at any latitude: the diameters do not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Proj
from rasterio.transform import Affine
from scene_files import MARS_R, Disc, to_sphere, write
from scipy import ndimage

from ingest.detector import Detector, default_model_name, find_model
from ingest.reader import TileReader
from ingest.scene import open_scenes, scene_grid

SPHERE = f"+R={MARS_R} +units=m"
PLACES = {
    "61 N": (40.0, 61.0, "eqc"),
    "75 N": (-100.0, 75.0, "eqc"),
    "75 S": (10.0, -75.0, "eqc"),
    "pole": (0.0, 90.0, "stere +lat_0=90 +k=1"),
    "across 180": (180.0, 12.0, "eqc +lon_0=180"),
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    model = find_model(default_model_name())
    return Detector(model, threads=1, batch=1, threshold=0.25, nms_iou=0.5)


def lay(picture: NDArray[np.uint8], folder: Path, lon: float, lat: float, map_name: str) -> str:
    """The picture (100 m/px on the ground around a place) drawn on a map by pyproj."""
    centre = Proj(f"+proj=laea +lat_0={lat} +lon_0={lon} {SPHERE}")
    proj = Proj(f"+proj={map_name} {SPHERE}")
    x0, y0 = proj(lon, lat)
    wide = int(416 / np.cos(np.radians(lat))) if map_name.startswith("eqc") else 416
    transform = Affine(100, 0, x0 - wide * 50, 0, -100, y0 + 20_800)
    row, col = np.meshgrid(np.arange(416) + 0.5, np.arange(wide) + 0.5, indexing="ij")
    ground = centre(*proj(*(transform @ (col, row)), inverse=True))
    where = [208 - ground[1] / 100 - 0.5, 208 + ground[0] / 100 - 0.5]
    drawn = np.rint(ndimage.map_coordinates(picture.astype(float), where, order=1, cval=0))
    crs = rasterio.crs.CRS.from_proj4(f"+proj={map_name} {SPHERE}").to_wkt()
    path = folder / f"{map_name[:3]}{lat:g}.tif"
    return str(write(path, drawn.astype(np.uint8), crs, transform, nodata=0))


def craters(path: str, detector: Detector) -> list[Disc]:
    """What the detector finds in a file, on the sphere."""
    (scene,) = open_scenes(path)
    grid, found = scene_grid(scene), []
    with TileReader(scene, 1, 416, 208) as reader:
        for row in reader.rows():
            columns, tiles, _ = reader.read_row(row)
            for column, boxes in zip(columns, detector.detect(tiles), strict=True):
                corner = reader.grid.origin(row, column)
                found += [to_sphere(grid, tuple(box[:4]), corner, 1.0) for box in boxes]
    return found


@pytest.mark.parametrize("place", PLACES)
def test_diameters_of_real_craters_hold_at_every_latitude(
    place: str, detector: Detector, sample_data: Callable[[str], Path], tmp_path: Path
) -> None:
    with rasterio.open(
        sample_data("mars_themis_georef/scenes/themis_dayir_elysium_45_23.tif")
    ) as source:
        picture = source.read(1)
    lon, lat, map_name = PLACES[place]
    at_equator = craters(lay(picture, tmp_path, 5.0, 0.0, "eqc"), detector)
    here = craters(lay(picture, tmp_path, lon, lat, map_name), detector)
    ratios = []
    plain = Proj(f"+proj=laea +lat_0=0 +lon_0=5 {SPHERE}")
    laid = Proj(f"+proj=laea +lat_0={lat} +lon_0={lon} {SPHERE}")
    for disc in at_equator:
        x, y = plain(disc.lon, disc.lat)
        for other in here:
            u, v = laid(other.lon, other.lat)
            if np.hypot(x - u, y - v) < 0.25 * disc.diameter_m:
                ratios.append(other.diameter_m / disc.diameter_m)
                break
    assert len(at_equator) >= 8
    assert len(ratios) >= 0.6 * len(at_equator)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.05)
