"""Density maps as cloud-optimised GeoTIFF in a body's IAU frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.windows import Window

from cda_db.bodies import Body
from cda_db.errors import InputError
from queries import moc
from queries.density.healpix_map import DensityMap
from queries.density.layers import Layer, density_layers, map_tags
from queries.rings import lon_span

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

RASTER_FRAMES = ("equirectangular", "sinusoidal", "north_polar", "south_polar")
_POLAR_EDGE_DEG = 45.0  # a polar frame is drawn from its pole to no further than this latitude
_PIXELS_AT_ONCE = 1_000_000
_MAX_PIXELS = 400_000_000


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
        frame = Transformer.from_crs(self.body.crs(), self.body.crs(self.frame), always_xy=True)
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
    if frame not in RASTER_FRAMES:
        raise InputError(f"Unknown frame {frame!r}.", f"Use one of {', '.join(RASTER_FRAMES)}.")
    if not pixel_km > 0:
        raise InputError(f"Pixel size {pixel_km} km.", "Give a positive size in km.")
    west, south, east, north = bounds
    if frame == "north_polar":
        south = max(south, _POLAR_EDGE_DEG)
    if frame == "south_polar":
        north = min(north, -_POLAR_EDGE_DEG)
    if south >= north:
        raise InputError(f"Nothing to show in frame {frame}.", "Choose another frame.")
    round_it = west > east or east - west >= 360  # +-180 is inside: both ends of the map are
    if round_it:
        west, east = -180.0, 180.0
    lons, lats = np.meshgrid(np.linspace(west, east, 721), np.linspace(south, north, 181))
    to_frame = Transformer.from_crs(body.crs(), body.crs(frame), always_xy=True)
    x, y = to_frame.transform(lons.ravel(), lats.ravel())
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


def sample(density: DensityMap, values: Floats, grid: Grid) -> Iterator[tuple[int, Floats]]:
    """Values of cells at the pixels of a grid, some rows at a time.

    Args:
        values: (k, m) by layer and cell.

    Yields:
        first row, values (k, n_rows, width); NaN where there is no cell.
    """
    step = max(1, _PIXELS_AT_ONCE // grid.width)
    for row in range(0, grid.height, step):
        lon, lat, on_map = grid.lonlat(row, min(step, grid.height - row))
        cell = moc.cells_of_points(lon, lat, density.order)
        place = np.minimum(np.searchsorted(density.cell, cell), len(density.cell) - 1)
        known = on_map & (density.cell[place] == cell)
        yield row, np.where(known, values[:, place], np.nan)


def write_raster(
    path: Path,
    density: DensityMap,
    grid: Grid,
    layers: Sequence[Layer] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    """Write a map as a cloud-optimised GeoTIFF, one float32 band a layer and bin.

    Bands are named ``density 1-1.41 km`` and carry their unit; nodata (NaN) is ground that was
    not imaged. Overviews take the nearest cell: densities are never averaged.

    Args:
        layers: as of ``density_layers``, which is the default.
        tags: more metadata of the file, e.g. the run's name.
    """
    chosen = density_layers(density) if layers is None else layers
    values = np.concatenate([layer.values for layer in chosen])
    names = [(layer, bin_name) for layer in chosen for bin_name in density.bins.names]
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": np.nan,
        "count": len(names),
        "width": grid.width,
        "height": grid.height,
        "crs": rasterio.crs.CRS.from_authority("IAU_2015", grid.body.iau_code(grid.frame)),
        "transform": grid.transform,
        "tiled": True,
        "bigtiff": "if_safer",
        "sparse_ok": True,
    }
    # A cloud-optimised file is written by copying: its overviews come before its pixels.
    with TemporaryDirectory(dir=path.parent, prefix=".density-") as folder:
        plain = Path(folder) / "plain.tif"
        with rasterio.open(plain, "w", **profile) as out:
            for row, block in sample(density, values, grid):
                window = Window(0, row, grid.width, block.shape[1])
                out.write(block.astype(np.float32), window=window)
            for band, (layer, bin_name) in enumerate(names, start=1):
                out.set_band_description(band, f"{layer.name} {bin_name}")
                out.set_band_unit(band, layer.unit)
            # GeoTIFF's own keys cannot hold the code of a polar frame: it is kept as a tag too.
            code = f"IAU_2015:{grid.body.iau_code(grid.frame)}"
            out.update_tags(**map_tags(density), crs_authority=code, **(tags or {}))
            factors = [
                2**k for k in range(1, 8) if max(grid.width, grid.height) >= 512 * 2 ** (k - 1)
            ]
            out.build_overviews(factors, Resampling.nearest)
        ready = Path(folder) / "ready.tif"
        rasterio.shutil.copy(plain, ready, driver="COG", compress="DEFLATE", predictor="YES")
        ready.replace(path)
