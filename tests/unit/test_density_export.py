"""Exports read back by rasterio and pyogrio: values, nodata, CRS, layout."""

from __future__ import annotations

import struct
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from cda_db.bodies import get_body
from cda_db.errors import InputError
from queries import moc
from queries.density.bins import root2_bins
from queries.density.cells import cell_polygons, cells_frame, write_cells
from queries.density.grid import (
    RASTER_FRAMES,
    default_pixel_km,
    frame_code,
    grid_for,
    map_bounds,
    suitable_frame,
    to_frame,
)
from queries.density.healpix_map import ArraySource, DensityMap, density_map
from queries.density.raster import write_raster
from queries.regions import Circle
from queries.rings import lonlat_area_sr

MARS = get_body("mars")


def a_map(order: int = 4, imaged: tuple[int, moc.Ints] | None = None) -> DensityMap:
    rng = np.random.default_rng(6)
    lon, lat = rng.uniform(-180, 180, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000)))
    diameter = 1000 * (1 - rng.uniform(0, 1, 5000)) ** -0.5
    everywhere = (0, np.array([[0, 12]], dtype=np.int64))
    return density_map(ArraySource(MARS, lon, lat, diameter, imaged or everywhere), BINS, order)


BINS = root2_bins(0, 1)


@pytest.mark.parametrize("frame", RASTER_FRAMES)
def test_raster_holds_the_cell_under_each_pixel(tmp_path: Path, frame: str) -> None:
    density = a_map()
    grid = grid_for(MARS, frame, default_pixel_km(density), map_bounds(density))
    write_raster(tmp_path / "d.tif", density, grid, tags={"run": "a"})
    with rasterio.open(tmp_path / "d.tif") as file:
        code = ("IAU_2015", str(frame_code(MARS, frame)))
        # A polar frame's code is not among GeoTIFF's keys; PROJ recognises the CRS all the same.
        assert file.crs.to_authority(confidence_threshold=20) == code
        if "polar" not in frame:
            assert file.crs.to_authority() == code
        assert file.tags()["crs_authority"] == ":".join(code)
        assert file.tags()["run"] == "a"
        assert np.isnan(file.nodata)
        assert file.descriptions[0] == "density 1-1.41 km" and file.units[0] == "km-2"
        density_band, n, area = file.read([1, 7, 9])
        # On a sinusoidal map a pixel at +-180 may have its centre off the outline.
        seam = -175.0 if frame == "sinusoidal" else -179.9
        lon, lat = [12.0, seam, 100.0], [70.0, 45.0, 85.0]
        if frame == "south_polar":
            lat = [-x for x in lat]
        to_map = to_frame(MARS, frame)
        rows, cols = rasterio.transform.rowcol(file.transform, *to_map.transform(lon, lat))
        # The cell of the pixel's centre, found from the file's own transform.
        x, y = rasterio.transform.xy(file.transform, rows, cols)
        cell = moc.cells_of_points(*to_map.transform(x, y, direction="INVERSE"), density.order)
    place = np.searchsorted(density.cell, cell)
    np.testing.assert_array_equal(n[rows, cols], density.count[0, place])
    np.testing.assert_allclose(area[rows, cols], density.area_km2[0, place], rtol=1e-6)
    expected = density.count[0, place] / density.area_km2[0, place]
    np.testing.assert_allclose(density_band[rows, cols], expected, rtol=1e-6)


def test_what_is_not_imaged_is_nodata_and_what_is_empty_is_zero(tmp_path: Path) -> None:
    half = np.array([[0, 6 * 4**3]], dtype=np.int64)
    density = a_map(order=6, imaged=(3, half))
    grid = grid_for(MARS, "equirectangular", 20, map_bounds(density))
    write_raster(tmp_path / "d.tif", density, grid)
    with rasterio.open(tmp_path / "d.tif") as file:
        values = file.read(1)
        lon, lat, on_map = grid.lonlat(0, grid.height)
    imaged = moc.cells_of_points(lon, lat, 0) < 6
    assert on_map.mean() > 0.98
    np.testing.assert_array_equal(np.isnan(values), ~(imaged & on_map))
    assert (values == 0).sum() > 1000


def test_file_is_cloud_optimised(tmp_path: Path) -> None:
    """All image directories come before the pixels, overviews are there, tiles are squares."""
    density = a_map(order=5)
    write_raster(tmp_path / "d.tif", density, grid_for(MARS, "sinusoidal", 15, map_bounds(density)))
    with rasterio.open(tmp_path / "d.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) and file.profile["tiled"]
    raw = (tmp_path / "d.tif").read_bytes()
    assert raw[:4] == b"II*\0"
    (first,) = struct.unpack("<I", raw[4:8])
    assert first < 1000  # the directory of the full picture stands at the front


def test_sinusoidal_pixels_off_the_outline_are_nodata(tmp_path: Path) -> None:
    density = a_map()
    grid = grid_for(MARS, "sinusoidal", 60, map_bounds(density))
    write_raster(tmp_path / "d.tif", density, grid)
    with rasterio.open(tmp_path / "d.tif") as file:
        values = file.read(1)
    # The outline holds 2 / pi of its rectangle.
    assert np.isfinite(values).mean() == pytest.approx(2 / np.pi, abs=0.02)


def test_cell_polygons_tile_the_sphere() -> None:
    """Also at the poles and at +-180: areas are equal, sum to the sphere, hold their centre."""
    every = np.arange(12 * 4**3)
    polygons = cell_polygons(every, 3)
    areas = np.array([lonlat_area_sr(p) for p in polygons])
    assert areas.sum() == pytest.approx(4 * np.pi, rel=1e-6)
    np.testing.assert_allclose(areas, 4 * np.pi / len(every), rtol=5e-3)
    assert shapely.contains_xy(polygons, *moc.cell_centres(every, 3)).mean() > 0.98
    west, south, east, north = shapely.total_bounds(polygons)
    assert (west, south, east, north) == (-180, -90, 180, 90)


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_cells_read_back(tmp_path: Path, suffix: str) -> None:
    density = a_map(order=3)
    path = tmp_path / f"cells.{suffix}"
    write_cells(path, cells_frame(density))
    back = gpd.read_parquet(path) if suffix == "parquet" else gpd.read_file(path, layer="cells")
    assert "Mars (2015) - Sphere / Ocentric" in back.crs.name
    if suffix == "parquet":
        assert back.crs.to_authority() == ("IAU_2015", "49900")
    assert back["n"].groupby(back["bin"]).sum().tolist() == density.count.sum(axis=1).tolist()
    expected = density.count[1].sum() / MARS.area_km2
    second = back[back["diameter_min_km"] > 1.1]
    assert (second["n"].sum() / second["area_km2"].sum()) == pytest.approx(expected)
    assert (back["lower_per_km2"] <= back["density_per_km2"]).all()


def test_clipped_cells_lie_in_the_region(tmp_path: Path) -> None:
    region = Circle(MARS, 180, 0, 800)
    rng = np.random.default_rng(6)
    lon, lat = rng.uniform(-180, 180, 5000), rng.uniform(-20, 20, 5000)
    everywhere = (7, np.array([[0, 12 * 4**7]], dtype=np.int64))
    crater = ArraySource(MARS, lon, lat, np.full(5000, 1200.0), everywhere)
    density = density_map(crater, BINS, 4, region)
    frame = cells_frame(density, region=region)
    drawn = shapely.union_all(frame.geometry[frame["bin"] == "1-1.41 km"].to_numpy())
    area = lonlat_area_sr(shapely.MultiPolygon(shapely.get_parts(drawn).tolist()))
    assert area * (MARS.radius_m / 1000) ** 2 == pytest.approx(region.area_km2, rel=0.01)
    assert frame["n"].sum() == region.contains(lon, lat).sum()
    assert density.area_km2[0].sum() == pytest.approx(region.area_km2, rel=0.02)
    write_cells(tmp_path / "c.gpkg", frame)
    assert pyogrio.list_layers(tmp_path / "c.gpkg")[0, 0] == "cells"


def test_nonsense_is_refused(tmp_path: Path) -> None:
    density = a_map(order=2)
    with pytest.raises(InputError, match="frame"):
        grid_for(MARS, "mercator", 10, (0, 0, 1, 1))
    with pytest.raises(InputError, match="Nothing to show"):
        grid_for(MARS, "north_polar", 10, (0, -20, 10, 10))
    with pytest.raises(InputError, match="larger pixels"):
        grid_for(MARS, "equirectangular", 0.1, map_bounds(density))
    with pytest.raises(InputError, match="written"):
        write_cells(tmp_path / "c.csv", cells_frame(density))


def test_a_map_across_180_lies_in_one_piece() -> None:
    """20 degrees of longitude about 180 make a map 20 degrees wide, about 0 the whole width."""
    box = (170.0, -10.0, -170.0, 10.0)
    assert suitable_frame(box) == "equirectangular_180"
    degree = np.radians(1) * MARS.radius_m / 1000
    assert grid_for(MARS, "equirectangular_180", degree, box).width == pytest.approx(20, abs=2)
    assert grid_for(MARS, "equirectangular", degree, box).width == 360
    assert suitable_frame((-180, -90, 180, -65)) == "south_polar"
    assert suitable_frame((0, 61, 10, 70)) == "north_polar"
    assert suitable_frame((-180, -90, 180, 90)) == "equirectangular"
    assert suitable_frame((170, -10, 20, 10)) == "equirectangular"
