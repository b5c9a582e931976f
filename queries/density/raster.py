"""Density maps as cloud-optimised GeoTIFF in a body's IAU frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

from queries import moc
from queries.density.grid import Grid, frame_code
from queries.density.healpix_map import DensityMap
from queries.density.layers import Layer, density_layers, map_tags

Real = TypeVar("Real", np.float32, np.float64)
Bounds = tuple[float, float, float, float]

RASTER_FRAMES = ("equirectangular", "sinusoidal", "north_polar", "south_polar")
_POLAR_EDGE_DEG = 45.0  # a polar frame is drawn from its pole to no further than this latitude
_PIXELS_AT_ONCE = 1_000_000
_MAX_PIXELS = 400_000_000


def sample(
    density: DensityMap, values: NDArray[Real], grid: Grid
) -> Iterator[tuple[int, NDArray[Real]]]:
    """Values of cells at the pixels of a grid, some rows at a time.

    Args:
        values: (k, m) by layer and cell, floating.

    Yields:
        first row, values (k, n_rows, width); NaN where there is no cell.
    """
    step = max(1, _PIXELS_AT_ONCE // grid.width)
    for row in range(0, grid.height, step):
        lon, lat, on_map = grid.lonlat(row, min(step, grid.height - row))
        cell = moc.cells_of_points(lon, lat, density.order)
        place = np.minimum(np.searchsorted(density.cell, cell), len(density.cell) - 1)
        known = on_map & (density.cell[place] == cell)
        block = values[:, place]
        block[:, ~known] = np.nan
        yield row, block


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
    values = np.concatenate([layer.values for layer in chosen]).astype(np.float32)
    names = [(layer, bin_name) for layer in chosen for bin_name in density.bins.names]
    code = frame_code(grid.body, grid.frame)
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": np.nan,
        "count": len(names),
        "width": grid.width,
        "height": grid.height,
        "crs": rasterio.crs.CRS.from_authority("IAU_2015", code),
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
                out.write(block, window=window)
            for band, (layer, bin_name) in enumerate(names, start=1):
                out.set_band_description(band, f"{layer.name} {bin_name}")
                out.set_band_unit(band, layer.unit)
            # GeoTIFF's own keys cannot hold the code of a polar frame: it is kept as a tag too.
            out.update_tags(**map_tags(density), crs_authority=f"IAU_2015:{code}", **(tags or {}))
            factors = [
                2**k for k in range(1, 8) if max(grid.width, grid.height) >= 512 * 2 ** (k - 1)
            ]
            out.build_overviews(factors, Resampling.nearest)
        ready = Path(folder) / "ready.tif"
        rasterio.shutil.copy(
            plain, ready, driver="COG", compress="DEFLATE", level=1, predictor="YES"
        )
        ready.replace(path)
