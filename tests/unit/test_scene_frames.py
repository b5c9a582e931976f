"""A disc of known place, drawn on maps of many kinds, comes out where it was drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scene_cases import CASES, PX, around
from scene_files import (
    MARS_B,
    MARS_R,
    Disc,
    apart_m,
    draw,
    found_discs,
    ocentric,
    ographic,
    write,
)

from ingest.scene import open_scenes
from ingest.source import ReadOptions


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__[5:])
def test_disc_comes_out_where_it_was_drawn(case, tmp_path: Path) -> None:
    disc, crs, transform, to_lonlat = case()
    pixels = draw((300, 300), transform, to_lonlat, disc)
    scene, *others = open_scenes(str(write(tmp_path / "s.tif", pixels, crs, transform)))
    assert (scene.body, others) == ("mars", [])
    found = found_discs(scene, tile=512, overlap=256)
    assert len(found) == 1
    assert apart_m(found[0], disc) < scene.pixel_scale_m
    assert found[0].diameter_m == pytest.approx(disc.diameter_m, abs=1.0 * scene.pixel_scale_m)


def test_west_positive_map_that_lost_its_axis_needs_a_statement(tmp_path: Path) -> None:
    from cda_db.errors import SceneError

    disc = Disc(-40.0, 10.0, 4000)
    west = -np.radians(disc.lon) * MARS_R  # westing: positive to the west
    y = np.radians(float(ographic(disc.lat))) * MARS_R
    transform = around((west, y), PX, flip_x=True)

    def to_lonlat(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.degrees(-x / MARS_R), ocentric(np.degrees(y / MARS_R))

    pixels = draw((300, 300), transform, to_lonlat, disc)
    path = str(write(tmp_path / "s.tif", pixels, "IAU_2015:49911", transform))
    with pytest.raises(SceneError, match="--longitude west"):
        open_scenes(path)
    (scene,) = open_scenes(path, options=ReadOptions(longitude="west"))
    (found,) = found_discs(scene, tile=512, overlap=256)
    assert apart_m(found, disc) < scene.pixel_scale_m


@pytest.mark.parametrize("latitude_type", ["Planetocentric", "Planetographic"])
@pytest.mark.parametrize("direction", ["PositiveEast", "PositiveWest"])
def test_isis_label_counts_as_it_says(latitude_type, direction, tmp_path: Path) -> None:
    """GDAL writes the label; what it means is the ISIS documentation's."""
    graphic = latitude_type == "Planetographic"
    disc, lon_0 = Disc(33.0, 16.0, 4000), 30.0
    radius = MARS_R
    if graphic:  # ISIS takes the ellipsoid's radius at the centre latitude
        cos, sin = np.cos(np.radians(20.0)), np.sin(np.radians(20.0))
        radius = MARS_R * MARS_B / np.hypot(MARS_B * cos, MARS_R * sin)
    lat_map = float(ographic(disc.lat)) if graphic else disc.lat
    x = np.radians(disc.lon - lon_0) * radius * np.cos(np.radians(20.0))
    transform = around((x, np.radians(lat_map) * radius), PX)

    def to_lonlat(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lat = np.degrees(y / radius)
        lon = lon_0 + np.degrees(x / radius / np.cos(np.radians(20.0)))
        return lon, ocentric(lat) if graphic else lat

    pixels = draw((300, 300), transform, to_lonlat, disc)
    axes = f"+a={MARS_R} +b={MARS_B}" if graphic else f"+R={MARS_R}"
    path = write(
        tmp_path / "s.cub", pixels, f"+proj=eqc +lat_ts=20 +lon_0=30 {axes} +units=m", transform,
        driver="ISIS3", TARGET_NAME="Mars", LATITUDE_TYPE=latitude_type,
        LONGITUDE_DIRECTION=direction,
    )  # fmt: skip
    (scene,) = open_scenes(str(path))
    (found,) = found_discs(scene, tile=512, overlap=256)
    assert apart_m(found, disc) < scene.pixel_scale_m
