"""Pictures of density maps: colour bar with unit, scale, graticule, named features, legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries.density.grid import Grid
from queries.density.healpix_map import DensityMap
from queries.density.map_axes import draw_features, draw_graticule, draw_scale_bar, extent_km
from queries.density.raster import sample
from queries.density.smoothing import ratio_map
from queries.region_files import Feature

Floats = NDArray[np.float64]

UNIMAGED = "#d9d9d9"
_EMPTY = "#f7f2fa"
_UNBOUNDED = "#e4572e"
_COLOURS = "viridis"


@dataclass(frozen=True)
class Scale:
    """How values become colours: a factor for display, its unit, and the norm."""

    factor: float
    unit: str
    norm: Normalize


def draw_density(
    density: DensityMap,
    grid: Grid,
    bins: Sequence[int],
    *,
    title: str = "",
    features: Sequence[Feature] = (),
) -> Figure:
    """The density of one bin as a map.

    Args:
        bins: the place of the one bin in ``density.bins``.
        title: e.g. the run's name; the bin and the body are added.
        features: named on the map.

    Raises:
        InputError: nothing is imaged in that bin.
    """
    (place,) = bins
    values = density.interval()[0][place]
    scale = _density_scale(values, density.bins.names[place])
    image = _image(density, grid, values * scale.factor)
    sizes = f"{density.bins.names[place]}"
    axes = _map_axes(grid, _heading(title, density, f"craters of {sizes}"))
    colours = colormaps[_COLOURS].with_extremes(bad=UNIMAGED, under=_EMPTY)
    _draw_image(axes, grid, image, scale, colours)
    _finish(axes, grid, features, [("not imaged", UNIMAGED), ("imaged, no crater", _EMPTY)])
    return figure_of(axes)


def draw_ratio(
    density: DensityMap,
    grid: Grid,
    bins: Sequence[int],
    *,
    title: str = "",
    features: Sequence[Feature] = (),
) -> Figure:
    """The small-to-large ratio of two bins as a map.

    Args:
        bins: places of the small and the large bin in ``density.bins``.
    """
    small, large = bins
    ratio, _, _ = ratio_map(density, small, large)
    names = density.bins.names
    scale = _ratio_scale(ratio)
    # imshow would call infinity missing: put it just above the scale instead.
    shown = np.where(np.isinf(ratio), 2 * (scale.norm.vmax or 1.0), ratio)
    axes = _map_axes(grid, _heading(title, density, f"density {names[small]} over {names[large]}"))
    colours = colormaps["cividis"].with_extremes(bad=UNIMAGED, under=_EMPTY, over=_UNBOUNDED)
    image = _image(density, grid, shown)
    _draw_image(axes, grid, image, scale, colours)
    legend = [
        ("not imaged, or no crater at all", UNIMAGED),
        ("no small crater: ratio 0", _EMPTY),
        ("no large crater: ratio unbounded", _UNBOUNDED),
    ]
    _finish(axes, grid, features, legend)
    return figure_of(axes)


def draw_composite(
    density: DensityMap,
    grid: Grid,
    bins: Sequence[int],
    *,
    title: str = "",
    features: Sequence[Feature] = (),
) -> Figure:
    """Three bins as red, green and blue, each scaled to its own 98th percentile.

    Grey ground has the usual mix of sizes; a tint says which sizes are in excess there.
    """
    values = density.interval()[0][list(bins)]
    imaged = np.isfinite(values).all(axis=0)
    if not imaged.any():
        raise InputError("The three bins are nowhere imaged together.", "Choose other bins.")
    top = np.array([np.percentile(v[imaged], 98) or 1.0 for v in values])
    shares = np.clip(values / np.where(top > 0, top, 1.0)[:, None], 0, 1) ** 0.5
    shares[:, ~imaged] = np.nan
    channels = np.concatenate([block for _, block in sample(density, shares, grid)], axis=1)
    image = np.moveaxis(channels, 0, -1)
    grey = int(UNIMAGED[1:3], 16) / 255
    image = np.where(np.isnan(image), grey, image)
    axes = _map_axes(grid, _heading(title, density, "three sizes as red, green, blue"))
    axes.imshow(image, extent=extent_km(grid), interpolation="nearest")
    names = density.bins.names
    labels = [
        (f"{names[b]}: full at {_three_digits(t * 1e6)} per 10⁶ km²", colour)
        for b, t, colour in zip(bins, top, ("#ff0000", "#00ff00", "#0000ff"), strict=True)
    ]
    _finish(axes, grid, features, [*labels, ("not imaged", UNIMAGED)])
    return figure_of(axes)


def write_png(path: Path, figure: Figure, dpi: int = 150) -> None:
    """Write a figure as PNG."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=dpi, format="png", facecolor="white")


def _density_scale(values: Floats, name: str) -> Scale:
    seen = values[np.isfinite(values)]
    if not len(seen):
        raise InputError(f"Nothing is imaged in bin {name}.", "Choose another bin.")
    positive = seen[seen > 0]
    many = len(positive) > 0 and float(np.median(positive)) > 0.01
    factor, unit = (1.0, "craters per km²") if many else (1e6, "craters per 10⁶ km²")
    return Scale(factor, unit, _norm(positive * factor))


def _ratio_scale(ratio: Floats) -> Scale:
    return Scale(1.0, "ratio of densities", _norm(ratio[np.isfinite(ratio) & (ratio > 0)]))


def _norm(positive: Floats) -> Normalize:
    """From the smallest to the largest value, logarithmic where they differ more than tenfold."""
    if not len(positive):
        return Normalize(0.5, 1.0)
    low, high = float(positive.min()), float(positive.max())
    if high <= low:
        low, high = low * 0.9, high * 1.1
    # A hair below the smallest value, so that only empty cells are "under".
    return LogNorm(low * 0.999, high) if high > 10 * low else Normalize(low * 0.999, high)


def _image(density: DensityMap, grid: Grid, values: Floats) -> Floats:
    blocks = [block[0] for _, block in sample(density, values[None, :], grid)]
    return np.concatenate(blocks)


def _three_digits(value: float) -> str:
    """A number for reading, with three digits and no exponent where it has one of reason."""
    return f"{float(f'{value:.3g}'):,.9g}" if 1e-4 <= value < 1e7 else f"{value:.2g}"


def _heading(title: str, density: DensityMap, what: str) -> str:
    smoothed = f", summed within {density.smoothing_km:g} km" if density.smoothing_km else ""
    parts = [part for part in (title, density.body.name.capitalize()) if part]
    return f"{', '.join(parts)}: {what}{smoothed}"


def _map_axes(grid: Grid, heading: str) -> Any:
    """Axes of a new figure whose shape is that of the map."""
    left, right, bottom, top = extent_km(grid)
    aspect = (top - bottom) / (right - left)
    width = min(6.6, 9.0 / aspect)
    size = (width + 1.6, width * aspect + 1.1)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0.55 / size[0], 0.7 / size[1], width / size[0], 1 - 1.1 / size[1]))
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(heading, fontsize=10, loc="left")
    return axes


def figure_of(axes: Any) -> Figure:
    """The figure that axes belong to."""
    figure: Figure = axes.figure
    return figure


def _draw_image(axes: Any, grid: Grid, image: Floats, scale: Scale, colours: Any) -> None:
    """The picture and its colour bar; zero is below every scale, a logarithmic one too."""
    low = scale.norm.vmin or 0.0
    shown = np.where(image == 0, low / 2, image)
    drawn = axes.imshow(
        shown, extent=extent_km(grid), norm=scale.norm, cmap=colours, interpolation="nearest"
    )
    place = axes.inset_axes((1.02, 0.0, 0.022, 1.0))
    bar = figure_of(axes).colorbar(drawn, cax=place)
    bar.set_label(scale.unit, fontsize=7.5)
    if isinstance(scale.norm, LogNorm):
        decades = np.log10((scale.norm.vmax or 1.0) / (scale.norm.vmin or 1.0))
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _three_digits(value)))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.tick_params(labelsize=7)


def _hide_no_ground(axes: Any, grid: Grid) -> None:
    """White where a pixel is on no ground at all: off the outline of a sinusoidal map."""
    _, _, on_map = grid.lonlat(0, grid.height)
    if not on_map.all():
        white = np.ones((*on_map.shape, 4))
        white[..., 3] = ~on_map
        axes.imshow(white, extent=extent_km(grid), interpolation="nearest", zorder=2)


def _finish(
    axes: Any, grid: Grid, features: Sequence[Feature], legend: Sequence[tuple[str, str]]
) -> None:
    _hide_no_ground(axes, grid)
    draw_graticule(axes, grid)
    draw_features(axes, grid, features)
    draw_scale_bar(axes, grid)
    patches = [Patch(fc=colour, ec="#777777", lw=0.5, label=label) for label, colour in legend]
    axes.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=2,
        fontsize=7,
        frameon=False,
        borderaxespad=1.8,
    )
