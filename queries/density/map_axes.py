"""What makes a picture a map: graticule, scale bar, named features; for matplotlib axes in km."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from queries.density.grid import Grid, middle_lon, to_frame
from queries.region_files import Feature
from queries.regions import Circle

Floats = NDArray[np.float64]

_STEPS_DEG = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45)
_LENGTHS_KM = tuple(k * 10.0**e for e in range(-2, 5) for k in (1, 2, 5))
INK = "#20262e"


def east_label(lon_deg: float) -> str:
    """Longitude as people write it on planets: 0 to 360 degrees east."""
    return f"{lon_deg % 360:g}°E"


def north_label(lat_deg: float) -> str:
    """Latitude with its hemisphere."""
    return f"{abs(lat_deg):g}°{'N' if lat_deg > 0 else 'S' if lat_deg < 0 else ''}"


def to_km(grid: Grid, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
    """Points in km of the grid's frame."""
    x, y = to_frame(grid.body, grid.frame).transform(lon_deg, lat_deg)
    return np.asarray(x) / 1000, np.asarray(y) / 1000


def extent_km(grid: Grid) -> tuple[float, float, float, float]:
    """left, right, bottom, top of the grid in km."""
    t = grid.transform
    left, top = t.c / 1000, t.f / 1000
    return left, left + grid.width * t.a / 1000, top + grid.height * t.e / 1000, top


def visible_lonlat(grid: Grid) -> tuple[Floats, Floats]:
    """Longitudes and latitudes of a sparse sample of the grid's pixels on the map.

    Longitudes run on without a jump from one end of the map to the other.
    """
    rows = np.unique(np.linspace(0, grid.height - 1, 40).astype(int))
    lons, lats = [], []
    for row in rows:
        lon, lat, on_map = grid.lonlat(int(row), 1)
        lons.append(lon[on_map])
        lats.append(lat[on_map])
    middle = middle_lon(grid.frame)
    lon = np.mod(np.concatenate(lons) - middle + 180, 360) - 180 + middle
    return lon, np.concatenate(lats)


def draw_graticule(axes: Any, grid: Grid) -> None:
    """Meridians and parallels with labels where they leave the picture."""
    lon, lat = visible_lonlat(grid)
    polar = "polar" in grid.frame
    middle = middle_lon(grid.frame)
    # The sample ends at pixel centres: lines go a little further, to the frame.
    south, north = max(-90.0, lat.min() - 1), min(90.0, lat.max() + 1)
    west, east = max(middle - 180, lon.min() - 1), min(middle + 180, lon.max() + 1)
    dlat, dlon = _step(float(np.ptp(lat))), _step(float(np.ptp(lon)))
    parallels = _multiples(south, north, dlat)
    meridians = np.arange(-180, 180, 45.0) if polar else _multiples(west, east, dlon)
    dense_lat = np.linspace(south, north, 361)
    dense_lon = np.linspace(-180, 180, 721) if polar else np.linspace(west, east, 721)
    # Labels stand where lines leave the picture; on a sinusoidal map meridians meet at the poles.
    places = ("rim", "diagonal") if polar else ("bottom", "left")
    if "sinusoidal" in grid.frame and lat.min() < 0 < lat.max():
        places = ("equator", "left")
    for value in meridians:
        line = to_km(grid, np.full(361, value), dense_lat)
        at_rim = places[0] == "equator" and abs(value - middle) >= 180 - dlon / 2
        _draw_line(axes, grid, line, "" if at_rim else east_label(value), places[0])
    for value in parallels:
        if abs(value) < 90:
            line = to_km(grid, dense_lon, np.full(721, value))
            _draw_line(axes, grid, line, north_label(value), places[1])


def _multiples(low: float, high: float, step: float) -> Floats:
    return np.asarray(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step)


def _step(span: float) -> float:
    """The graticule step that gives four to eight lines."""
    return float(next((s for s in _STEPS_DEG if span / s <= 7), 60))


# Where a label stands: what is smallest along the line there, and the offset in points.
_PLACES: dict[str, tuple[Callable[[Floats, Floats], Floats], tuple[int, int], str, str]] = {
    "bottom": (lambda x, y: y, (0, -3), "center", "top"),
    "left": (lambda x, y: x, (-3, 0), "right", "center"),
    "rim": (lambda x, y: -np.hypot(x, y), (0, 0), "center", "center"),
    "diagonal": (lambda x, y: np.abs(x - y) - 1e-3 * x, (0, 0), "center", "center"),
    "equator": (lambda x, y: np.abs(y), (0, -1), "center", "top"),
}


def _draw_line(axes: Any, grid: Grid, line: tuple[Floats, Floats], label: str, place: str) -> None:
    x, y = line
    axes.plot(x, y, color=INK, lw=0.5, alpha=0.35, zorder=3)
    left, right, bottom, top = extent_km(grid)
    inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    if not (inside.any() and label):
        return
    height, offset, across, upright = _PLACES[place]
    at = int(np.argmin(np.where(inside, height(x, y), np.inf)))
    point = (left if place == "left" else x[at], bottom if place == "bottom" else y[at])
    box = {"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.75}
    axes.annotate(
        label,
        point,
        xytext=offset,
        textcoords="offset points",
        ha=across,
        va=upright,
        fontsize=7,
        color=INK,
        zorder=6,
        annotation_clip=False,
        bbox=None if place in {"bottom", "left"} else box,
    )


def draw_scale_bar(axes: Any, grid: Grid) -> None:
    """A bar of a round length, true at the latitude in the middle of the picture."""
    left, right, bottom, _ = extent_km(grid)
    ground, where = 1.0, "at the pole"  # polar stereographic is true there
    if "polar" not in grid.frame:
        lon, lat, _ = grid.lonlat(grid.height // 2, 1)
        here, beside = grid.width // 2, grid.width // 2 - 1
        ends = (lon[0, beside], lat[0, beside], lon[0, here], lat[0, here])
        ground = grid.body.geod().inv(*ends)[2] / grid.transform.a
        where = f"at {north_label(round(float(lat[0, here])))}"
    wanted = (right - left) * ground / 5
    length = max(km for km in _LENGTHS_KM if km <= max(wanted, _LENGTHS_KM[0]))
    drawn = length / ground
    # Below the frame, so that no ground is hidden.
    axes.annotate(
        "",
        (right, bottom),
        xytext=(right - drawn, bottom),
        arrowprops={"arrowstyle": "-", "lw": 2.5, "color": INK, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
    )
    axes.annotate(
        f"{length:g} km {where}",
        (right - drawn / 2, bottom),
        xytext=(0, -14),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=7,
        color=INK,
        annotation_clip=False,
    )


def draw_features(axes: Any, grid: Grid, features: Sequence[Feature], limit: int = 20) -> None:
    """Names of the largest named features in the picture, and circles of craters (type AA).

    Args:
        features: of a gazetteer.
        limit: how many are named, largest first; a name that would cover another is left out.
    """
    left, right, bottom, top = extent_km(grid)
    named: list[tuple[float, float]] = []
    for feature in sorted(features, key=lambda f: -(f.diameter_km or 0.0)):
        x, y = (
            float(v[0])
            for v in to_km(grid, np.array([feature.lon_deg]), np.array([feature.lat_deg]))
        )
        wide = (feature.diameter_km or 0.0) > 0.5 * min(right - left, top - bottom)
        covered = any(
            abs(x - u) < 0.12 * (right - left) and abs(y - v) < 0.035 * (right - left)
            for u, v in named
        )
        if wide or covered or not (left < x < right and bottom < y < top) or len(named) == limit:
            continue
        named.append((x, y))
        _draw_feature(axes, grid, feature, (x, y))


def _draw_feature(axes: Any, grid: Grid, feature: Feature, at: tuple[float, float]) -> None:
    if feature.diameter_km and feature.kind == "AA":
        circle = Circle(grid.body, feature.lon_deg, feature.lat_deg, feature.diameter_km / 2)
        lon, lat = circle.outline(1.0)
        x, y = to_km(grid, np.append(lon, lon[0]), np.append(lat, lat[0]))
        gap = np.hypot(np.diff(x), np.diff(y)) > 20 * np.median(np.hypot(np.diff(x), np.diff(y)))
        x, y = (np.insert(v, np.flatnonzero(gap) + 1, np.nan) for v in (x, y))  # cut at +-180
        axes.plot(x, y, color="white", lw=1.6, zorder=4)
        axes.plot(x, y, color=INK, lw=0.7, zorder=5)
    else:
        axes.plot([at[0]], [at[1]], marker="+", ms=4, color=INK, zorder=5)
    left, right, bottom, top = extent_km(grid)
    eastern = at[0] > left + 0.85 * (right - left)
    northern = at[1] > bottom + 0.95 * (top - bottom)
    axes.annotate(
        feature.name,
        at,
        xytext=(-4 if eastern else 4, -10 if northern else 4),
        textcoords="offset points",
        ha="right" if eastern else "left",
        fontsize=6.5,
        color=INK,
        zorder=7,
        bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.75},
    )
