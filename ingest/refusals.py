"""What cannot become a scene, each with its own message and remedy; nothing is written before.

The checks that need no pixel: the path, the driver, size, bands, georeference. A truncated file
and one without any valid pixel show when the pixels are read (``ingest.survey``).
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path

import numpy as np
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader

from cda_db.errors import SceneError

MAX_PIXELS = 2**34  # 131,072 x 131,072: the largest published single rasters have 2^33
DRIVERS = ("GTiff", "JP2OpenJPEG", "ISIS3", "ISIS2", "PDS", "PDS4", "VICAR", "PNG", "JPEG", "HFA")
_BY_EXTENSION = {
    ".tif": ("GTiff",),
    ".tiff": ("GTiff",),
    ".gtiff": ("GTiff",),
    ".jp2": ("JP2OpenJPEG",),
    ".j2k": ("JP2OpenJPEG",),
    ".cub": ("ISIS3", "ISIS2"),
    ".xml": ("PDS4",),
    ".vic": ("VICAR",),
    ".vicar": ("VICAR",),
    ".png": ("PNG",),
    ".jpg": ("JPEG",),
    ".jpeg": ("JPEG",),
}
GEOREFERENCE = (
    "Give it one first: cda ingest georeference IMAGE --body BODY --out DIR (from tie points, "
    "a world file or corner coordinates), or register the map-projected product instead."
)


def check_path(path: str) -> Path:
    """The absolute path of an existing, readable, local file of some length."""
    if "://" in path or path.startswith("/vsi"):
        raise SceneError(
            f"{path} is not a local file.",
            "Fetch it first, or say --download FOLDER to have that done.",
        )
    try:
        file = Path(os.path.realpath(Path(path).expanduser(), strict=True))
        size = file.stat().st_size
    except OSError as error:
        raise SceneError(
            f"{path}: {error.strerror or error}.", "Check the path and its permissions."
        ) from error
    if file.is_dir():
        raise SceneError(f"{path} is a folder.", "Give the files in it, or a pattern.")
    if size == 0:
        raise SceneError(f"{path} is empty (0 bytes).", "Fetch it again.")
    if not os.access(file, os.R_OK):
        raise SceneError(f"{path}: Permission denied.", "Make it readable for this user.")
    return file


def open_raster(file: Path, allow_indirect: bool) -> DatasetReader:
    """A dataset by one of ``DRIVERS``, the one that its extension promises."""
    with file.open("rb") as stream:
        head = stream.read(200).lstrip()
    drivers = ["VRT"] if head.startswith(b"<VRTDataset") else list(DRIVERS)
    if drivers == ["VRT"] and not allow_indirect:
        raise SceneError(
            f"{file} is a VRT: its pixels lie in other files.",
            "Register those files, make a GeoTIFF of it (gdal_translate), or say "
            "--allow-indirect if they never change.",
        )
    try:
        with warnings.catch_warnings():
            # No georeference is refused below, or the caller's business (georeferencing).
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = DatasetReader(file, driver=drivers)
    except RasterioIOError as error:
        raise SceneError(
            f"{file} cannot be read as a raster ({error}).",
            f"It is broken or not one of {', '.join(DRIVERS)}: fetch it again or convert it.",
        ) from error
    promised = _BY_EXTENSION.get(file.suffix.lower())
    if promised is not None and dataset.driver not in (*promised, "VRT"):
        driver = dataset.driver
        dataset.close()
        raise SceneError(
            f"{file} is a {driver} file by content, not {promised[0]} as its name says.",
            "Rename it, or fetch the file that belongs under that name.",
        )
    _check_elsewhere(dataset, file, allow_indirect)
    return dataset


def _check_elsewhere(dataset: DatasetReader, file: Path, allow_indirect: bool) -> None:
    if allow_indirect:
        return
    outside = [name for name in dataset.files if Path(name).resolve().parent != file.parent]
    if outside:
        dataset.close()
        raise SceneError(
            f"{file} takes pixels or georeference from {outside[0]}, outside its own folder.",
            "Put the files side by side, or say --allow-indirect if they never change.",
        )


def check_raster(dataset: DatasetReader, file: Path) -> None:
    """Size, bands, CRS and transform. Raises SceneError."""
    pixels = dataset.width * dataset.height
    if pixels == 0 or dataset.count == 0:
        raise SceneError(f"{file} has no pixels.", "Fetch it again.")
    if pixels > MAX_PIXELS:
        raise SceneError(
            f"{file} is {dataset.width:,} x {dataset.height:,} pixels, more than "
            f"{MAX_PIXELS:,} in all.",
            "Cut it into several scenes that overlap (gdal_translate -srcwin).",
        )
    if any(np.issubdtype(np.dtype(kind), np.complexfloating) for kind in _dtypes(dataset)):
        raise SceneError(
            f"{file} has complex bands.", "Make its amplitude a real band (gdal_calc.py)."
        )
    check_georeference(dataset, file)


def _dtypes(dataset: DatasetReader) -> list[str]:
    # rasterio names GDAL's complex int16 "complex_int16", which NumPy does not know.
    return ["complex64" if kind.startswith("complex") else kind for kind in dataset.dtypes]


def check_georeference(dataset: DatasetReader, file: Path) -> None:
    """A CRS and an invertible transform, or the reason why not."""
    if dataset.crs is None:
        gcps = len(dataset.gcps[0])
        found = f"; it has {gcps} ground control points" if gcps else ""
        raise SceneError(f"{file} has no CRS: it is not map-projected{found}.", GEOREFERENCE)
    t = dataset.transform
    numbers = (t.a, t.b, t.c, t.d, t.e, t.f)
    if not all(math.isfinite(value) for value in numbers):
        raise SceneError(f"{file}: its transform has NaN or infinite numbers.", GEOREFERENCE)
    if t.a * t.e - t.b * t.d == 0:
        raise SceneError(f"{file}: its transform is singular {numbers}.", GEOREFERENCE)
    if t.is_identity:
        raise SceneError(f"{file} has a CRS but no transform.", GEOREFERENCE)


def check_latitudes(lowest_deg: float, highest_deg: float, slack_deg: float, file: Path) -> None:
    """Latitudes of a map's corners within +-90, but for ``slack_deg`` (a pixel or two)."""
    if max(highest_deg, -lowest_deg) > 90.0 + slack_deg:
        raise SceneError(
            f"{file}: its rows run from latitude {lowest_deg:.3f} to {highest_deg:.3f}.",
            "Longitude and latitude look swapped, or the transform is in other units than the "
            "CRS: correct it (gdal_edit.py -a_ullr WEST NORTH EAST SOUTH).",
        )
