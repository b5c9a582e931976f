"""Outline of a scene's imaged ground, for people and QGIS; areas come from ``coverage``."""

from __future__ import annotations

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, box, shape
from shapely.geometry.base import BaseGeometry

from ingest.grid import SceneGrid
from ingest.seen import SeenPixels
from ingest.source import Mask
from ingest.sphere import CYLINDRICAL, Floats, wrap_lon
from ingest.validity import PixelMask, Validity

_SIDE = 1024


def outline(seen: SeenPixels, validity: Validity) -> MultiPolygon:
    """Imaged ground as polygons in lon/lat degrees within [-180, 180].

    Exact to the pixel for a scene up to 1024 pixels that is seen as it is; else to a
    1024th of the larger side. Around a pole it is traced on a lon/lat grid.

    """
    grid = seen.grid
    unit = _SIDE * validity.side
    factor = validity.side * -(-max(validity.width, validity.height) // unit)
    pixels = PixelMask(validity.half_valid(factor), factor)
    if _holds_a_pole(grid):
        return _outline_on_sphere(seen, pixels)
    mask, transform = _seen_mask(seen, pixels)
    pieces = [
        polygon
        for geometry, _ in rasterio.features.shapes(
            mask.astype(np.uint8), mask=mask, transform=transform
        )
        for polygon in _on_sphere(shape(geometry), grid)
    ]
    return _multi(shapely.union_all(shapely.make_valid(np.array(pieces, dtype=object))))


def _seen_mask(seen: SeenPixels, pixels: PixelMask) -> tuple[Mask, Affine]:
    """Validity on a coarse grid of the scene as seen, and that grid's pixel transform."""
    if seen.as_is:
        return pixels.valid, Affine.scale(pixels.side)
    grid = seen.grid
    step = max(1.0, max(grid.width, grid.height) / _SIDE)
    rows = np.arange(0.5, np.ceil(grid.height / step)) * step
    columns = np.arange(0.5, np.ceil(grid.width / step)) * step
    row, col = np.meshgrid(rows, columns, indexing="ij")
    return _valid_at(seen, pixels, *seen.file_pixels(col, row)), Affine.scale(step)


def _valid_at(seen: SeenPixels, pixels: PixelMask, col: Floats, row: Floats) -> Mask:
    known = np.isfinite(col) & np.isfinite(row)
    c = np.floor(np.where(known, col, -1.0)).astype(np.int64)
    r = np.floor(np.where(known, row, -1.0)).astype(np.int64)
    if seen.source.wrap_columns is not None:
        c = c % seen.source.wrap_columns
    known &= (c >= 0) & (c < seen.source.width) & (r >= 0) & (r < seen.source.height)
    return known & pixels.at(np.where(known, c, 0), np.where(known, r, 0))


def _holds_a_pole(grid: SceneGrid) -> bool:
    if grid.projection.name in CYLINDRICAL or grid.projection.name == "sinusoidal":
        return False
    pole = np.array([90.0 if grid.projection.lat_ts_deg > 0 else -90.0])
    col, row = grid.to_pixel(np.zeros(1), pole)
    return bool((-1 <= col[0] <= grid.width + 1) and (-1 <= row[0] <= grid.height + 1))


def _on_sphere(polygon: BaseGeometry, grid: SceneGrid) -> list[BaseGeometry]:
    """A pixel polygon in lon/lat, cut at +-180 degrees."""
    clipped = polygon.intersection(box(0, 0, grid.width, grid.height))
    dense = shapely.segmentize(clipped, max(grid.width, grid.height) / 64)

    def lonlat(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = grid.to_map(points[:, 0], points[:, 1])
        lon, lat = grid.projection.inverse(x, y)
        period = grid.projection.period
        if period is not None:  # follow the map, which does not jump at +-180
            lon = x / period * 360.0 + grid.projection.lon_0_deg
        else:
            centre = grid.to_lonlat(np.array(grid.width / 2), np.array(grid.height / 2))[0]
            lon = centre + wrap_lon(lon - centre)
        return np.stack([lon, np.clip(lat, -90.0, 90.0)], axis=1)

    unrolled = shapely.make_valid(shapely.transform(dense, lonlat))
    west, _, east, _ = unrolled.bounds
    pieces = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.floor((east + 180) / 360)) + 1):
        window = box(360 * turn - 180, -90, 360 * turn + 180, 90)
        piece = unrolled.intersection(window)
        if not piece.is_empty:
            pieces.append(translate(piece, xoff=-360.0 * turn))
    return pieces


def _outline_on_sphere(seen: SeenPixels, pixels: PixelMask) -> MultiPolygon:
    grid = seen.grid
    edge = np.linspace(0, 1, 65)
    side = np.concatenate([edge, edge, 0 * edge, 0 * edge + 1])
    other = np.concatenate([0 * edge, 0 * edge + 1, edge, edge])
    _, lat = grid.to_lonlat(side * grid.width, other * grid.height)
    sign = 1.0 if grid.projection.lat_ts_deg > 0 else -1.0
    lowest = float((lat * sign).min())
    n_lat = _SIDE
    lats = sign * (90.0 - (np.arange(n_lat) + 0.5) * (90.0 - lowest) / n_lat)
    lons = -180.0 + (np.arange(2 * _SIDE) + 0.5) * 180.0 / _SIDE
    lat2, lon2 = np.meshgrid(lats, lons, indexing="ij")
    col, row = grid.to_pixel(lon2, lat2)
    inside = (col >= 0) & (col < grid.width) & (row >= 0) & (row < grid.height)
    file_col, file_row = (col, row) if seen.as_is else seen.file_pixels_of(lon2, lat2)
    mask = inside & _valid_at(seen, pixels, file_col, file_row)
    step_lat = -sign * (90.0 - lowest) / n_lat
    transform = Affine(180.0 / _SIDE, 0, -180.0, 0, step_lat, 90.0 * sign)
    shapes = rasterio.features.shapes(mask.astype(np.uint8), mask=mask, transform=transform)
    return _multi(shapely.union_all([shapely.make_valid(shape(g)) for g, _ in shapes]))


def _multi(geometry: shapely.Geometry) -> MultiPolygon:
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]
    return MultiPolygon(parts)
