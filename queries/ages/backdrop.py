"""What stands behind the data of a crater plot: epochs, equilibrium and isochrons."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from queries.ages.age_text import format_time
from queries.ages.chronology import SOLAR_SYSTEM_GA
from queries.ages.epochs import EpochSystem
from queries.ages.isochrons import equilibrium_line, isochron
from queries.ages.systems import ChronologySystem, Equilibrium

Floats = NDArray[np.float64]

_EPOCH_GREYS = ("#f4f4f4", "#e2e2e2")
_NARROWEST_NAMED = 0.09  # decades across a span, below which its name would not fit


def visible_diameters(axes: Axes, system: ChronologySystem) -> Floats:
    """Diameters of the picture at which the production function is defined, (500,) km."""
    low, high = axes.get_xlim()
    defined = system.production.range_km
    return np.geomspace(max(low, defined[0]), min(high, defined[1]), 500)


def draw_epochs(
    axes: Axes, presentation: str, system: ChronologySystem, epochs: EpochSystem
) -> None:
    """Shade and name the spans between the isochrons of the epochs' boundaries."""
    d = visible_diameters(axes, system)
    bottom_limit, top_limit = axes.get_ylim()
    bottom = np.full(len(d), bottom_limit)
    times = (*epochs.boundaries_ga(system), SOLAR_SYSTEM_GA)
    for i, (name, old) in enumerate(zip(epochs.epochs, times, strict=True)):
        top = np.clip(isochron(presentation, system, old, d), bottom_limit, top_limit)
        axes.fill_between(d, bottom, top, color=_EPOCH_GREYS[i % 2], linewidth=0, zorder=0)
        _name_span(axes, name, d, bottom, top)
        bottom = top


def draw_equilibrium(axes: Axes, presentation: str, line: Equilibrium) -> None:
    """Draw an equilibrium function dashed, with its name in the legend."""
    d = np.geomspace(*axes.get_xlim(), 50)
    axes.plot(
        d,
        equilibrium_line(presentation, line, d),
        color="0.3",
        linestyle=(0, (5, 3)),
        linewidth=0.9,
        zorder=2,
        label=line.name,
    )


def draw_isochron(
    axes: Axes, presentation: str, system: ChronologySystem, age_ga: float, *, lower: bool = False
) -> None:
    """Draw a thin grey isochron with its age where it enters the picture.

    Args:
        lower: set the age a line lower, so that neighbours do not cover each other.
    """
    d = visible_diameters(axes, system)
    y = isochron(presentation, system, age_ga, d)
    axes.plot(d, y, color="0.6", linewidth=0.7, zorder=2)
    low, high = axes.get_ylim()
    visible = np.flatnonzero((y > low) & (y < high))
    if not len(visible):
        return
    at = visible[-1] if presentation == "r" else visible[0]
    axes.annotate(
        format_time(age_ga),
        (d[at], y[at]),
        xytext=(2, -10 if lower else -2),
        textcoords="offset points",
        fontsize=6.5,
        color="0.35",
        bbox={"facecolor": "white", "alpha": 0.6, "linewidth": 0, "pad": 0.3},
        zorder=3,
        ha="right" if presentation == "r" else "left",
        va="top",
    )


def _name_span(axes: Axes, name: str, d: Floats, bottom: Floats, top: Floats) -> None:
    """Write a span's name along its middle, at the lowest place where it fits, if there is one."""
    x, low, high = np.log10(d), np.log10(bottom), np.log10(top)
    middle = (low + high) / 2
    slope = np.gradient(middle, x)
    across = (high - low) / np.hypot(1, slope)
    y_low, y_high = np.log10(axes.get_ylim())
    x_low, x_high = np.log10(axes.get_xlim())
    # Away from the frame, the legend (lower left) and the likelihoods (upper right).
    room = (across > _NARROWEST_NAMED) & (middle > y_low + 0.5) & (middle < y_high - 0.5)
    room &= (x > x_low + 0.4) & (x < x_high - 0.4) & (low > y_low) & (high < y_high)
    room &= (x > x_low + 0.62 * (x_high - x_low)) | (middle > y_low + 1.1)
    if not np.any(room):
        return
    at = int(np.flatnonzero(room)[np.argmin(middle[room])])
    axes.text(
        d[at],
        10 ** middle[at],
        name,
        fontsize=6,
        color="0.45",
        ha="center",
        va="center",
        rotation=float(np.degrees(np.arctan(slope[at]))),
        zorder=1,
        clip_on=True,
    )
