"""A raster file becomes scenes: opened, refused or described, and identified by content.

``open_scenes`` is the one way in. Identity is the file's sha256, together with the view, the
shading and the stated read options where there are any, so the same file seen in the same way
is the same scene wherever it lies.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS
from pyproj.crs import ProjectedCRS
from rasterio.io import DatasetReader

from cda_db.bodies import Body
from cda_db.errors import InputError, SceneError
from cda_db.margins import Neighbour
from cda_db.scenes import Scene
from ingest import coverage
from ingest.brightness import shaded_limits
from ingest.grid import SceneGrid
from ingest.labels import frame_hints, label_record, read_label
from ingest.outline import outline
from ingest.products import check_name
from ingest.projection import SourceFrame, source_frame
from ingest.radiometry import image_radiometry
from ingest.seams import SeamMap, read_seam_map, seam_map_beside
from ingest.seen import SeenPixels
from ingest.shading import Shading
from ingest.source import Placed, RasterSource, ReadOptions
from ingest.sphere import SphereProjection
from ingest.survey import survey
from ingest.views import View, choose_views

_READ_AT_ONCE = 2**22


def open_scenes(
    path: str,
    *,
    body: str | None = None,
    kind: str = "image",
    options: ReadOptions | None = None,
    altitude_deg: float = Shading.altitude_deg,
) -> tuple[Scene, ...]:
    """The scenes of one raster file: one, or several views of a global one.

    Args:
        path: a file.
        body: the body that the caller expects; Earth must be named.
        kind: "image", or "elevation" to be shaded for the detector.
        options: how to read it where the file leaves a choice.
        altitude_deg: height of the light for an elevation model.

    Raises:
        SceneError: the file cannot become a scene; the message says why and what to do.
    """
    if kind not in ("image", "elevation"):
        raise InputError(f"Unknown kind {kind!r}.", "Use image or elevation.")
    options = options or ReadOptions()
    if kind == "elevation" and options.light_deg is not None:
        raise InputError(
            f"A light from {options.light_deg:g} degrees is stated for elevations.",
            "They are shaded here, from the west; leave it out.",
        )
    with RasterSource(path, options) as source:
        label = read_label(source.dataset)
        frame = _frame(source, label, body)
        views = choose_views(source, frame)
        shading = _shading(source, altitude_deg) if kind == "elevation" else None
        files = file_records(source.dataset, source.path)
        record = {**label_record(source.path, label, source.dataset.tags()), "files": files}
        if frame.notes:
            record["normalised"] = list(frame.notes)
        file = seam_map_beside(source.path) if "murray_tile" in record else None
        seams = read_seam_map(file, frame.body.name) if file is not None else None
        if seams is not None:
            record["seams"] = seams.as_dict()
        return _describe(source, frame, views, shading, record, seams)


def _frame(source: RasterSource, label: dict[str, Any], body: str | None) -> SourceFrame:
    wkt = source.dataset.crs.to_wkt(version="WKT2_2019")
    hints = frame_hints(label, source.dataset.driver, source.options.longitude)
    return source_frame(wkt, str(source.path), body=body, hints=hints)


def _shading(source: RasterSource, altitude_deg: float) -> Shading:
    stated, scale = source.options.z_unit_m, float(source.dataset.scales[source.bands[0] - 1])
    return Shading(altitude_deg=altitude_deg, z_unit_m=stated if stated is not None else scale)


def _describe(
    source: RasterSource,
    frame: SourceFrame,
    views: tuple[View, ...],
    shading: Shading | None,
    record: dict[str, Any],
    seams: SeamMap | None,
) -> tuple[Scene, ...]:
    seen = [
        SeenPixels(
            source,
            frame,
            view.grid,
            as_is=view.as_is,
            smooth_px=shading.smooth_px if shading is not None else None,
        )
        for view in views
    ]
    found = survey(source)
    validity = found.validity
    if seams is not None:
        validity = coverage.within_seams(seen[0], validity, seams)
    scenes = []
    for view, pixels in zip(views, seen, strict=True):
        order = coverage.coverage_order(view.grid)
        grounds = coverage.level_grounds(pixels, validity, order)
        (_, ranges, border), *coarser = grounds
        if len(ranges) == 0 and len(border) == 0 and len(views) > 1:
            continue
        if shading is None:
            radiometry = image_radiometry(found.sample, source.dtype)
        else:
            radiometry = shaded_limits(pixels, shading)
        footprint = outline(pixels, validity)
        check_name(source.path, record, frame.body.name, footprint)
        scenes.append(
            _scene(source, frame, view, shading, record)
            | {
                "radiometry": radiometry,
                "coverage_order": order,
                "coverage": ranges,
                "border": border,
                "coarser": tuple(coarser),
                "footprint": footprint,
            }
        )
    return tuple(Scene(**scene) for scene in scenes)


def _scene(
    source: RasterSource,
    frame: SourceFrame,
    view: View,
    shading: Shading | None,
    record: dict[str, Any],
) -> dict[str, Any]:
    """The fields of a scene that need no pixels."""
    stated = source.options.as_dict()
    plain = view.as_is and not stated
    seen = None if plain else view.as_dict() | {"options": stated}
    lit = shading.as_dict() if shading is not None else None
    file_sha256 = bytes.fromhex(record["files"][0]["sha256"])
    projection = view.grid.projection
    return {
        "sha256": scene_sha256(file_sha256, record["files"][1:], seen, lit),
        "file_sha256": file_sha256,
        "name": source.path.stem if view.as_is else f"{source.path.stem}-{view.name}",
        "path": str(source.path),
        "size_bytes": record["files"][0]["size_bytes"],
        "body": frame.body.name,
        "driver": source.dataset.driver,
        "dtype": source.dtype,
        "kind": "image" if shading is None else "elevation",
        "view": seen,
        "shading": lit,
        "width": view.grid.width,
        "height": view.grid.height,
        "transform": view.grid.transform,
        "projection": projection.name,
        "lon_0_deg": projection.lon_0_deg,
        "lat_ts_deg": projection.lat_ts_deg,
        "radius_m": projection.radius_m,
        "crs_wkt": seen_crs(frame.body, projection).to_wkt(),
        "source_crs_wkt": source.dataset.crs.to_wkt(version="WKT2_2019"),
        "pixel_scale_m": view.grid.pixel_scale_m(),
        "label": record,
    }


def scene_sha256(
    file_sha256: bytes,
    sidecars: list[dict[str, Any]],
    view: dict[str, Any] | None,
    shading: dict[str, Any] | None,
) -> bytes:
    """Identity of a scene: the file's own hash, or that with how it is seen."""
    if view is None and shading is None and not sidecars:
        return file_sha256
    seen = {"view": view, "shading": shading}
    if sidecars:
        seen["sidecars"] = {"sha256": sorted(item["sha256"] for item in sidecars)}
    text = json.dumps(seen, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(file_sha256 + text.encode()).digest()


def file_records(dataset: DatasetReader, path: Path) -> list[dict[str, Any]]:
    """Name, size, time and sha256 of the file and, after it, of what GDAL reads beside it.

    Overviews are left out: they hold nothing that the file does not.
    """
    beside = sorted({Path(name).resolve() for name in dataset.files} - {path})
    files = [path, *(name for name in beside if name.suffix.lower() != ".ovr")]
    return [_file_record(file, path.parent) for file in files if file.is_file()]


def _file_record(path: Path, folder: Path) -> dict[str, Any]:
    before = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_READ_AT_ONCE):
            digest.update(chunk)
    return {
        "name": os.path.relpath(path, folder),
        "size_bytes": before.st_size,
        "mtime_ns": before.st_mtime_ns,
        "sha256": digest.hexdigest(),
    }


def check_unchanged(scene: Scene) -> None:
    """Refuse a scene whose file was replaced after registration.

    Size and time are compared; where only the time differs the file is hashed again.

    Raises:
        SceneError: the file is gone or its content differs.
    """
    for record in scene.label["files"]:
        path = Path(scene.path).parent / record["name"]
        try:
            now = path.stat()
        except OSError as error:
            raise SceneError(
                f"{path}, the file of scene {scene.name}, cannot be read ({error.strerror}).",
                "Put it back where it was registered.",
            ) from error
        same = now.st_size == record["size_bytes"]
        if same and now.st_mtime_ns == record["mtime_ns"]:
            continue
        if not same or _file_record(path, path.parent)["sha256"] != record["sha256"]:
            raise SceneError(
                f"{path} is not the file any more that scene {scene.name} was registered from.",
                "Put the registered file back, or register this one under another name.",
            )


def scene_grid(scene: Scene) -> SceneGrid:
    """The pixel grid of a registered scene."""
    projection = SphereProjection(
        scene.projection,  # type: ignore[arg-type]  # the table's constraint has checked it
        scene.radius_m,
        scene.lon_0_deg,
        scene.lat_ts_deg,
    )
    return SceneGrid(projection, scene.transform, scene.width, scene.height)


@contextmanager
def open_seen(scene: Scene, neighbours: Sequence[Neighbour] = ()) -> Iterator[SeenPixels]:
    """The pixels of a registered scene, read as they were when it was registered.

    Past its edges lie those of its neighbours, raw as in their files: the scene's own stretch
    is for all of them.
    """
    view = scene.view or {}
    with ExitStack() as stack:
        source = stack.enter_context(_source(scene))
        source.around = tuple(
            Placed(stack.enter_context(_source(other.scene)), other.x_px, other.y_px)
            for other in neighbours
        )
        frame = _frame(source, read_label(source.dataset), scene.body)
        yield SeenPixels(
            source,
            frame,
            scene_grid(scene),
            as_is=view.get("name", "as_is") == "as_is",
            smooth_px=scene.shading["smooth_px"] if scene.shading is not None else None,
        )


def _source(scene: Scene) -> RasterSource:
    return RasterSource(scene.path, ReadOptions(**(scene.view or {}).get("options", {})))


def seen_crs(body: Body, projection: SphereProjection) -> CRS:
    """The CRS of a projection on the body's sphere: the IAU code where there is one."""
    polar = {90.0: "north_polar", -90.0: "south_polar"}.get(projection.lat_ts_deg)
    if projection.name == "lonlat":
        return body.crs()
    if np.isclose(projection.lon_0_deg, 0.0):
        if projection.name == "polar_stereographic" and polar is not None:
            return body.crs(polar)
        if projection.name in ("equirectangular", "sinusoidal") and projection.lat_ts_deg == 0:
            return body.crs(projection.name)
    return ProjectedCRS(
        conversion=CRS.from_proj4(projection.proj4()).coordinate_operation,
        name=f"{body.crs().name} / {projection.name.replace('_', ' ')}, "
        f"clon = {projection.lon_0_deg:g}, true scale at {projection.lat_ts_deg:g}",
        geodetic_crs=body.crs(),
    )
