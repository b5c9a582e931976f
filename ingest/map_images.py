"""Images to map-projected GeoTIFFs, one call an image: which way, what came out, how well."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cda_db.bodies import get_body
from cda_db.errors import InputError, SceneError
from ingest.control_points import (
    ControlPoints,
    points_of_corners,
    points_of_csv,
    points_of_file,
)
from ingest.georeference import FittedPixels, fit_points, fitted_grid, rescaled, write_map
from ingest.labels import RECORD_TAG, frame_hints, label_record, read_label
from ingest.projection import source_frame
from ingest.refusals import GEOREFERENCE, check_georeference
from ingest.scene import file_records
from ingest.seen import SeenPixels
from ingest.source import RasterSource, ReadOptions
from ingest.views import choose_views


@dataclass(frozen=True)
class MapRequest:
    """How images are to be mapped.

    Attributes:
        body: the body that they show.
        gcps: CSV of tie points (col, row, lon, lat), or None.
        corners: "lon lat, ..." of the four corners, or None.
        crs: CRS of an image that has a transform (a world file) but no CRS, or None.
        pixel_m: pixel size of the output in map metres; None keeps the image's.
        order: of the polynomials for tie points.
        max_rms_px: an image whose tie points fit worse is refused; None takes any.
        options: how the files are read.
    """

    body: str
    gcps: Path | None = None
    corners: str | None = None
    crs: str | None = None
    pixel_m: float | None = None
    order: int = 1
    max_rms_px: float | None = None
    options: ReadOptions = field(default_factory=ReadOptions)


def map_image(path: str, folder: Path, request: MapRequest) -> list[dict[str, Any]]:
    """Write the maps of one image into a folder.

    Returns:
        One record a map: image, map (path), method, projection, pixel_m, valid pixels, and the
        fit's figures where tie points were used.

    Raises:
        SceneError: the image cannot be placed; nothing is written.
    """
    get_body(request.body)
    with RasterSource(path, request.options, georeferenced=False) as source:
        label = label_record(source.path, read_label(source.dataset))
        record = {
            "source": source.path.name,
            "source_sha256": file_records(source.dataset, source.path)[0]["sha256"],
            "label": label,
        }
        points = _points(source, request)
        if points is not None:
            maps, how = _fitted(source, points, request)
        else:
            maps, how = _projected(source, request)
        record |= how
        return [
            _write(seen, folder / f"{source.path.stem}{suffix}.tif", request, record)
            for suffix, seen in maps
        ]


def _points(source: RasterSource, request: MapRequest) -> ControlPoints | None:
    if request.gcps is not None and request.corners is not None:
        raise InputError("Both --gcps and --corners are given.", "Give one of them.")
    if request.gcps is not None:
        return points_of_csv(request.gcps)
    if request.corners is not None:
        return points_of_corners(request.corners, source.width, source.height)
    if source.dataset.crs is None and request.crs is None:
        return points_of_file(source.dataset, str(source.path), request.body)
    return None


def _fitted(
    source: RasterSource, points: ControlPoints, request: MapRequest
) -> tuple[list[tuple[str, SeenPixels]], dict[str, Any]]:
    fit = fit_points(points, request.body, str(source.path), request.order)
    report = fit.report()
    if request.max_rms_px is not None and report["rms_px"] > request.max_rms_px:
        raise SceneError(
            f"{source.path}: its tie points fit to {report['rms_px']:.2f} px, worse than "
            f"{request.max_rms_px:g} px.",
            "Correct the points, try a higher --order, or allow more with --max-rms.",
        )
    seen = FittedPixels(source, fit, fitted_grid(fit, source, request.pixel_m))
    return [("", seen)], {"method": points.origin, "fit": report}


def _projected(
    source: RasterSource, request: MapRequest
) -> tuple[list[tuple[str, SeenPixels]], dict[str, Any]]:
    if source.dataset.crs is None and request.crs is None:
        raise SceneError(
            f"{source.path} has no CRS, no ground control points and no map label.",
            "Give tie points (--gcps FILE), --corners, or the --crs of its world file.",
        )
    name = str(source.path)
    if request.crs is None:
        check_georeference(source.dataset, source.path)
        wkt = source.dataset.crs.to_wkt(version="WKT2_2019")
    else:
        if source.dataset.transform.is_identity:
            raise SceneError(f"{name}: a CRS is given, but it has no world file.", GEOREFERENCE)
        wkt = _user_wkt(request.crs)
    label = read_label(source.dataset)
    hints = frame_hints(label, source.dataset.driver, request.options.longitude)
    frame = source_frame(wkt, name, body=request.body, hints=hints)
    maps = []
    for view in choose_views(source, frame):
        grid = rescaled(view.grid, request.pixel_m)
        as_is = view.as_is and grid == view.grid
        suffix = "" if view.as_is else f"-{view.name}"
        maps.append((suffix, SeenPixels(source, frame, grid, as_is=as_is)))
    return maps, {"method": "map projection", "source_crs": wkt, "normalised": list(frame.notes)}


def _user_wkt(text: str) -> str:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return str(CRS.from_user_input(text).to_wkt())
    except CRSError as error:
        raise InputError(f"CRS {text!r} is not known ({error}).", "E.g. IAU_2015:49900.") from error


def _write(
    seen: SeenPixels, path: Path, request: MapRequest, record: dict[str, Any]
) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.resolve() == seen.source.path:
        raise InputError(f"{path} is the image itself.", "Give another folder with --out.")
    part = path.with_name(f".{path.name}.part")
    try:
        n_valid = write_map(seen, part, request.body, {RECORD_TAG: json.dumps(record)})
        if n_valid == 0:
            raise SceneError(
                f"{seen.source.path}: no pixel of it falls on its map.",
                "Check the tie points and the nodata value.",
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return {
        "image": str(seen.source.path),
        "map": str(path),
        "method": record["method"],
        "projection": seen.grid.projection.name,
        "width": seen.grid.width,
        "height": seen.grid.height,
        "pixel_m": seen.grid.pixel_scale_m(),
        "valid_pixels": n_valid,
        **record.get("fit", {}),
    }
