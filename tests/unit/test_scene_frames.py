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

from cda_db.errors import SceneError
from ingest.scene import open_scenes
from ingest.source import ReadOptions


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__[5:])
def test_disc_comes_out_where_it_was_drawn(case, tmp_path: Path) -> None:
    disc, crs, transform, to_lonlat = case()
    pixels = draw((300, 300), transform, to_lonlat, disc)
    scene, *others = open_scenes(str(write(tmp_path / "s.tif", pixels, crs, transform)))
    assert (scene.body, others) == ("mars", [])
    found = found_discs(scene)
    assert len(found) == 1
    assert apart_m(found[0], disc) < scene.pixel_scale_m
    assert found[0].diameter_m == pytest.approx(disc.diameter_m, abs=1.0 * scene.pixel_scale_m)


def test_west_positive_map_that_lost_its_axis_needs_a_statement(tmp_path: Path) -> None:
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
    (found,) = found_discs(scene)
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
    (found,) = found_discs(scene)
    assert apart_m(found, disc) < scene.pixel_scale_m


@pytest.mark.parametrize("latitude_type", ["Planetocentric", "Planetographic"])
@pytest.mark.parametrize("direction", ["Positive East", "Positive West"])
def test_pds4_label_counts_as_it_says(latitude_type, direction, tmp_path: Path) -> None:
    graphic = latitude_type == "Planetographic"
    disc = Disc(33.0, 16.0, 4000)
    lat_map = float(ographic(disc.lat)) if graphic else disc.lat
    x = np.radians(disc.lon - 30.0) * MARS_R * np.cos(np.radians(20.0))
    transform = around((x, np.radians(lat_map) * MARS_R), PX)

    def to_lonlat(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lat = np.degrees(y / MARS_R)
        lon = 30.0 + np.degrees(x / MARS_R / np.cos(np.radians(20.0)))
        return lon, ocentric(lat) if graphic else lat

    pixels = draw((300, 300), transform, to_lonlat, disc)
    axes = f"+a={MARS_R} +b={MARS_B}" if graphic else f"+R={MARS_R}"
    path = write(
        tmp_path / "s.xml", pixels, f"+proj=eqc +lat_ts=20 +lon_0=30 {axes} +units=m", transform,
        driver="PDS4", LATITUDE_TYPE=latitude_type, LONGITUDE_DIRECTION=direction,
        VAR_TARGET="Mars", VAR_TARGET_TYPE="Planet",
    )  # fmt: skip
    (scene,) = open_scenes(str(path))
    (found,) = found_discs(scene)
    assert apart_m(found, disc) < scene.pixel_scale_m
    assert {record["name"] for record in scene.label["files"]} == {"s.xml", "s.img"}


PDS3 = """PDS_VERSION_ID = PDS3
RECORD_TYPE = FIXED_LENGTH
RECORD_BYTES = 300
FILE_RECORDS = 310
LABEL_RECORDS = 10
^IMAGE = 11
TARGET_NAME = MARS
PRODUCT_ID = "P17_007703_2313_XN_51N345W"
INSTRUMENT_ID = "CTX"
INCIDENCE_ANGLE = 61.5 <DEG>
OBJECT = IMAGE
 LINES = 300
 LINE_SAMPLES = 300
 SAMPLE_TYPE = MSB_UNSIGNED_INTEGER
 SAMPLE_BITS = 8
END_OBJECT = IMAGE
OBJECT = IMAGE_MAP_PROJECTION
 MAP_PROJECTION_TYPE = "EQUIRECTANGULAR"
 COORDINATE_SYSTEM_NAME = "{system}"
 A_AXIS_RADIUS = 3396.19 <KM>
 B_AXIS_RADIUS = 3396.19 <KM>
 C_AXIS_RADIUS = 3396.19 <KM>
 POSITIVE_LONGITUDE_DIRECTION = "{direction}"
 CENTER_LATITUDE = 20.0 <DEG>
 CENTER_LONGITUDE = {lon} <DEG>
 LINE_PROJECTION_OFFSET = {line}
 SAMPLE_PROJECTION_OFFSET = {sample}
 MAP_SCALE = 100.0 <M/PIXEL>
 MAP_RESOLUTION = 592.747 <PIX/DEG>
END_OBJECT = IMAGE_MAP_PROJECTION
END
"""


@pytest.mark.parametrize(("direction", "lon"), [("EAST", 30.0), ("WEST", 330.0)])
def test_pds3_label_counts_as_it_says(direction: str, lon: float, tmp_path: Path) -> None:
    """30 E is 330 W; the offsets are those of the map's origin, in pixels, as PDS3 has them."""
    text = PDS3.format(
        system="PLANETOCENTRIC", direction=direction, lon=lon, line=9500.0, sample=-2800.0
    )
    head = text.replace("\n", "\r\n").encode()
    grey = np.random.default_rng(0).integers(0, 255, (300, 300)).astype(np.uint8)
    path = tmp_path / "s.img"
    path.write_bytes(head.ljust(3000) + grey.tobytes())
    (scene,) = open_scenes(str(path))
    west, _, _, north = scene.footprint.bounds
    pixel_deg = np.degrees(100 / MARS_R)
    assert north == pytest.approx(9500 * pixel_deg, abs=1.1 * pixel_deg)
    expected = 30.0 + 2800 * pixel_deg / np.cos(np.radians(20.0))
    assert west == pytest.approx(expected, abs=1.1 * pixel_deg)
    assert scene.label["incidence_deg"] == 61.5 and scene.label["instrument"] == "CTX"


@pytest.mark.parametrize("direction", ["EAST", "WEST"])
def test_vicar_label_counts_as_it_says(direction: str, tmp_path: Path) -> None:
    """GDAL writes the label, counting to the east; the same meridian, 100 E, is 260 W."""
    disc = Disc(103.0, 16.0, 4000)
    x = np.radians(disc.lon - 100.0) * MARS_R * np.cos(np.radians(20.0))
    transform = around((x, np.radians(disc.lat) * MARS_R), PX)

    def to_lonlat(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lon = 100.0 + np.degrees(x / MARS_R / np.cos(np.radians(20.0)))
        return lon, np.degrees(y / MARS_R)

    pixels = draw((300, 300), transform, to_lonlat, disc)
    crs = f"+proj=eqc +lat_ts=20 +lon_0=100 +R={MARS_R} +units=m"
    path = write(tmp_path / "s.vic", pixels, crs, transform, driver="VICAR")
    if direction == "WEST":
        label = path.read_bytes()
        for old, new in ((b"DIRECTION='EAST'", b"DIRECTION='WEST'"),
                         (b"CENTER_LONGITUDE=100.0", b"CENTER_LONGITUDE=260.0")):  # fmt: skip
            assert label.count(old) == 1
            label = label.replace(old, new)
        path.write_bytes(label)
    (scene,) = open_scenes(str(path), body="mars")
    (found,) = found_discs(scene)
    assert scene.driver == "VICAR"
    assert apart_m(found, disc) < scene.pixel_scale_m


def test_jpeg2000_keeps_place_and_is_read_to_its_end(tmp_path: Path) -> None:
    """A lossless JPEG2000 with GeoJP2 boxes, as HiRISE's come; half a file is refused."""
    disc, crs, transform, to_lonlat = CASES[0]()
    pixels = draw((300, 300), transform, to_lonlat, disc)
    path = write(
        tmp_path / "s.jp2", pixels, crs, transform, driver="JP2OpenJPEG", QUALITY=100,
        REVERSIBLE="YES",
    )  # fmt: skip
    (scene,) = open_scenes(str(path))
    (found,) = found_discs(scene)
    assert scene.driver.startswith("JP2")
    assert apart_m(found, disc) < scene.pixel_scale_m
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match="truncated or damaged"):
        open_scenes(str(path))
