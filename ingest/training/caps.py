"""Training pictures from a global elevation model: the two polar caps, shaded.

A detector that is to read shaded relief should have seen some. The caps are taken so that the band
between them, where such a scene is normally searched, stays unseen ground for evaluation.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import radians, sin
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cda_db.bodies import Body
from cda_db.errors import InputError
from ingest.training.crops import CropWriter, write_turned
from ingest.training.folders import Boxes, Pixels

Heights = NDArray[np.float64]


@dataclass(frozen=True)
class CapRule:
    """How caps are made.

    Attributes:
        min_latitude_deg: the caps reach from here to the poles.
        up: up-sampling after shading, as a level of 1 / up does at inference.
        azimuths_deg: directions of the light, clockwise from the cap's +y axis.
        altitude_deg: height of the light above the horizon.
        crops: turned crops per cap and azimuth.
    """

    min_latitude_deg: float = 62.0
    up: int = 4
    azimuths_deg: tuple[float, ...] = (240.0, 255.0, 270.0, 285.0, 300.0, 90.0)
    altitude_deg: float = 30.0
    crops: int = 25


def read_craters(path: Path) -> NDArray[np.float64]:
    """Columns lon_east_deg, lat_deg, diameter_km of a CSV catalogue, shape (n, 3)."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("lon_east_deg", "lat_deg", "diameter_km")
    if not rows or any(name not in rows[0] for name in names):
        raise InputError(f"{path} lacks one of {', '.join(names)}.", "Give a catalogue with them.")
    return np.array([[float(row[name]) for name in names] for row in rows])


def shade(heights: Heights, pixel_m: float, azimuth_deg: float, altitude_deg: float) -> Pixels:
    """Lambert shading stretched between its 0.5th and 99.5th percentile; unknown is the mean.

    Args:
        heights: metres, shape (rows, columns); NaN where nothing is known.
        pixel_m: ground size of a pixel.
        azimuth_deg: where the light comes from, clockwise from up.
        altitude_deg: its height above the horizon.
    """
    down, right = np.gradient(heights, pixel_m)
    azimuth, altitude = radians(azimuth_deg), radians(altitude_deg)
    slope_to_light = right * np.sin(azimuth) - down * np.cos(azimuth)
    light = (sin(altitude) - np.cos(altitude) * slope_to_light) / np.hypot(1, np.hypot(right, down))
    low, high = np.nanpercentile(light, [0.5, 99.5])
    grey = np.clip((light - low) / (high - low), 0, 1) * 255
    filled = np.where(np.isfinite(grey), np.rint(grey), np.nanmean(grey))
    return np.asarray(filled, dtype=np.uint8)


def cap_heights(
    dem: Path, body: Body, frame: str, min_latitude_deg: float
) -> tuple[Heights, float]:
    """The cap of a global lon/lat elevation model in a polar frame, at the model's own scale.

    Returns:
        heights (n, n) in metres with the pole in the middle, NaN below ``min_latitude_deg``; and
        the pixel size in metres.
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.transform import from_origin
    from rasterio.warp import reproject

    with rasterio.open(dem) as source:
        if not source.crs or not source.crs.is_geographic:
            raise InputError(f"{dem} is not in longitude and latitude.", "Give a global raster.")
        pixel_m = radians(abs(source.transform.e)) * body.radius_m
        half = 2 * body.radius_m * np.tan(radians(90 - min_latitude_deg) / 2)
        side = 2 * int(np.ceil(half / pixel_m))
        heights = np.full((side, side), np.nan)
        reproject(
            source.read(1).astype(np.float64),
            heights,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=from_origin(-side / 2 * pixel_m, side / 2 * pixel_m, pixel_m, pixel_m),
            dst_crs=body.crs(frame).to_wkt(),
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    y, x = (np.indices((side, side)) + 0.5 - side / 2) * pixel_m
    heights[np.hypot(x, y) > half] = np.nan
    return heights, pixel_m


def cap_boxes(
    craters: NDArray[np.float64], body: Body, frame: str, side: int, pixel_m: float
) -> Boxes:
    """Pixel boxes (n, 4) of craters (lon, lat, km) in a cap image of that side and pixel size."""
    from pyproj import Transformer

    north = frame == "north_polar"
    here = craters[(craters[:, 1] > 0) == north]
    to_map = Transformer.from_crs(body.crs(), body.crs(frame), always_xy=True)
    x, y = to_map.transform(here[:, 0], here[:, 1])
    # Polar stereographic is conformal with scale 2 / (1 + sin|lat|) on a sphere.
    scale = 2 / (1 + np.sin(np.radians(np.abs(here[:, 1]))))
    radius = here[:, 2] * 500 * scale / pixel_m
    column, row = x / pixel_m + side / 2, side / 2 - y / pixel_m
    boxes = np.column_stack([column - radius, row - radius, column + radius, row + radius])
    inside = (boxes[:, :2].min(axis=1) >= 0) & (boxes[:, 2:].max(axis=1) <= side)
    return np.asarray(boxes[inside], dtype=np.float64)


def write_caps(
    dem: Path,
    catalogue: Path,
    body: Body,
    rule: CapRule,
    writer: CropWriter,
    rng: np.random.Generator,
) -> None:
    """Turned crops of both shaded caps, labelled with the catalogue's craters."""
    import cv2

    craters = read_craters(catalogue)
    for frame in ("north_polar", "south_polar"):
        heights, pixel_m = cap_heights(dem, body, frame, rule.min_latitude_deg)
        boxes = cap_boxes(craters, body, frame, heights.shape[0], pixel_m) * rule.up
        known = np.isfinite(heights)
        for azimuth in rule.azimuths_deg:
            grey = shade(heights, pixel_m, azimuth, rule.altitude_deg)
            size = (grey.shape[1] * rule.up, grey.shape[0] * rule.up)
            large = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC))
            centre = ((boxes[:, :2] + boxes[:, 2:]) / 2 / rule.up).astype(int)
            shown = boxes[known[centre[:, 1], centre[:, 0]]]
            name = f"{frame}-{azimuth:.0f}"
            write_turned([(name, large, shown)], rule.crops, "cap", writer, rng)
