"""The picture of a scene as the detector saw it, small enough to draw on.

Reads the file itself (queries do not import ingest) on the grid that the scene's record states:
the file's own pixels, or the pixels of a view. Brightness is the scene's stored stretch; an
elevation model is shaded for display.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from matplotlib.colors import LightSource
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioIOError
from rasterio.transform import Affine

from cda_db.errors import SceneError
from cda_db.scenes import Scene

Floats = NDArray[np.float64]

_GAP = 255  # white: not imaged


@dataclass(frozen=True)
class ScenePicture:
    """Pixels to draw on.

    Attributes:
        pixels: uint8 (height, width); white where nothing is imaged.
        scale: picture pixels a scene pixel, along x and y.
    """

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]


def scene_picture(scene: Scene, longest_px: int = 1400) -> ScenePicture:
    """Read a scene, down-sampled so that its longer side is at most ``longest_px``.

    Raises:
        SceneError: the file is gone or unreadable.
    """
    if not Path(scene.path).exists():
        raise SceneError(f"Scene {scene.name}: {scene.path} is gone.", "Put the file back.")
    step = max(1.0, max(scene.width, scene.height) / longest_px)
    shape = (max(1, round(scene.height / step)), max(1, round(scene.width / step)))
    try:
        with rasterio.open(scene.path) as file:
            as_is = (scene.view or {}).get("name", "as_is") == "as_is"
            values = (_read_whole if as_is else _read_view)(file, scene, shape)
    except RasterioIOError as error:
        raise SceneError(f"Scene {scene.name} cannot be read: {error}", "Check it.") from error
    scale = (shape[1] / scene.width, shape[0] / scene.height)
    pixels = (
        _shaded(values, scene, step) if scene.kind == "elevation" else _grey(values, scene, step)
    )
    return ScenePicture(pixels, scale)


def _read_whole(file: Any, scene: Scene, shape: tuple[int, int]) -> Floats:
    """The file's own pixels, averaged; NaN where there are none."""
    options = (scene.view or {}).get("options", {})
    rgb = file.count >= 3 and options.get("band") is None
    bands = [1, 2, 3] if rgb else [options.get("band") or 1]
    palette = None if rgb else _palette(file, bands[0])
    method = Resampling.average if palette is None else Resampling.nearest
    size = (len(bands), *shape)
    read = file.read(bands, out_shape=size, masked=True, resampling=method)
    values = np.ma.filled(read.astype(np.float64), np.nan)
    if options.get("nodata") is not None:
        values[values == options["nodata"]] = np.nan
    if palette is not None:
        known = np.isfinite(values)
        values = np.where(known, palette[np.where(known, values, 0).astype(int)], np.nan)
    return np.asarray(values.mean(axis=0))


def _palette(file: Any, band: int) -> Floats | None:
    """Grey of each palette entry, None for a band without one."""
    if file.colorinterp[band - 1] != ColorInterp.palette:
        return None
    grey = np.zeros(2**16)
    for index, colour in file.colormap(band).items():
        grey[index] = sum(colour[:3]) / 3
    return grey


def _read_view(file: Any, scene: Scene, shape: tuple[int, int]) -> Floats:
    """The pixels of a view: each looked up in the averaged file by its place on the sphere."""
    shrink = max(1.0, scene.width / shape[1], scene.height / shape[0])
    rows, cols = max(1, round(file.height / shrink)), max(1, round(file.width / shrink))
    source = _read_whole(file, scene, (rows, cols))
    col, row = np.meshgrid(
        (np.arange(shape[1]) + 0.5) * scene.width / shape[1],
        (np.arange(shape[0]) + 0.5) * scene.height / shape[0],
    )
    lon, lat, on_map = scene_lonlat(scene, col, row)
    x, y = _file_xy(CRS.from_wkt(scene.source_crs_wkt), lon, lat)
    inverse = ~Affine(*file.transform[:6])
    u = (inverse.a * x + inverse.b * y + inverse.c) * cols / file.width
    v = (inverse.d * x + inverse.e * y + inverse.f) * rows / file.height
    turn = _full_turn(file, scene)
    if turn is not None:  # columns go round the body
        u = np.mod(u, turn * cols / file.width)
    inside = (
        on_map & np.isfinite(u) & np.isfinite(v) & (u >= 0) & (u < cols) & (v >= 0) & (v < rows)
    )
    picked = source[np.where(inside, v, 0).astype(int), np.where(inside, u, 0).astype(int)]
    return np.where(inside, picked, np.nan)


def scene_lonlat(
    scene: Scene, col: Floats, row: Floats
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Longitude, latitude and whether there is ground at all, of scene pixel coordinates."""
    a, b, c, d, e, f = scene.transform
    x, y = a * col + b * row + c, d * col + e * row + f
    if scene.projection == "lonlat":
        return x, y, np.abs(y) <= 90
    plane = Transformer.from_pipeline(f"+proj=pipeline +step +inv {_proj(scene)}")
    lon, lat = plane.transform(x, y)
    on_map = np.isfinite(lon) & np.isfinite(lat)
    return np.where(on_map, lon, 0.0), np.where(on_map, lat, 0.0), on_map


def _proj(scene: Scene) -> str:
    names = {"equirectangular": "eqc", "sinusoidal": "sinu", "mercator": "merc"}
    common = f"+lon_0={scene.lon_0_deg} +R={scene.radius_m}"
    if scene.projection == "polar_stereographic":
        pole = 90 if scene.lat_ts_deg > 0 else -90
        return f"+proj=stere +lat_0={pole} +lat_ts={scene.lat_ts_deg} {common}"
    return f"+proj={names[scene.projection]} +lat_ts={scene.lat_ts_deg} {common}"


def _file_xy(crs: CRS, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Places of planetocentric, east positive points in a file's CRS."""
    geographic = crs.geodetic_crs
    if geographic is None or crs.ellipsoid is None:
        raise SceneError(f"CRS {crs.name!r} is of no body.", "Register the scene again.")
    axes = geographic.axis_info
    ocentric = any("planetocentric" in axis.name.lower() for axis in axes)
    if crs.ellipsoid.inverse_flattening and not ocentric:
        squeeze = (1 - 1 / crs.ellipsoid.inverse_flattening) ** 2
        lat = np.degrees(np.arctan2(np.sin(np.radians(lat)), squeeze * np.cos(np.radians(lat))))
    if any(axis.direction.lower() == "west" for axis in axes):
        lon = -lon
    if crs.is_geographic:
        return lon, lat
    x, y = Transformer.from_crs(geographic, crs, always_xy=True).transform(lon, lat)
    return np.asarray(x), np.asarray(y)


def _full_turn(file: Any, scene: Scene) -> float | None:
    """Columns of a whole turn of longitude where the file spans one, else None."""
    crs = CRS.from_wkt(scene.source_crs_wkt)
    method = crs.coordinate_operation.method_name.lower() if crs.coordinate_operation else ""
    if crs.is_geographic:
        turn = 360.0 / abs(file.transform.a)
    elif "equidistant" in method or "equirectangular" in method:
        lon, lat = np.array([-90.0, 90.0]), np.zeros(2)
        x, _ = _file_xy(crs, lon, lat)
        turn = 2 * abs(x[1] - x[0]) / abs(file.transform.a)
    else:
        return None
    return float(turn) if file.width >= turn - 1.5 else None


def _grey(values: Floats, scene: Scene, step: float) -> NDArray[np.uint8]:
    low, high = _limits(scene.radiometry, step)
    return _bytes((values - low) / (high - low))


def _limits(radiometry: dict[str, Any], step: float) -> tuple[float, float]:
    """The stored stretch for the level nearest at or below the picture's."""
    rows = sorted(radiometry["limits"])
    chosen = next((row for row in reversed(rows) if row[0] <= step), rows[0])
    return float(chosen[1]), float(chosen[2])


def _shaded(values: Floats, scene: Scene, step: float) -> NDArray[np.uint8]:
    """Hillshade from where the scene's shading has its light, stretched to its own percentiles."""
    shading = scene.shading or {}
    metres = scene.pixel_scale_m * step
    light = LightSource(shading.get("azimuth_deg", 270.0), shading.get("altitude_deg", 30.0))
    known = np.isfinite(values)
    if not known.any():
        return np.full(values.shape, _GAP, dtype=np.uint8)
    heights = np.where(known, values, np.mean(values[known])) * shading.get("z_unit_m", 1.0)
    lit = light.hillshade(heights, dx=metres, dy=metres)
    low, high = np.percentile(lit[known], [0.5, 99.5])
    return _bytes(np.where(known, (lit - low) / max(high - low, 1e-6), np.nan))


def _bytes(shares: Floats) -> NDArray[np.uint8]:
    grey = np.clip(np.nan_to_num(shares, nan=1.0), 0, 1) * 255
    return np.where(np.isnan(shares), _GAP, np.rint(grey)).astype(np.uint8)
