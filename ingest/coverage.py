"""Imaged ground of a scene: HEALPix cells whose centre is a valid pixel, and the outline.

Cells are nested, on (lon, lat) with east longitude, of an order whose cell side is about two of
the scene's pixels: a union of scenes is then a union of integer ranges, and area is counted
without seam or pole.
"""

from __future__ import annotations

import hpgeom
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

MAX_ORDER = 14
MAX_CELLS = 4_000_000
PIXELS_A_CELL = 2.0
_SPACING = 0.5  # of a coarse cell's side
_COARSER = 3  # orders
_CHUNK = 2**21
_OUTLINE_SIDE = 1024
Cells = NDArray[np.int64]


def coverage_order(grid: SceneGrid) -> int:
    """HEALPix order for a scene: cell side about two pixels, order <= 14, <= 4 million cells."""
    radius, pixel = grid.projection.radius_m, grid.pixel_scale_m()
    side = np.sqrt(4 * np.pi / 12) * radius
    order = round(float(np.log2(side / (PIXELS_A_CELL * pixel))))
    area = min(grid.width * grid.height * pixel**2, 4 * np.pi * radius**2)
    most = int(np.log(MAX_CELLS * 4 * np.pi * radius**2 / (12 * area)) / np.log(4))
    return int(np.clip(min(order, most), 0, MAX_ORDER))


def candidate_cells(grid: SceneGrid, order: int) -> Cells:
    """Cells (n,), sorted, whose centre lies in the scene's frame.

    Coarser cells are found by sampling the frame, with their neighbours, so that none can be
    missed; their children are tested one by one.
    """
    coarse = max(order - _COARSER, 0)
    parents = _touched_cells(grid, coarse)
    around = hpgeom.neighbors(2**coarse, parents, nest=True)
    parents = np.unique(np.concatenate([parents, around[around >= 0]]))
    children = 4 ** (order - coarse)
    found = []
    at_once = max(1, _CHUNK // children)
    for start in range(0, len(parents), at_once):
        first = parents[start : start + at_once, None] * children
        cells = (first + np.arange(children)).ravel()
        col, row = grid.to_pixel(*cell_centres(order, cells))
        inside = (col >= 0) & (col < grid.width) & (row >= 0) & (row < grid.height)
        found.append(cells[inside])
    return np.concatenate(found)


def _touched_cells(grid: SceneGrid, order: int) -> Cells:
    """Cells that hold a point of a lattice over the frame, spaced by half a cell or less."""
    side_m = np.sqrt(4 * np.pi / 12) * grid.projection.radius_m / 2**order
    row, col = np.meshgrid(
        np.linspace(0, grid.height, 9), np.linspace(0, grid.width, 9), indexing="ij"
    )
    right, down = grid.ground_steps(col, row)
    columns = _even(grid.width, _SPACING * side_m / float(np.linalg.norm(right, axis=-1).max()))
    rows = _even(grid.height, _SPACING * side_m / float(np.linalg.norm(down, axis=-1).max()))
    found, at_once = [], max(1, _CHUNK // len(columns))
    for start in range(0, len(rows), at_once):
        r, c = np.meshgrid(rows[start : start + at_once], columns, indexing="ij")
        lon, lat = grid.to_lonlat(c.ravel(), r.ravel())
        on_sphere = np.abs(lat) <= 90.0
        found.append(np.unique(_cells(2**order, lon[on_sphere], lat[on_sphere])))
    return np.unique(np.concatenate(found))


def _even(size: int, step: float) -> Floats:
    return np.linspace(0.0, size, int(np.ceil(size / step)) + 1)


def _cells(nside: int, lon: Floats, lat: Floats) -> Cells:
    pixels = hpgeom.angle_to_pixel(nside, lon % 360.0, lat, nest=True, lonlat=True, degrees=True)
    return np.asarray(pixels, dtype=np.int64)


def cell_centres(order: int, cells: Cells) -> tuple[Floats, Floats]:
    """Longitude in [-180, 180) and latitude of nested cells' centres."""
    lon, lat = hpgeom.pixel_to_angle(2**order, cells, nest=True, lonlat=True, degrees=True)
    return wrap_lon(lon), np.asarray(lat, dtype=np.float64)


def file_pixels(seen: SeenPixels, order: int, cells: Cells) -> tuple[Cells, Cells]:
    """(row, column) in the file of cells' centres; -1 where the file does not reach."""
    lon, lat = cell_centres(order, cells)
    if seen.as_is:
        col, row = seen.grid.to_pixel(lon, lat)
    else:
        col, row = seen.file_pixels_of(lon, lat)
    lost = ~(np.isfinite(col) & np.isfinite(row))
    rows = np.where(lost, -1, np.floor(np.where(lost, 0, row))).astype(np.int64)
    columns = np.where(lost, -1, np.floor(np.where(lost, 0, col))).astype(np.int64)
    if seen.source.wrap_columns is not None:
        columns = np.where(lost, -1, columns % seen.source.wrap_columns)
    return rows, columns


def to_ranges(cells: Cells) -> Cells:
    """Half-open ranges (n, 2) of sorted, distinct cells."""
    if len(cells) == 0:
        return np.zeros((0, 2), dtype=np.int64)
    breaks = np.flatnonzero(np.diff(cells) != 1)
    starts = cells[np.concatenate([[0], breaks + 1])]
    ends = cells[np.concatenate([breaks, [len(cells) - 1]])] + 1
    return np.stack([starts, ends], axis=1)


def outline(seen: SeenPixels, reduced: Mask, factor: int) -> MultiPolygon:
    """Imaged ground as polygons in lon/lat degrees within [-180, 180].

    Exact to the pixel for a scene up to 1024 pixels that is seen as it is; else to a
    1024th of the larger side. Around a pole it is traced on a lon/lat grid.

    Args:
        seen: the scene.
        reduced, factor: the survey's reduced validity mask.
    """
    grid = seen.grid
    if _holds_a_pole(grid):
        return _outline_on_sphere(seen, reduced, factor)
    mask, transform = _seen_mask(seen, reduced, factor)
    pieces = [
        polygon
        for geometry, _ in rasterio.features.shapes(
            mask.astype(np.uint8), mask=mask, transform=transform
        )
        for polygon in _on_sphere(shape(geometry), grid)
    ]
    return _multi(shapely.union_all(shapely.make_valid(np.array(pieces, dtype=object))))


def _seen_mask(seen: SeenPixels, reduced: Mask, factor: int) -> tuple[Mask, Affine]:
    """Validity on a coarse grid of the scene as seen, and that grid's pixel transform."""
    if seen.as_is:
        return reduced, Affine.scale(factor)
    grid = seen.grid
    step = max(1.0, max(grid.width, grid.height) / _OUTLINE_SIDE)
    rows = np.arange(0.5, np.ceil(grid.height / step)) * step
    columns = np.arange(0.5, np.ceil(grid.width / step)) * step
    row, col = np.meshgrid(rows, columns, indexing="ij")
    return _valid_at(seen, reduced, factor, *seen.file_pixels(col, row)), Affine.scale(step)


def _valid_at(seen: SeenPixels, reduced: Mask, factor: int, col: Floats, row: Floats) -> Mask:
    known = np.isfinite(col) & np.isfinite(row)
    c = np.floor(np.where(known, col, -1.0)).astype(np.int64)
    r = np.floor(np.where(known, row, -1.0)).astype(np.int64)
    if seen.source.wrap_columns is not None:
        c = c % seen.source.wrap_columns
    known &= (c >= 0) & (c < seen.source.width) & (r >= 0) & (r < seen.source.height)
    picked = reduced[np.where(known, r, 0) // factor, np.where(known, c, 0) // factor]
    return np.asarray(known & picked)


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


def _outline_on_sphere(seen: SeenPixels, reduced: Mask, factor: int) -> MultiPolygon:
    grid = seen.grid
    edge = np.linspace(0, 1, 65)
    side = np.concatenate([edge, edge, 0 * edge, 0 * edge + 1])
    other = np.concatenate([0 * edge, 0 * edge + 1, edge, edge])
    _, lat = grid.to_lonlat(side * grid.width, other * grid.height)
    sign = 1.0 if grid.projection.lat_ts_deg > 0 else -1.0
    lowest = float((lat * sign).min())
    n_lat = _OUTLINE_SIDE
    lats = sign * (90.0 - (np.arange(n_lat) + 0.5) * (90.0 - lowest) / n_lat)
    lons = -180.0 + (np.arange(2 * _OUTLINE_SIDE) + 0.5) * 180.0 / _OUTLINE_SIDE
    lat2, lon2 = np.meshgrid(lats, lons, indexing="ij")
    col, row = grid.to_pixel(lon2, lat2)
    inside = (col >= 0) & (col < grid.width) & (row >= 0) & (row < grid.height)
    file_col, file_row = (col, row) if seen.as_is else seen.file_pixels_of(lon2, lat2)
    mask = inside & _valid_at(seen, reduced, factor, file_col, file_row)
    step_lat = -sign * (90.0 - lowest) / n_lat
    transform = Affine(180.0 / _OUTLINE_SIDE, 0, -180.0, 0, step_lat, 90.0 * sign)
    shapes = rasterio.features.shapes(mask.astype(np.uint8), mask=mask, transform=transform)
    return _multi(shapely.union_all([shapely.make_valid(shape(g)) for g, _ in shapes]))


def _multi(geometry: shapely.Geometry) -> MultiPolygon:
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]
    return MultiPolygon(parts)
