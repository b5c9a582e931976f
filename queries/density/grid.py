"""The pixels of a map in a body's IAU frames, and which frame suits which ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.transform import Affine

from cda_db.bodies import Body
from cda_db.errors import InputError
from queries import moc
from queries.density.healpix_map import DensityMap
from queries.rings import lon_span

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

# Frame: IAU_2015 code less the body's base code (IAU WGCCRE 2015 as registered in PROJ), and the
# longitude in the middle of the map.
_FRAMES = {
    "equirectangular": (10, 0.0),
    "equirectangular_180": (15, 180.0),
    "sinusoidal": (20, 0.0),
    "sinusoidal_180": (25, 180.0),
    "north_polar": (30, 0.0),
    "south_polar": (35, 0.0),
}
RASTER_FRAMES = tuple(_FRAMES)
_POLAR_EDGE_DEG = 45.0  # a polar frame is drawn from its pole to no further than this latitude
_POLAR_FROM_DEG = 60.0  # ground beyond it on one side only is shown in a polar frame
_MAX_PIXELS = 400_000_000


def frame_code(body: Body, frame: str) -> int:
    """IAU_2015 code of a body's frame.

    Raises:
        InputError: not one of ``RASTER_FRAMES``.
    """
    if frame not in _FRAMES:
        raise InputError(f"Unknown frame {frame!r}.", f"Use one of {', '.join(RASTER_FRAMES)}.")
    return body.iau_code() + _FRAMES[frame][0]


def to_frame(body: Body, frame: str) -> Transformer:
    """From longitude and latitude (degrees) to metres of a frame."""
    plane = CRS.from_authority("IAU_2015", frame_code(body, frame))
    return Transformer.from_crs(body.crs(), plane, always_xy=True)


def middle_lon(frame: str) -> float:
    """Longitude in the middle of a frame's map, degrees."""
    return _FRAMES[frame][1]


def suitable_frame(bounds: Bounds) -> str:
    """The frame in which a lon/lat box lies in one piece and in shape.

    Polar where all of it is beyond 60 degrees, equirectangular elsewhere: centred on 180 where
    the box crosses +-180 but not the prime meridian.
    """
    west, south, east, north = bounds
    if south >= _POLAR_FROM_DEG:
        return "north_polar"
    if north <= -_POLAR_FROM_DEG:
        return "south_polar"
    return "equirectangular_180" if west > east and east < 0 < west else "equirectangular"


@dataclass(frozen=True)
class Grid:
    """Pixels of a map in one of a body's frames.

    Attributes:
        frame: one of ``RASTER_FRAMES``. transform: pixel to metres of the frame.
    """

    body: Body
    frame: str
    transform: Affine
    width: int
    height: int

    def lonlat(self, row: int, n_rows: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Pixel centres of some rows: lon, lat, and whether they are on the map at all.

        Each is (n_rows, width); a pixel outside the outline of a sinusoidal map is on no ground.
        """
        cols, rows = np.meshgrid(np.arange(self.width) + 0.5, np.arange(n_rows) + row + 0.5)
        x = self.transform.a * cols + self.transform.c
        y = self.transform.e * rows + self.transform.f
        frame = to_frame(self.body, self.frame)
        lon, lat = frame.transform(x, y, direction="INVERSE")
        finite = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90)
        lon, lat = np.where(finite, lon, 0.0), np.where(finite, lat, 0.0)
        # Off the outline the inverse wraps around the body: it does not come back to the pixel.
        x_back, y_back = frame.transform(lon, lat)
        size = self.transform.a
        on_map = finite & (np.abs(x_back - x) < size / 2) & (np.abs(y_back - y) < size / 2)
        return lon, lat, on_map


def grid_for(body: Body, frame: str, pixel_km: float, bounds: Bounds) -> Grid:
    """The pixels that hold a lon/lat box, on multiples of the pixel size.

    Around the whole body the size is rounded down so that whole pixels fit between -180 and 180.

    Args:
        frame: one of ``RASTER_FRAMES``; a polar frame shows its surroundings to 45 degrees only.
        pixel_km: pixel side in the frame's metres / 1000.
        bounds: west, south, east, north; west > east crosses +-180.

    Raises:
        InputError: nothing of the box is in the frame, or the picture would be enormous.
    """
    transformer = to_frame(body, frame)
    if not pixel_km > 0:
        raise InputError(f"Pixel size {pixel_km} km.", "Give a positive size in km.")
    west, south, east, north = bounds
    if frame == "north_polar":
        south = max(south, _POLAR_EDGE_DEG)
    if frame == "south_polar":
        north = min(north, -_POLAR_EDGE_DEG)
    if south >= north:
        raise InputError(f"Nothing to show in frame {frame}.", "Choose another frame.")
    lon, round_it = _longitudes(west, east, _FRAMES[frame][1])
    lons, lats = np.meshgrid(lon, np.linspace(south, north, 181))
    x, y = transformer.transform(lons.ravel(), lats.ravel())
    size = pixel_km * 1000
    if round_it and "polar" not in frame:  # whole pixels around the body, none beyond +-180
        half_turn = np.pi * body.radius_m
        size = half_turn / np.ceil(half_turn / size)
    left, top = np.floor(x.min() / size + 1e-6), np.ceil(y.max() / size - 1e-6)
    width = int(np.ceil(x.max() / size - 1e-6) - left)
    height = int(top - np.floor(y.min() / size + 1e-6))
    if width * height > _MAX_PIXELS:
        raise InputError(f"The map would have {width} x {height} pixels.", "Give larger pixels.")
    transform = Affine(size, 0.0, left * size, 0.0, -size, top * size)
    return Grid(body, frame, transform, width, height)


def _longitudes(west: float, east: float, middle: float) -> tuple[Floats, bool]:
    """Longitudes across a box for a map about ``middle``, and whether it goes all the way round.

    A box that holds the map's seam (opposite to the middle) needs the whole width: the seam is
    one meridian with two places on the map.
    """
    width = 360.0 if east - west >= 360 else float(np.mod(east - west, 360))
    start = float(np.mod(west - middle + 180, 360) - 180)  # from -180 at the seam
    if start + width > 180 or width >= 360:
        # Just inside, so that the two ends of the map do not fall together.
        return middle + np.linspace(-180 + 1e-9, 180 - 1e-9, 721), True
    return middle + np.linspace(start, start + width, 721), False


def map_bounds(density: DensityMap) -> Bounds:
    """Box that holds every cell of a map: west, south, east, north; west > east at +-180."""
    if not len(density.cell):
        raise InputError("The map has no cell.", "Nothing was imaged; is the run finished?")
    lon, lat = density.centres()
    reach = moc.cell_side_deg(density.order)
    south, north = max(-90.0, lat.min() - reach), min(90.0, lat.max() + reach)
    widening = reach / max(np.cos(np.radians(max(abs(south), abs(north)))), 1e-6)
    west, east = lon_span(lon)
    span = (east - west) % 360 + 2 * widening
    if span >= 360 - widening or max(abs(south), abs(north)) >= 90:
        return -180.0, float(south), 180.0, float(north)
    west, east = (west - widening + 180) % 360 - 180, (east + widening + 180) % 360 - 180
    return float(west), float(south), float(east), float(north)


def default_pixel_km(density: DensityMap) -> float:
    """A third of a cell's side, rounded to two digits: cells keep their shape on the map."""
    side = np.radians(moc.cell_side_deg(density.order)) * density.body.radius_m / 1000 / 3
    return float(f"{side:.2g}")


def refined(grid: Grid, bounds: Bounds, across: int = 1000) -> Grid:
    """The grid with pixels small enough that a picture of it shows cells with their true edges."""
    times = max(1, round(across / max(grid.width, grid.height)))
    return grid_for(grid.body, grid.frame, grid.transform.a / 1000 / times, bounds)
