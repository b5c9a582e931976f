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
        up: up-sampling before shading, as a level of 1 / up does at inference.
        azimuths_deg: directions of the light, clockwise from the cap's +y axis; a view each.
        altitudes_deg: least and greatest height of the light above the horizon.
        smooth_px: least and greatest sigma of the smoothing before up-sampling, in model pixels.
        widening: least and greatest factor by which the stretch is wider than the brightness; the
            worker's is ``ingest.radiometry.SHADED_WIDENING``.
        crops: turned crops per cap and view.
        held_lon_deg: ground between these two longitudes (east) is not shown: it is left for the
            threshold of elevation models.
    """

    min_latitude_deg: float = 62.0
    up: int = 4
    azimuths_deg: tuple[float, ...] = (*range(210, 331, 10), 75.0, 90.0, 105.0)
    altitudes_deg: tuple[float, float] = (18.0, 45.0)
    smooth_px: tuple[float, float] = (0.3, 0.9)
    widening: tuple[float, float] = (1.0, 2.2)
    crops: int = 25
    held_lon_deg: tuple[float, float] = (0.0, 90.0)


def read_craters(path: Path) -> NDArray[np.float64]:
    """Columns lon_east_deg, lat_deg, diameter_km of a CSV catalogue, shape (n, 3)."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("lon_east_deg", "lat_deg", "diameter_km")
    if not rows or any(name not in rows[0] for name in names):
        raise InputError(f"{path} lacks one of {', '.join(names)}.", "Give a catalogue with them.")
    return np.array([[float(row[name]) for name in names] for row in rows])


def shade(
    heights: Heights,
    known: NDArray[np.bool_],
    pixel_m: float,
    azimuth_deg: float,
    altitude_deg: float,
    widening: float = 1.0,
) -> Pixels:
    """Lambert shading stretched about its 0.5th to 99.5th percentile; unknown is the mean.

    Args:
        heights: metres, shape (rows, columns).
        known: what is shown, the same shape.
        pixel_m: ground size of a pixel.
        azimuth_deg: where the light comes from, clockwise from up.
        altitude_deg: its height above the horizon.
        widening: by how much the limits of the stretch are wider than the percentiles.
    """
    down, right = np.gradient(heights, pixel_m)
    azimuth, altitude = radians(azimuth_deg), radians(altitude_deg)
    slope_to_light = right * np.sin(azimuth) - down * np.cos(azimuth)
    light = (sin(altitude) - np.cos(altitude) * slope_to_light) / np.hypot(1, np.hypot(right, down))
    low, high = np.percentile(light[known], [0.5, 99.5])
    middle, half = (low + high) / 2, (high - low) / 2 * widening
    grey = np.clip((light - middle) / (2 * half) + 0.5, 0, 1) * 255
    filled = np.where(known, grey, grey[known].mean())
    return np.asarray(np.rint(filled), dtype=np.uint8)


def cap_heights(
    dem: Path, body: Body, frame: str, min_latitude_deg: float
) -> tuple[Heights, float]:
    """The cap of a global lon/lat elevation model in a polar frame, at the model's own scale.

    Returns:
        heights (n, n) in metres with the pole in the middle, down to ``min_latitude_deg`` along
        the axes and farther in the corners; and the pixel size in metres.
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.transform import from_origin
    from rasterio.warp import reproject

    with rasterio.open(dem) as source:
        if not source.crs or not source.crs.is_geographic:
            raise InputError(f"{dem} is not in longitude and latitude.", "Give a global raster.")
        pixel_m = radians(abs(source.transform.e)) * body.radius_m
        side = 2 * int(np.ceil(_edge_m(body, min_latitude_deg) / pixel_m))
        heights = np.zeros((side, side))
        reproject(
            source.read(1).astype(np.float64),
            heights,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=from_origin(-side / 2 * pixel_m, side / 2 * pixel_m, pixel_m, pixel_m),
            dst_crs=body.crs(frame).to_wkt(),
            resampling=Resampling.bilinear,
        )
    return heights, pixel_m


def _edge_m(body: Body, latitude_deg: float) -> float:
    """Distance of a parallel from the pole in the polar stereographic frame of a sphere."""
    return 2 * body.radius_m * float(np.tan(radians(90 - latitude_deg) / 2))


def cap_known(
    side: int, pixel_m: float, body: Body, frame: str, rule: CapRule, *, held: bool = False
) -> NDArray[np.bool_]:
    """What of a cap image (side, side) training shows; with ``held`` what it leaves out."""
    y, x = (np.indices((side, side)) + 0.5 - side / 2) * pixel_m
    # Row 0 is up: map y is -y here, and longitude 0 points down at the north pole, up at the south.
    lon = np.degrees(np.arctan2(x, y if frame == "north_polar" else -y)) % 360
    low, high = rule.held_lon_deg
    sector = (lon >= low) & (lon < high)
    cap = np.hypot(x, y) <= _edge_m(body, rule.min_latitude_deg)
    return np.asarray(cap & (sector if held else ~sector))


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


def enlarge(heights: Heights, up: int, smooth_px: float) -> Heights:
    """Heights smoothed and up-sampled as the worker does it, so that slopes and not grey values
    are interpolated."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(heights, smooth_px, mode="nearest")
    where = (np.indices([n * up for n in heights.shape]) + 0.5) / up - 0.5
    return np.asarray(ndimage.map_coordinates(smooth, where, order=3, mode="nearest"))


def write_caps(
    dem: Path,
    catalogue: Path,
    body: Body,
    rule: CapRule,
    writer: CropWriter,
    rng: np.random.Generator,
) -> None:
    """Turned crops of both shaded caps, labelled with the catalogue's craters."""
    craters = read_craters(catalogue)
    for frame in ("north_polar", "south_polar"):
        heights, pixel_m = cap_heights(dem, body, frame, rule.min_latitude_deg)
        fine_m, side = pixel_m / rule.up, heights.shape[0] * rule.up
        boxes = cap_boxes(craters, body, frame, side, fine_m)
        known = cap_known(side, fine_m, body, frame, rule)
        centre = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int)
        shown = boxes[known[centre[:, 1], centre[:, 0]]]
        for azimuth in rule.azimuths_deg:
            large = enlarge(heights, rule.up, rng.uniform(*rule.smooth_px))
            altitude, widening = rng.uniform(*rule.altitudes_deg), rng.uniform(*rule.widening)
            grey = shade(large, known, fine_m, azimuth, altitude, widening)
            name = f"{frame}-{azimuth:.0f}"
            write_turned([(name, grey, shown)], rule.crops, "cap", writer, rng)
