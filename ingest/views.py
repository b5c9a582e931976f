"""How a file is seen: as it is, as a band and two polar caps, or re-projected.

A detector needs round craters. ``stretch`` is the long over the short axis that the map gives to
a small circle. A map whose stretch stays under ``STRETCH_LIMIT`` is taken as it is. Otherwise:

* a raster around the whole sphere is seen as a Mercator band between +-``BAND_LAT_DEG``, that
  goes on past +-180 degrees by ``WRAP_DEG``, and two polar stereographic caps down to
  ``CAP_LAT_DEG``; band and caps, and the band's two ends, overlap by 15 degrees, so that a crater
  up to that size is whole in one of them. (An equirectangular band stretches craters 2.4 times
  at its edges; on the shaded Moon it finds 0.25 instead of 0.28 of those of 30-60 km.)
* a regional one on an ellipsoid whose map is conformal is seen on the like map of the sphere;
  any other as polar stereographic where it reaches past 60 degrees, and else as equirectangular
  with its latitude of true scale in its middle, or as Mercator (whose stretch is 1 everywhere)
  where that one would still exceed ``EQUIRECTANGULAR_LIMIT``.

A view keeps the file's resolution: its pixel is as long as the longer side of the file's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import SceneError
from ingest.grid import SceneGrid
from ingest.projection import SourceFrame
from ingest.refusals import check_latitudes
from ingest.source import RasterSource
from ingest.sphere import Floats, SphereProjection, wrap_lon

STRETCH_LIMIT = 1.25
EQUIRECTANGULAR_LIMIT = 1.1
BAND_LAT_DEG = 65.0
CAP_LAT_DEG = 50.0
WRAP_DEG = 15.0
POLAR_FROM_DEG = 60.0
_SAMPLES = 33


@dataclass(frozen=True)
class View:
    """One way of seeing a file.

    Attributes:
        name: as_is, band, north_cap, south_cap, or the projection of a regional view.
        grid: its pixels.
        cut_edges: sides at which the view ends but the picture goes on in another view; a box
            there is cut, not incomplete.
    """

    name: str
    grid: SceneGrid
    cut_edges: tuple[str, ...] = ()

    @property
    def as_is(self) -> bool:
        """Whether the pixels are the file's own."""
        return self.name == "as_is"

    def as_dict(self) -> dict[str, Any]:
        """JSON values that make the same view again."""
        projection = self.grid.projection
        return {
            "name": self.name,
            "projection": projection.name,
            "lon_0_deg": projection.lon_0_deg,
            "lat_ts_deg": projection.lat_ts_deg,
            "transform": list(self.grid.transform),
            "width": self.grid.width,
            "height": self.grid.height,
            "cut_edges": list(self.cut_edges),
        }


def choose_views(source: RasterSource, frame: SourceFrame) -> tuple[View, ...]:
    """The views in which a file's craters are round, by the rules above."""
    source.enable_wrap(frame.period)
    lon, lat = _sample_lonlat(source, frame)
    low, high = float(np.min(lat)), float(np.max(lat))
    slack = 2.5 * (high - low) / min(source.width, source.height)  # a pixel or two
    check_latitudes(low, high, slack if slack < 5.0 else 0.0, source.path)
    around = source.wrap_columns is not None
    native = native_grid(source, frame)
    if around and np.max(np.abs(lat)) > CAP_LAT_DEG:
        return _global_views(source, frame, lat)
    if native is not None and np.max(_stretch_samples(native)) <= STRETCH_LIMIT:
        return (View("as_is", native),)
    return _regional_views(source, frame, lon, lat)


def native_grid(source: RasterSource, frame: SourceFrame) -> SceneGrid | None:
    """The file's own grid on the IAU sphere, or None where its map is no sphere projection."""
    if frame.native is None:
        return None
    t, (projection, (sx, sy), (ox, oy)) = source.dataset.transform, frame.native
    transform = (sx * t.a, sx * t.b, sx * t.c + ox, sy * t.d, sy * t.e, sy * t.f + oy)
    return SceneGrid(projection, transform, source.width, source.height)


def file_lonlat(
    source: RasterSource, frame: SourceFrame, col: Floats, row: Floats
) -> tuple[Floats, Floats]:
    """Longitude and latitude of the file's pixel coordinates."""
    t = source.dataset.transform
    return frame.to_lonlat(t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f)


def _sample_lonlat(source: RasterSource, frame: SourceFrame) -> tuple[Floats, Floats]:
    row, col = np.meshgrid(
        np.linspace(0, source.height, _SAMPLES),
        np.linspace(0, source.width, _SAMPLES),
        indexing="ij",
    )
    lon, lat = file_lonlat(source, frame, col, row)
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        raise SceneError(
            f"{source.path}: no pixel of it lies on the sphere by its CRS and transform.",
            "The transform is in other units than the CRS, or of another map: correct it.",
        )
    return lon[known], lat[known]


def _stretch_samples(grid: SceneGrid) -> NDArray[np.float64]:
    # Half a pixel inside, so that the differences do not step off the map.
    row, col = np.meshgrid(
        np.linspace(0.5, grid.height - 0.5, _SAMPLES),
        np.linspace(0.5, grid.width - 0.5, _SAMPLES),
        indexing="ij",
    )
    return grid.stretch(col, row)


def _ground_pixel(source: RasterSource, frame: SourceFrame) -> float:
    """The longer side of the file's central pixel in metres of ground."""
    centre = (source.width / 2, source.height / 2)
    sides = []
    for dc, dr in ((0.5, 0.0), (0.0, 0.5)):
        lon, lat = file_lonlat(
            source,
            frame,
            np.array([centre[0] - dc, centre[0] + dc]),
            np.array([centre[1] - dr, centre[1] + dr]),
        )
        sides.append(frame.body.geod().inv(lon[0], lat[0], lon[1], lat[1])[2])
    if not np.isfinite(max(sides)) or max(sides) == 0:
        raise SceneError(
            f"{source.path}: its central pixel has no size on the ground.",
            "The transform is in other units than the CRS, or of another map: correct it.",
        )
    return float(max(sides))


def _global_views(source: RasterSource, frame: SourceFrame, lat: Floats) -> tuple[View, ...]:
    pixel = _ground_pixel(source, frame)
    radius = frame.body.radius_m
    south, north = float(lat.min()), float(lat.max())
    caps = [("north_cap", 1.0, "top", north), ("south_cap", -1.0, "bottom", -south)]
    caps = [cap for cap in caps if cap[3] > CAP_LAT_DEG]
    band = SphereProjection("mercator", radius)
    bounds = (-180 - WRAP_DEG, max(south, -BAND_LAT_DEG), 180 + WRAP_DEG, min(north, BAND_LAT_DEG))
    cut = ("left", "right", *(side for _, _, side, reach in caps if reach > BAND_LAT_DEG))
    views = [View("band", _box(band, bounds, pixel), cut)]
    everywhere = ("left", "top", "right", "bottom")
    views += [View(name, _cap(radius, sign, pixel), everywhere) for name, sign, _, _ in caps]
    return tuple(views)


def _box(
    projection: SphereProjection, bounds: tuple[float, float, float, float], pixel_m: float
) -> SceneGrid:
    """A north-up grid of a cylindrical map over west, south, east, north (degrees)."""
    west, south, east, north = bounds
    step = pixel_m / projection.unit_m
    x_per_degree = (projection.period or 360.0) / 360.0
    _, y = projection.forward(np.zeros(2), np.array([south, north]))
    # Whole pixels, so that the box is the same to the last digit on every machine.
    left, right = np.floor(west * x_per_degree / step), np.ceil(east * x_per_degree / step)
    bottom, top = np.floor(y[0] / step + 1e-6), np.ceil(y[1] / step - 1e-6)
    transform = (step, 0.0, float(left * step), 0.0, -step, float(top * step))
    return SceneGrid(projection, transform, int(right - left), int(top - bottom))


def _cap(radius_m: float, sign: float, pixel_m: float) -> SceneGrid:
    projection = SphereProjection("polar_stereographic", radius_m, 0.0, 90.0 * sign)
    _, y = projection.forward(np.zeros(1), np.array([CAP_LAT_DEG * sign]))
    half = int(np.ceil(abs(float(y[0])) / pixel_m))
    transform = (pixel_m, 0.0, -half * pixel_m, 0.0, -pixel_m, half * pixel_m)
    return SceneGrid(projection, transform, 2 * half, 2 * half)


def _regional_views(
    source: RasterSource, frame: SourceFrame, lon: Floats, lat: Floats
) -> tuple[View, ...]:
    """The like conformal map of a file on an ellipsoid; else by latitude, one or several."""
    if frame.kindred is not None and frame.kindred[0].name in ("mercator", "polar_stereographic"):
        projection, (scale, _), _ = frame.kindred
        step = abs(source.dataset.transform.a * scale)
        return (View("on_sphere", fit_grid(projection, lon, lat, step)),)
    pixel, radius = _ground_pixel(source, frame), frame.body.radius_m
    low, high = float(lat.min()), float(lat.max())
    lon_0 = round(_middle_longitude(lon), 3)
    views = []
    for name, sign, edge, reach in (("north", 1.0, "bottom", high), ("south", -1.0, "top", -low)):
        if reach > POLAR_FROM_DEG:
            near = lat * sign >= CAP_LAT_DEG
            projection = SphereProjection("polar_stereographic", radius, lon_0, 90.0 * sign)
            grid = fit_grid(projection, lon[near], lat[near], pixel)
            # The edge towards the equator only: the outline on a polar map is not along rows.
            goes_on = (low if sign > 0 else -high) < CAP_LAT_DEG
            views.append(View(f"{name}_polar", grid, (edge,) * goes_on))
    nearest = 0.0 if low < 0 < high else min(abs(low), abs(high))
    if not views or nearest < CAP_LAT_DEG:
        near = np.abs(lat) <= BAND_LAT_DEG
        projection = _between(radius, lon_0, nearest, float(np.abs(lat[near]).max()))
        cut = (*(("top",) * (high > BAND_LAT_DEG)), *(("bottom",) * (low < -BAND_LAT_DEG)))
        step = pixel
        if projection.name == "mercator":  # no place is seen coarser than in the file
            step *= float(np.cos(np.radians(projection.lat_ts_deg)) / np.cos(np.radians(nearest)))
        views.append(View(projection.name, fit_grid(projection, lon[near], lat[near], step), cut))
    return tuple(views)


def regional_projection(radius_m: float, lon: Floats, lat: Floats) -> SphereProjection:
    """One map in which craters are round all over a region that has none yet."""
    lon_0 = round(_middle_longitude(lon), 3)
    low, high = float(lat.min()), float(lat.max())
    if max(high, -low) > POLAR_FROM_DEG and low * high > 0:
        return SphereProjection("polar_stereographic", radius_m, lon_0, 90.0 if high > 0 else -90.0)
    nearest = 0.0 if low < 0 < high else min(abs(low), abs(high))
    return _between(radius_m, lon_0, nearest, max(abs(low), abs(high)))


def _between(radius_m: float, lon_0: float, nearest: float, farthest: float) -> SphereProjection:
    """Equirectangular with true scale in the middle, or Mercator where that is not enough."""
    cos_near, cos_far = np.cos(np.radians(nearest)), np.cos(np.radians(farthest))
    # Rounded, so that the numbers in the record are readable; the stretch hardly moves.
    lat_ts = round(float(np.degrees(np.arccos(np.sqrt(cos_near * cos_far)))), 2)
    if np.sqrt(cos_near / cos_far) <= EQUIRECTANGULAR_LIMIT:
        return SphereProjection("equirectangular", radius_m, lon_0, lat_ts)
    return SphereProjection("mercator", radius_m, lon_0, lat_ts)


def _middle_longitude(lon: Floats) -> float:
    angle = np.radians(lon)
    middle = np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()))
    spread = wrap_lon(lon - middle)
    return float(wrap_lon(np.array(middle + (spread.min() + spread.max()) / 2)))


def fit_grid(projection: SphereProjection, lon: Floats, lat: Floats, step: float) -> SceneGrid:
    """The smallest north-up grid of pixels of ``step`` map metres with every point in it."""
    x, y = projection.forward(lon, lat)
    left, right = np.floor(x.min() / step) - 1, np.ceil(x.max() / step) + 1
    bottom, top = np.floor(y.min() / step) - 1, np.ceil(y.max() / step) + 1
    transform = (step, 0.0, float(left * step), 0.0, -step, float(top * step))
    return SceneGrid(projection, transform, int(right - left), int(top - bottom))
