"""From an orbiter's image to a map-projected GeoTIFF with a planetary CRS.

An image with a map keeps its pixels' places and gets the view in which craters are round
(``ingest.views``); a frame without one is fitted to tie points: pixel coordinates as polynomials
of map coordinates, by least squares, with the residual of each point and, because a fit through
few points always looks good, the error at each point when it is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from cda_db.bodies import get_body
from cda_db.errors import InputError, SceneError
from ingest.control_points import ControlPoints, check_points
from ingest.grid import SceneGrid, unit_vectors
from ingest.scene import seen_crs
from ingest.seen import SeenPixels
from ingest.source import Mask, RasterSource, Values
from ingest.sphere import Floats, SphereProjection
from ingest.views import fit_grid, regional_projection

_TERMS = {1: 3, 2: 6, 3: 10}
_BLOCK = 512
_NODATA = {"uint8": 0.0, "uint16": 0.0, "int16": -32768.0}


@dataclass(frozen=True)
class Fit:
    """A fitted map from the ground to an image's pixels.

    Attributes:
        projection: map plane of the fit.
        order: of the polynomials.
        middle, spread: that normalise the map coordinates, (2,) each.
        coefficients: (terms, 2) for col and row.
        residual_px: (n,) distance of each tie point from its fitted pixel.
        left_out_px: (n,) the same when the point takes no part in the fit; NaN where there are
            no points to spare.
        pixel_m: ground metres of one pixel, root of its area, at the middle.
    """

    projection: SphereProjection
    order: int
    middle: Floats
    spread: Floats
    coefficients: Floats
    residual_px: Floats
    left_out_px: Floats
    pixel_m: float

    def to_pixel(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Image pixel coordinates (col, row) of points."""
        x, y = self.projection.forward(lon, lat)
        terms = _design((x - self.middle[0]) / self.spread[0],
                        (y - self.middle[1]) / self.spread[1], self.order)  # fmt: skip
        return terms @ self.coefficients[:, 0], terms @ self.coefficients[:, 1]

    def report(self) -> dict[str, Any]:
        """Figures for people and for the output's record."""
        rms = float(np.sqrt(np.mean(self.residual_px**2)))
        spare = np.isfinite(self.left_out_px)
        left_out = float(np.sqrt(np.mean(self.left_out_px[spare] ** 2))) if spare.any() else None
        return {
            "points": len(self.residual_px),
            "order": self.order,
            "rms_px": rms,
            "max_px": float(self.residual_px.max()),
            "rms_m": rms * self.pixel_m,
            "left_out_rms_px": left_out,
        }


def fit_points(points: ControlPoints, body: str, name: str, order: int = 1) -> Fit:
    """Fit an image to tie points.

    Args:
        points: tie points.
        body: the body; its IAU sphere.
        name: the image, for messages.
        order: 1 (affine), 2 or 3.

    Raises:
        SceneError: too few points, or points on a line.
    """
    if order not in _TERMS:
        raise InputError(f"Order {order} is not known.", "Use 1, 2 or 3.")
    check_points(points, _TERMS[order], name)
    projection = regional_projection(get_body(body).radius_m, points.lon, points.lat)
    x, y = projection.forward(points.lon, points.lat)
    middle = np.array([x.mean(), y.mean()])
    spread = np.array([np.ptp(x), np.ptp(y)]) / 2
    design = _design((x - middle[0]) / spread[0], (y - middle[1]) / spread[1], order)
    pixels = np.stack([points.col, points.row], axis=1)
    solved, _, rank, _ = np.linalg.lstsq(design, pixels, rcond=1e-9)
    if rank < design.shape[1]:
        raise SceneError(
            f"{name}: the tie points do not fix polynomials of order {order}.",
            "Spread them over the image, or use a lower --order.",
        )
    coefficients = np.asarray(solved, dtype=np.float64)
    residual = np.asarray(np.linalg.norm(design @ coefficients - pixels, axis=1), np.float64)
    left_out = _left_out(design, pixels, coefficients)
    linear = coefficients[1:3] / spread[:, None]  # d(col, row) / d(x, y)
    pixel_m = _ground_pixel(projection, middle, linear)
    return Fit(projection, order, middle, spread, coefficients, residual, left_out, pixel_m)


def _design(u: Floats, v: Floats, order: int) -> Floats:
    """Monomials up to ``order``: constant first, then u and v."""
    terms = [u**i * v**j for total in range(order + 1) for j in range(total + 1)
             for i in [total - j]]  # fmt: skip
    return np.stack(terms, axis=-1)


def _left_out(design: Floats, pixels: Floats, coefficients: Floats) -> Floats:
    """Error at each point without it: residual / (1 - leverage)."""
    leverage = np.einsum("ij,ji->i", design, np.linalg.pinv(design))
    error = np.linalg.norm(design @ coefficients - pixels, axis=1)
    spare = leverage < 1 - 1e-9
    return np.where(spare, error / np.where(spare, 1 - leverage, 1.0), np.nan)


def _ground_pixel(projection: SphereProjection, middle: Floats, linear: Floats) -> float:
    """Ground metres of one image pixel at a map point."""
    step = np.sqrt(1 / abs(float(np.linalg.det(linear))))
    points = np.array([[0, 0], [step, 0], [0, step]]) + middle
    corners = unit_vectors(*projection.inverse(points[:, 0], points[:, 1])) * projection.radius_m
    area = np.linalg.norm(np.cross(corners[1] - corners[0], corners[2] - corners[0]))
    return float(np.sqrt(area))


class FittedPixels(SeenPixels):
    """The pixels of an unprojected image on a map, through a fit."""

    def __init__(self, source: RasterSource, fit: Fit, grid: SceneGrid) -> None:
        self.source, self.fit, self.grid = source, fit, grid
        self.as_is, self.smooth_px = False, None

    def file_pixels_of(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
        """The image's pixel coordinates of points; NaN off the sphere."""
        known = np.isfinite(lon_deg) & np.isfinite(lat_deg)
        col, row = self.fit.to_pixel(np.where(known, lon_deg, 0.0), np.where(known, lat_deg, 0.0))
        return np.where(known, col, np.nan), np.where(known, row, np.nan)


def fitted_grid(fit: Fit, source: RasterSource, pixel_m: float | None) -> SceneGrid:
    """The grid that holds a fitted image: its edges are traced on the map by Newton's method."""
    edge = np.linspace(0, 1, 17)
    col = np.concatenate([edge, edge, 0 * edge, 0 * edge + 1]) * source.width
    row = np.concatenate([0 * edge, 0 * edge + 1, edge, edge]) * source.height
    uv = np.zeros((len(col), 2))
    wanted = np.stack([col, row], axis=1)
    for _ in range(30):
        here = _design(uv[:, 0], uv[:, 1], fit.order) @ fit.coefficients
        jacobian = np.stack([
            (_design(uv[:, 0] + du, uv[:, 1] + dv, fit.order) @ fit.coefficients - here) / 1e-4
            for du, dv in ((1e-4, 0.0), (0.0, 1e-4))
        ], axis=-1)  # fmt: skip
        uv += np.linalg.solve(jacobian, (wanted - here)[..., None])[..., 0]
    reached = np.linalg.norm(
        _design(uv[:, 0], uv[:, 1], fit.order) @ fit.coefficients - wanted, axis=1
    )
    if not np.isfinite(uv).all() or reached.max() > 0.5:
        raise SceneError(
            f"{source.path}: the fit folds over before the image's edges.",
            "Use a lower --order, or tie points near the edges.",
        )
    x, y = uv[:, 0] * fit.spread[0] + fit.middle[0], uv[:, 1] * fit.spread[1] + fit.middle[1]
    lon, lat = fit.projection.inverse(x, y)
    return fit_grid(fit.projection, lon, lat, pixel_m or fit.pixel_m)


def rescaled(grid: SceneGrid, pixel_m: float | None) -> SceneGrid:
    """The same ground on pixels of a stated size (map metres)."""
    if pixel_m is None:
        return grid
    a, b, c, d, e, f = grid.transform
    factor = pixel_m / (np.hypot(a, d) * grid.projection.unit_m)
    return SceneGrid(
        grid.projection,
        (a * factor, b * factor, c, d * factor, e * factor, f),
        int(np.ceil(grid.width / factor)),
        int(np.ceil(grid.height / factor)),
    )


def write_map(seen: SeenPixels, path: Path, body: str, tags: dict[str, str]) -> int:
    """Write a scene as seen as a tiled GeoTIFF in blocks of bounded size; returns valid pixels.

    Whole-numbered types keep theirs, with a nodata value of their own (0 for unsigned ones,
    where a true 0 becomes 1); others become float32 with NaN.
    """
    kind = seen.source.dtype if seen.source.dtype in _NODATA else "float32"
    nodata = _NODATA.get(kind, float("nan"))
    grid, n_valid = seen.grid, 0
    profile = {
        "driver": "GTiff", "count": 1, "dtype": kind, "nodata": nodata, "width": grid.width,
        "height": grid.height, "crs": seen_crs(get_body(body), grid.projection).to_wkt(),
        "transform": Affine(*grid.transform), "tiled": True, "blockxsize": _BLOCK,
        "blockysize": _BLOCK, "compress": "deflate", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        out.update_tags(**tags)
        for row in range(0, grid.height, _BLOCK):
            for col in range(0, grid.width, _BLOCK):
                size = (min(_BLOCK, grid.width - col), min(_BLOCK, grid.height - row))
                values, valid = seen.window(1.0, col, row, *size)
                out.write(_typed(values, valid, kind, nodata), 1, window=Window(col, row, *size))
                n_valid += int(valid.sum())
    return n_valid


def _typed(values: Values, valid: Mask, kind: str, nodata: float) -> NDArray[Any]:
    if kind == "float32":
        return np.where(valid, values, np.float32(nodata))
    info = np.iinfo(kind)
    low = info.min + 1  # the lowest value means nodata
    whole = np.clip(np.rint(values), low, info.max)
    return np.where(valid, whole, nodata).astype(kind)
