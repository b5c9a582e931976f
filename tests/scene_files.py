"""Synthetic rasters for the tests of pictures in: a disc of known place drawn on any map.

The drawing goes from file pixels to the sphere by pyproj and by formulas written out here, never
through the code under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj
from rasterio.transform import Affine
from scipy import ndimage

from cda_db.scenes import Scene
from ingest.reader import TileReader
from ingest.scene import scene_grid

MARS_R, MARS_B = 3_396_190.0, 3_376_200.0
Array = NDArray[np.float64]
ToLonLat = Callable[[Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Disc:
    """A disc on the sphere: degrees east and planetocentric, metres."""

    lon: float
    lat: float
    diameter_m: float
    radius_m: float = MARS_R


def ocentric(lat_graphic: Array, a: float = MARS_R, b: float = MARS_B) -> Array:
    """Planetocentric latitude of planetographic latitude."""
    return np.degrees(np.arctan((b / a) ** 2 * np.tan(np.radians(lat_graphic))))


def ographic(lat_centric: Array | float, a: float = MARS_R, b: float = MARS_B) -> Array:
    """Planetographic latitude of planetocentric latitude."""
    return np.degrees(np.arctan((a / b) ** 2 * np.tan(np.radians(lat_centric))))


def proj_lonlat(definition: str, graphic: bool = False) -> ToLonLat:
    """Map coordinates to lon and planetocentric lat by a PROJ string."""
    proj = Proj(definition)

    def inverse(x: Array, y: Array) -> tuple[Array, Array]:
        lon, lat = proj(x, y, inverse=True)
        return np.asarray(lon), ocentric(np.asarray(lat)) if graphic else np.asarray(lat)

    return inverse


def draw(shape: tuple[int, int], transform: Affine, to_lonlat: ToLonLat, disc: Disc) -> Array:
    """Grey 100 with a disc of grey 250, (rows, columns) uint8.

    A pixel on the rim is as bright as the part of it that the disc covers (to a straight rim), so
    that a diameter can be measured to far less than a pixel. Dark specks off the disc make the
    picture span enough greys to be left unstretched.
    """
    row, col = np.meshgrid(np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5, indexing="ij")
    x = transform.a * col + transform.b * row + transform.c
    y = transform.d * col + transform.e * row + transform.f
    lon, lat = to_lonlat(x, y)
    known = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90)
    lon, lat = np.where(known, lon, 0.0), np.where(known, lat, 0.0)
    u = np.stack(
        [
            np.cos(np.radians(lat)) * np.cos(np.radians(lon)),
            np.cos(np.radians(lat)) * np.sin(np.radians(lon)),
            np.sin(np.radians(lat)),
        ],
        -1,
    )
    lon0, lat0 = np.radians(disc.lon), np.radians(disc.lat)
    centre = np.array([np.cos(lat0) * np.cos(lon0), np.cos(lat0) * np.sin(lon0), np.sin(lat0)])
    distance = disc.radius_m * 2 * np.arcsin(np.clip(np.linalg.norm(u - centre, axis=-1) / 2, 0, 1))
    down, right = np.gradient(distance)
    across = np.maximum(np.abs(down) + np.abs(right), 1e-9)  # of the pixel, towards the centre
    covered = np.clip(0.5 + (disc.diameter_m / 2 - distance) / across, 0, 1)
    grey = np.rint(100 + 150 * np.where(known, covered, 0)).astype(np.uint8)
    specks = np.zeros(shape, dtype=bool)
    specks[3::7, 3::7] = True
    grey[specks & (distance > disc.diameter_m * 0.6)] = 10
    return grey


def write(
    path: Path, pixels: NDArray[Any], crs: str | CRS | None, transform: Affine, **profile: Any
) -> Path:
    """A raster file of one band (rows, columns) or of several (bands, rows, columns)."""
    bands = pixels if pixels.ndim == 3 else pixels[None]
    made = {
        "driver": "GTiff",
        "count": bands.shape[0],
        "dtype": bands.dtype,
        "height": bands.shape[1],
        "width": bands.shape[2],
        "transform": transform,
    }
    if crs is not None:
        made["crs"] = crs.to_wkt() if isinstance(crs, CRS) else crs
    with rasterio.open(path, "w", **(made | profile)) as out:
        out.write(bands)
    return path


def found_discs(
    scene: Scene, level: float = 1.0, tile: int = 512, overlap: int = 256
) -> list[Disc]:
    """A stand-in detector: bright blobs of each tile that touch no inner edge, as discs."""
    grid, discs = scene_grid(scene), []
    with TileReader(scene, level, tile, overlap) as reader:
        for row in reader.rows():
            columns, tiles, _ = reader.read_row(row)
            for column, picture in zip(columns, tiles, strict=True):
                x0, y0 = reader.grid.origin(row, column)
                discs += [
                    to_sphere(grid, box, (x0, y0), level)
                    for box in blobs(picture)
                    if not _cut(box, (x0, y0), reader.grid)
                ]
    return discs


def blobs(picture: NDArray[np.uint8]) -> list[tuple[float, float, float, float]]:
    """Boxes of bright blobs (half-way from grey 100 to 250 or more), by their light: sub-pixel."""
    labels, _ = ndimage.label(picture > 175)
    boxes = []
    for rows, columns in ndimage.find_objects(labels):
        if (rows.stop - rows.start) > 5 and (columns.stop - columns.start) > 5:
            # The light of the blob gives its mean radius to a fraction of a pixel.
            left, top = max(columns.start - 2, 0), max(rows.start - 2, 0)
            light = picture[top : rows.stop + 2, left : columns.stop + 2].astype(float)
            light = np.clip((light - 100) / 150, 0, 1)
            wide, high = columns.stop - columns.start, rows.stop - rows.start
            size = np.sqrt(4 / np.pi * light.sum())
            cx = left + np.average(np.arange(light.shape[1]) + 0.5, weights=light.sum(axis=0))
            cy = top + np.average(np.arange(light.shape[0]) + 0.5, weights=light.sum(axis=1))
            half_x = size * np.sqrt(wide / high) / 2
            half_y = size * np.sqrt(high / wide) / 2
            boxes.append((cx - half_x, cy - half_y, cx + half_x, cy + half_y))
    return boxes


def _cut(box: tuple[float, float, float, float], corner: tuple[int, int], grid: Any) -> bool:
    last_x, last_y = corner[0] + grid.tile, corner[1] + grid.tile
    return bool(
        (box[0] < 2 and corner[0] > 0)
        or (box[1] < 2 and corner[1] > 0)
        or (box[2] > grid.tile - 2 and last_x < grid.level_width)
        or (box[3] > grid.tile - 2 and last_y < grid.level_height)
    )


def to_sphere(
    grid: Any, box: tuple[float, float, float, float], corner: tuple[int, int], level: float
) -> Disc:
    """A box of a tile whose top left pixel is ``corner``, as a disc on the sphere."""
    col = np.array((corner[0] + (box[0] + box[2]) / 2) * level)
    row = np.array((corner[1] + (box[1] + box[3]) / 2) * level)
    lon, lat = grid.to_lonlat(col, row)
    right, down = grid.ground_steps(col, row)
    area = np.linalg.norm(np.cross(right, down)) * level**2
    size = np.sqrt((box[2] - box[0]) * (box[3] - box[1]) * area)
    return Disc(float(lon), float(lat), float(size), grid.projection.radius_m)


def apart_m(one: Disc, other: Disc) -> float:
    """Great-circle distance of two discs' centres."""
    geod = Geod(a=one.radius_m, b=one.radius_m)
    return float(geod.inv(one.lon, one.lat, other.lon, other.lat)[2])
