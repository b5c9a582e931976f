"""A scene as large as a CTX mosaic tile through registration and three levels: peak memory.

    python -m benchmarks.large_scene --side 47420 --format json

Writes a tiled GeoTIFF of real-looking greys (LZW, 5 m/px, nodata corners), registers it, and reads
every tile of levels 32, 8 and 1. Peak resident memory is this process's own.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from cda_db.output import format_option, show_rows

LEVELS = ((32.0, 208), (8.0, 96), (1.0, 96))
TILE, BLOCK = 416, 512


def write_scene(path: Path, side: int) -> None:
    """One block of smooth noise, repeated; the scene's corner blocks are nodata."""
    import rasterio
    from rasterio.transform import Affine
    from rasterio.windows import Window
    from scipy import ndimage

    noise = np.random.default_rng(0).normal(size=(BLOCK, BLOCK))
    smooth = ndimage.gaussian_filter(noise, 3, mode="wrap")
    block = np.clip(120 + 400 * smooth, 1, 255).astype(np.uint8)
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint8",
        "crs": "IAU_2015:49910", "transform": Affine(5, 0, 8e6, 0, -5, 1e6), "tiled": True,
        "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "lzw", "nodata": 0,
        "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        for row in range(0, side, BLOCK):
            for col in range(0, side, BLOCK):
                size = (min(BLOCK, side - col), min(BLOCK, side - row))
                grey = block[: size[1], : size[0]] * (max(row, col) >= 4 * BLOCK)
                out.write(grey.astype(np.uint8), 1, window=Window(col, row, *size))


def peak_mib() -> float:
    """Largest resident memory of this process so far, MiB (Linux counts kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(side: int, folder: Path) -> list[dict[str, Any]]:
    """Register and read one scene; a row a stage: tiles, seconds, peak memory so far."""
    from ingest.reader import TileReader
    from ingest.scene import open_scenes

    path = folder / "large.tif"
    write_scene(path, side)
    rows = [{"stage": "write", "tiles": 0, "seconds": 0.0, "peak_mib": peak_mib()}]
    start = time.perf_counter()
    (scene,) = open_scenes(str(path))
    took = time.perf_counter() - start
    rows.append({"stage": "register", "tiles": 0, "seconds": took, "peak_mib": peak_mib()})
    for level, overlap in LEVELS:
        start, tiles = time.perf_counter(), 0
        with TileReader(scene, level, TILE, overlap) as reader:
            for row in reader.rows():
                tiles += len(reader.read_row(row)[0])
        took = time.perf_counter() - start
        rows.append(
            {"stage": f"level {level:g}", "tiles": tiles, "seconds": took, "peak_mib": peak_mib()}
        )
    return rows


@click.command()
@click.option("--side", type=click.IntRange(64), default=47_420, show_default=True, help="Pixels.")
@click.option("--folder", type=click.Path(file_okay=False), help="For the scene (3 GB of disk).")
@format_option
def main(side: int, folder: str | None, output_format: str) -> None:
    """Peak memory of a large scene through registration and all levels.

    \b
    Example:
      python -m benchmarks.large_scene --side 47420 --format json
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        show_rows(measure(side, Path(scratch)), output_format)


if __name__ == "__main__":
    main()
