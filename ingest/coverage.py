"""Imaged ground of a scene, level by level: whole HEALPix cells, and border cells in 64ths.

Cells are nested, on (lon, lat) with east longitude. A cell is split until every pixel around it
is valid, or none is; what is still mixed at the scene's order is a border cell, whose 64 sub-cells
(three orders finer) are imaged where their centre is a valid pixel. Sub-cells are no larger than
a 2048th of the scene, or half a pixel. A union of scenes is then a union of sub-cells: places, not
shares, are compared, so it is right however the scenes overlap. A sub-cell stands or falls with its
centre: a border is followed without bias, at worst (along a parallel, where centres lie in rows) to
half a row of sub-cells.
"""

from __future__ import annotations

import hpgeom
import numpy as np
import shapely

from cda_db.cells import (
    EMPTY,
    SUB_CELLS,
    SUB_ORDERS,
    Ints,
    masks_of,
    merge,
    refine,
    to_ranges,
    union,
)
from ingest.grid import SceneGrid
from ingest.seams import SeamMap
from ingest.seen import SeenPixels
from ingest.source import Mask
from ingest.sphere import Floats, wrap_lon
from ingest.validity import PixelMask, Validity

FINEST_SUB_ORDER = 29  # of HEALPix in 64 bits
LEVELS = (2, 8, 32, 128)  # whose pixels may show other ground than those of the level before
_SUB_CELLS_A_SIDE = 2048
_PIXEL = 0.5
_SAME_GROUND = 1e-3
_COARSER = 5  # orders
_SPACING = 0.5  # of a coarse cell's side
_CHUNK = 2**21
_EDGE_POINTS = 4  # a side of a cell
_SLACK = 0.25  # of a cell's box: its sides bulge between their points
Ground = tuple[Ints, Ints]


def coverage_order(grid: SceneGrid) -> int:
    """HEALPix order of a scene's cells: eight sub-cells a side, see above."""
    radius, pixel = grid.projection.radius_m, grid.pixel_scale_m()
    area = min(grid.width * grid.height * pixel**2, 4 * np.pi * radius**2)
    wanted = max(np.sqrt(area) / _SUB_CELLS_A_SIDE, _PIXEL * pixel)
    order = int(np.ceil(np.log2(np.sqrt(4 * np.pi / 12) * radius / wanted)))
    return int(np.clip(order, SUB_ORDERS, FINEST_SUB_ORDER)) - SUB_ORDERS


def level_grounds(
    seen: SeenPixels, validity: Validity, order: int
) -> tuple[tuple[float, Ints, Ints], ...]:
    """(factor, whole cells, border) of level 1 and of each coarser one that shows other ground.

    A level has a row of its own where its ground differs from the row before it by more than a
    thousandth: where gaps are closed, or specks lost, by averaging.
    """
    found: list[tuple[float, Ints, Ints]] = []
    last = EMPTY
    for factor in (1, *LEVELS):
        pixels = validity.level(factor)
        if pixels is None or (found and factor > max(seen.grid.width, seen.grid.height)):
            continue
        ranges, border = ground(seen, pixels, order)
        now = union(order + SUB_ORDERS, [(order, ranges, border)])
        if not found or _differing(last, now) > _SAME_GROUND * _count(last):
            found.append((float(factor), ranges, border))
            last = now
        if pixels.complete:
            break
    return tuple(found)


def _count(ranges: Ints) -> int:
    return int(np.sum(ranges[:, 1] - ranges[:, 0]))


def _differing(a: Ints, b: Ints) -> int:
    """Cells that are in one of two sets only."""
    return 2 * _count(merge(np.concatenate([a, b]))) - _count(a) - _count(b)


def ground(seen: SeenPixels, pixels: PixelMask, order: int) -> Ground:
    """Whole cells (n, 2) and border (m, 2) of one level."""
    at = max(order - _COARSER, 0)
    cells = _near_cells(seen.grid, at)
    whole = [EMPTY]
    while True:
        none, full = _none_and_all(seen, pixels, at, cells)
        whole.append(refine(to_ranges(cells[full]), at, order))
        cells = cells[~none & ~full]
        if at == order:
            break
        cells, at = (4 * cells[:, None] + np.arange(4)).ravel(), at + 1
    sub_cells, border = _border(seen, pixels, order, cells)
    return merge(np.concatenate([*whole, sub_cells])), border


def _border(seen: SeenPixels, pixels: PixelMask, order: int, cells: Ints) -> Ground:
    """Mixed cells by their sub-cells' centres: ranges of those that are whole, the border."""
    whole, border = [EMPTY], [EMPTY]
    for start in range(0, len(cells), _CHUNK // SUB_CELLS):
        part = cells[start : start + _CHUNK // SUB_CELLS]
        sub_cells = part[:, None] * SUB_CELLS + np.arange(SUB_CELLS)
        inside = _imaged(seen, pixels, *cell_centres(order + SUB_ORDERS, sub_cells))
        full, any_ = inside.all(axis=1), inside.any(axis=1)
        whole.append(to_ranges(part[full]))
        mixed = any_ & ~full
        border.append(np.stack([part[mixed], masks_of(inside[mixed])], axis=1))
    return np.concatenate(whole), np.concatenate(border)


def _imaged(seen: SeenPixels, pixels: PixelMask, lon: Floats, lat: Floats) -> Mask:
    """Whether places are in the scene's frame and on a valid pixel of its file."""
    (col, row), (file_col, file_row) = _places(seen, lon, lat)
    inside = (col >= 0) & (col < seen.grid.width) & (row >= 0) & (row < seen.grid.height)
    inside &= np.isfinite(file_col) & np.isfinite(file_row)
    c = np.floor(np.where(inside, file_col, 0)).astype(np.int64)
    r = np.floor(np.where(inside, file_row, 0)).astype(np.int64)
    if seen.source.wrap_columns is not None:
        c %= seen.source.wrap_columns
    inside &= (c >= 0) & (c < seen.source.width) & (r >= 0) & (r < seen.source.height)
    found: Mask = inside & pixels.at(np.where(inside, c, 0), np.where(inside, r, 0))
    return found


def _places(
    seen: SeenPixels, lon: Floats, lat: Floats
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Pixel coordinates (col, row) as seen, and in the file."""
    place = seen.grid.to_pixel(lon, lat)
    return place, place if seen.as_is else seen.file_pixels_of(lon, lat)


def _none_and_all(
    seen: SeenPixels, pixels: PixelMask, order: int, cells: Ints
) -> tuple[Mask, Mask]:
    """Cells around which nothing is imaged, and those around which everything is.

    Both are asked of the box around a cell's boundary in pixels, a little widened. Where a map
    is torn the box holds more than the cell, and the cell counts as mixed.
    """
    edge = hpgeom.boundaries(2**order, cells, step=_EDGE_POINTS, nest=True)
    shown, filed = _places(seen, wrap_lon(edge[0]), np.asarray(edge[1], dtype=np.float64))
    none, full = _in_frame(shown, seen.grid.width, seen.grid.height)
    source = seen.source
    left, top, right, bottom = _box(filed)
    known = np.isfinite(left) & np.isfinite(top) & np.isfinite(right) & np.isfinite(bottom)
    if source.wrap_columns is not None:
        outside = (left < 0) | (right > source.wrap_columns)
        left = np.where(outside, 0, left)
        right = np.where(outside, source.width, right)
    out, within = _in_frame(filed, source.width, source.height)
    if source.wrap_columns is None:
        none, full = none | (out & known), full & within
    empty, valid = pixels.none_and_all(
        *(np.where(known, side, 0.0) for side in (left, top, right, bottom))
    )
    in_rows = (top >= 0) & (bottom <= source.height)
    return none | (empty & known), full & valid & known & in_rows


def _box(place: tuple[Floats, Floats]) -> tuple[Floats, Floats, Floats, Floats]:
    """Boxes (left, top, right, bottom) around points (n, k), widened; not finite if one is not."""
    sides = []
    for values in place:
        low, high = values.min(axis=1), values.max(axis=1)
        slack = _SLACK * (high - low) + 1.0
        sides.append((low - slack, high + slack))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


def _in_frame(place: tuple[Floats, Floats], width: int, height: int) -> tuple[Mask, Mask]:
    """Boxes wholly outside a frame, and wholly inside."""
    left, top, right, bottom = _box(place)
    outside = (right < 0) | (left > width) | (bottom < 0) | (top > height)
    inside = (left >= 0) & (right <= width) & (top >= 0) & (bottom <= height)
    return outside, inside


def _near_cells(grid: SceneGrid, order: int) -> Ints:
    """Cells that hold a point of a lattice over the frame, and their neighbours."""
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
    touched = np.unique(np.concatenate(found))
    around = hpgeom.neighbors(2**order, touched, nest=True)
    return np.unique(np.concatenate([touched, around[around >= 0]]))


def _even(size: int, step: float) -> Floats:
    return np.linspace(0.0, size, int(np.ceil(size / step)) + 1)


def _cells(nside: int, lon: Floats, lat: Floats) -> Ints:
    pixels = hpgeom.angle_to_pixel(nside, lon % 360.0, lat, nest=True, lonlat=True, degrees=True)
    return np.asarray(pixels, dtype=np.int64)


def cell_centres(order: int, cells: Ints) -> tuple[Floats, Floats]:
    """Longitude in [-180, 180) and latitude of nested cells' centres."""
    lon, lat = hpgeom.pixel_to_angle(2**order, cells, nest=True, lonlat=True, degrees=True)
    return wrap_lon(lon), np.asarray(lat, dtype=np.float64)


def within_seams(seen: SeenPixels, validity: Validity, seams: SeamMap) -> Validity:
    """The pixels that some source image of a mosaic shows, by its seam map."""

    def file_pixels(points: Floats) -> Floats:
        return np.stack(seen.file_pixels_of(points[:, 0], points[:, 1]), axis=1)

    return validity.only([shapely.transform(outline, file_pixels) for outline in seams.outlines])
