"""Tie points between an image and the ground: where they come from, and when they are refused."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from cda_db.errors import InputError, SceneError
from ingest.grid import unit_vectors
from ingest.projection import source_frame
from ingest.sphere import Floats

_COLUMNS = {
    "col": ("col", "column", "x_px", "sample", "pixel"),
    "row": ("row", "y_px", "line"),
    "lon": ("lon", "lon_east_deg", "longitude"),
    "lat": ("lat", "lat_deg", "latitude"),
}
# Points within this fraction of their spread from one line fix no map across it.
_FLATTEST = 0.01


@dataclass(frozen=True)
class ControlPoints:
    """Tie points, four arrays of shape (n,).

    Attributes:
        col, row: pixel coordinates; (0, 0) is the top left corner of the image.
        lon, lat: degrees east and planetocentric.
        origin: where they were found, for the record.
    """

    col: Floats
    row: Floats
    lon: Floats
    lat: Floats
    origin: str

    def __len__(self) -> int:
        return len(self.col)


def points_of_file(dataset: DatasetReader, name: str, body: str) -> ControlPoints | None:
    """Ground control points that the file carries; None where it has none."""
    points, crs = dataset.gcps
    if not points:
        return None
    if crs is None:
        raise SceneError(
            f"{name}: its {len(points)} ground control points have no CRS.",
            "Write them as CSV with lon and lat, and give that with --gcps.",
        )
    frame = source_frame(crs.to_wkt(version="WKT2_2019"), name, body=body)
    x, y = np.array([p.x for p in points]), np.array([p.y for p in points])
    lon, lat = frame.to_lonlat(x, y)
    col, row = np.array([p.col for p in points]), np.array([p.row for p in points])
    return ControlPoints(col, row, lon, lat, "ground control points of the file")


def points_of_csv(path: Path) -> ControlPoints:
    """Points from a CSV with a header: col, row, lon (east), lat (planetocentric).

    Raises:
        InputError: unreadable, a column is missing or not numeric.
    """
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}).", "") from error
    names = {key.strip().lower(): key for key in (rows[0] if rows else {}) if key}
    columns = []
    for wanted, aliases in _COLUMNS.items():
        header = next((names[alias] for alias in aliases if alias in names), None)
        if header is None:
            raise InputError(
                f"{path} has no column {wanted!r}.", "The header must name col, row, lon and lat."
            )
        columns.append(_numbers(path, header, [row[header] for row in rows]))
    col, row, lon, lat = columns
    return ControlPoints(col, row, lon, lat, f"CSV {path.name}")


def _numbers(path: Path, header: str, cells: list[str]) -> Floats:
    try:
        values = np.array([float(cell) for cell in cells])
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, column {header}: {error}.", "Every cell is a number.") from error
    if not np.isfinite(values).all():
        raise InputError(f"{path}, column {header} has NaN or infinity.", "Leave those rows out.")
    return values


def points_of_corners(text: str, width: int, height: int) -> ControlPoints:
    """Points from the footprint of an image: "lon lat, lon lat, lon lat, lon lat".

    Args:
        text: corners from the top left one clockwise, as seen in the image.
        width, height: of the image.
    """
    try:
        pairs = [tuple(float(number) for number in part.split()) for part in text.split(",")]
        lon, lat = np.array(pairs, dtype=np.float64).T
    except ValueError as error:
        raise InputError(f"Corners {text!r} cannot be read ({error}).", _CORNERS) from error
    if len(lon) != 4:
        raise InputError(f"{len(lon)} corners are given.", _CORNERS)
    col, row = np.array([0.0, width, width, 0.0]), np.array([0.0, 0.0, height, height])
    return ControlPoints(col, row, lon, lat, "corner coordinates")


_CORNERS = 'Give "lon lat, lon lat, lon lat, lon lat" from the top left corner clockwise.'


def check_points(points: ControlPoints, needed: int, name: str) -> None:
    """Enough points, on the sphere, and not on a line, in the image and on the ground.

    Raises:
        SceneError: they fix no map; the message says why.
    """
    if np.abs(points.lat).max(initial=0.0) > 90:
        raise SceneError(
            f"{name}: a tie point has latitude {points.lat[np.abs(points.lat).argmax()]:g}.",
            "Longitude and latitude look swapped.",
        )
    if len(points) < needed:
        raise SceneError(
            f"{name}: {len(points)} tie points, {needed} are needed.",
            "Add points, or use a lower --order.",
        )
    ground = unit_vectors(points.lon, points.lat)
    for where, places in (
        ("in the image", np.stack([points.col, points.row], 1)),
        ("on the ground", ground),
    ):
        spread = np.linalg.svd(places - places.mean(0), compute_uv=False)
        if spread[1] <= _FLATTEST * spread[0]:
            raise SceneError(
                f"{name}: the tie points lie on a line {where}.",
                "Add points away from that line.",
            )
