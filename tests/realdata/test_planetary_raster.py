"""Real planetary files: body, CRS, scale and footprint against values read off their labels."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely

from cda_db.cells import union
from cda_db.errors import SceneError
from cda_db.scenes import Scene
from ingest.reader import TileReader
from ingest.register import SceneSettings, find_files
from ingest.scene import open_scenes

SampleData = Callable[[str], Path]
MARS_R, MOON_R = 3_396_190.0, 1_737_400.0


def counted_km2(scene: Scene) -> float:
    """Imaged area by HEALPix cells and their parts."""
    order = scene.coverage_order + 3
    ranges = union(order, [(scene.coverage_order, scene.coverage, scene.border)])
    cell_km2 = 4 * np.pi * (scene.radius_m / 1000) ** 2 / (12 * 4**order)
    return float((ranges[:, 1] - ranges[:, 0]).sum() * cell_km2)


def test_hirise_cube_agrees_with_its_label(sample_data: SampleData) -> None:
    """Values typed from the cube's Mapping and Archive groups."""
    path = sample_data("planetary_raster/hirise_isis3/no_change_before.cub")
    (scene,) = open_scenes(str(path))
    assert (scene.body, scene.driver, scene.dtype) == ("mars", "ISIS3", "float32")
    assert (scene.width, scene.height) == (600, 600)
    assert scene.projection == "equirectangular"
    assert scene.lon_0_deg == pytest.approx(129.38893139676)
    assert scene.lat_ts_deg == pytest.approx(-35.706329557581)
    west, south, east, north = scene.footprint.bounds
    pixel_deg = 0.25697324529029 / 59_154.9  # metres of the label over metres a degree there
    assert west == pytest.approx(129.39050420717, abs=pixel_deg)
    assert east == pytest.approx(129.39371402432, abs=pixel_deg)
    assert north == pytest.approx(-35.700035031966, abs=pixel_deg)
    assert south == pytest.approx(-35.702641464667, abs=pixel_deg)
    # The label's pixel, on a local radius of 3,389,341 m, brought to the IAU sphere.
    assert scene.radius_m == MARS_R
    assert scene.pixel_scale_m == pytest.approx(0.25697324529029 * MARS_R / 3389341.08596504, 1e-4)
    assert "Mars (2015) - Sphere" in scene.crs_wkt and "localRadius" in scene.source_crs_wkt
    # 154 m across: no centre of a cell of order 14 lies in it, its parts have its area.
    assert counted_km2(scene) == pytest.approx(
        valid_pixels(path) * scene.pixel_scale_m**2 / 1e6, 2e-3
    )
    label = scene.label
    assert label["product_id"] == "ESP_012024_1440_RED8_0"
    assert (label["instrument"], label["start_time"]) == ("HIRISE", "2009-02-18T09:56:36.299")


def valid_pixels(path: Path) -> int:
    """Pixels of an ISIS cube of floats that are none of its special values (all below -1e38)."""
    with rasterio.open(path) as file:
        return int((file.read(1) > -1e38).sum())


def test_mola_mercator_on_the_ellipsoid(sample_data: SampleData) -> None:
    """4630 m pixels, 2304 x 1694, from 0 to 180 E; by the sphere's Mercator to 55.02 degrees."""
    path = sample_data("planetary_raster/mola/Mars_MGS_MOLA_ClrShade_MAP2_0.0N0.0_MERC.tif")
    (scene,) = open_scenes(str(path))
    assert (scene.body, scene.projection, scene.radius_m) == ("mars", "mercator", MARS_R)
    assert scene.pixel_scale_m == pytest.approx(4630, rel=1e-3)
    _, south, _, north = scene.footprint.bounds
    # y = 847 x 4630 m on the ellipsoid is 55.33 N planetographic, 55.02 planetocentric.
    assert north == pytest.approx(55.02, abs=0.1)
    assert south == pytest.approx(-55.02, abs=0.1)
    assert (scene.label["normalised"], scene.view["name"] if scene.view else "") == (
        ["planetographic latitude made planetocentric"],
        "on_sphere",
    )


@pytest.mark.parametrize(
    ("name", "body", "radius", "kind"),
    [
        ("mars.tif", "mars", MARS_R, "image"),
        ("moon.tif", "moon", MOON_R, "image"),
        ("moon_dem.tif", "moon", MOON_R, "elevation"),
    ],
)
def test_global_mosaics_are_band_and_caps(name, body, radius, kind, sample_data) -> None:
    scenes = open_scenes(str(sample_data(f"planetary_raster/global/{name}")), kind=kind)
    assert [scene.name.split("-")[1] for scene in scenes] == ["band", "north_cap", "south_cap"]
    pixel_m = np.radians(360 / 1024) * radius
    for scene in scenes:
        assert (scene.body, scene.radius_m) == (body, radius)
        assert scene.pixel_scale_m == pytest.approx(pixel_m, rel=1e-3)
    ground = shapely.union_all([scene.footprint for scene in scenes])
    assert ground.area == pytest.approx(360 * 180, rel=0.03)  # 2.5 % of moon.tif is nodata


def test_files_without_a_map_are_refused_with_the_remedy(sample_data: SampleData) -> None:
    folder = sample_data("planetary_raster")
    files = [*folder.glob("apollo_isis3/*"), *folder.glob("browse/*"), *folder.glob("pds3_tiny/*")]
    assert len(files) == 6
    for file in files:
        with pytest.raises(SceneError, match=r"has no CRS.*cda ingest georeference"):
            open_scenes(str(file))


def test_themis_scenes_lie_where_their_table_says(sample_data: SampleData) -> None:
    """Bounds and valid area of scenes.csv, for every seventh of the 80 scenes."""
    folder = sample_data("mars_themis_georef")
    with (folder / "scenes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(find_files([str(folder / "scenes")])) == len(rows) == 80
    for row in rows[::7]:
        file = next((folder / "scenes").glob(f"*{row['scene'].removesuffix('.tif')}.tif"))
        (scene,) = open_scenes(str(file), body=SceneSettings(body="mars").body)
        west, _, east, _ = scene.footprint.bounds
        assert west % 360 == pytest.approx(float(row["west_lon_east_deg"]), abs=1e-3)
        assert east % 360 == pytest.approx(float(row["east_lon_east_deg"]), abs=1e-3)
        degree_km = np.radians(1) * MARS_R / 1000
        area = float(row["valid_area_km2_map"])
        assert scene.footprint.area * degree_km**2 == pytest.approx(area, rel=1e-3)
        lat = np.radians(scene.footprint.centroid.y)
        assert counted_km2(scene) == pytest.approx(area * np.cos(lat), rel=2e-3)


def test_zunil_is_where_the_catalogue_says(sample_data: SampleData) -> None:
    """Zunil (7.70 N, 166.19 E in the gazetteer) is at the pixel of the scene's crater list."""
    path = sample_data("mars_themis_georef/scenes/themis_dayir_elysium_43_28_n6.tif")
    (scene,) = open_scenes(str(path))
    from ingest.scene import scene_grid

    col, row = scene_grid(scene).to_pixel(np.array([166.19]), np.array([7.70]))
    with (path.parents[1] / "craters.csv").open() as stream:
        listed = [r for r in csv.DictReader(stream) if r["scene"] in (path.stem, path.name)]
    nearest = min(
        listed, key=lambda r: abs(float(r["x_px"]) - col[0]) + abs(float(r["y_px"]) - row[0])
    )
    assert abs(float(nearest["x_px"]) - col[0]) < 3 and abs(float(nearest["y_px"]) - row[0]) < 3
    with TileReader(scene, 1, 416, 128) as reader:
        shown = sum(len(reader.read_row(r)[0]) for r in reader.rows())
    assert shown >= 6
