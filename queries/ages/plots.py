"""Pictures of crater counts as the field draws them: cumulative, differential, R and incremental.

Decades are square, as the Crater Analysis Techniques Working Group (1979, Icarus 37, 467) asks for,
so that slopes compare between pictures. Error bars are exact 1-sigma Poisson intervals of the
counts (Garwood 1936).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries.ages.age_text import format_age
from queries.ages.backdrop import draw_epochs, draw_equilibrium, draw_isochron, visible_diameters
from queries.ages.csfd import Csfd
from queries.ages.epochs import EpochSystem
from queries.ages.isochrons import isochron
from queries.ages.model_age import ModelAge
from queries.ages.poisson import ONE_SIGMA, age_likelihood
from queries.ages.systems import ChronologySystem, Equilibrium
from queries.density.poisson import garwood_interval

Floats = NDArray[np.float64]

AGE_COLOURS = ("#c1272d", "#0b6fa4", "#2e8b57", "#8e44ad", "#d97706")
_LABELS = {
    "cumulative": "Cumulative crater density N(≥D), km⁻²",
    "differential": "Differential crater density dN/dD, km⁻³",
    "incremental": "Craters per bin, km⁻²",
    "r": "R = D³ dN/dD",
}
_DECADE_IN = 1.05  # inches a decade
_NARROWEST_IN = 4.2


@dataclass(frozen=True)
class AgePlot:
    """What goes into one picture.

    Attributes:
        counts: the binned count; its bins span the picture.
        ages: model ages, each drawn as an isochron over its range, with the age in words.
        presentation: as in ``Csfd.values``.
        system: for ``isochrons_ga`` and ``epochs``; they are left out without it.
        isochrons_ga: further isochrons, thin and grey.
        equilibrium: drawn dashed.
        epochs: spans between their boundaries' isochrons are shaded and named.
        title: above the picture.
    """

    counts: Csfd
    ages: Sequence[ModelAge] = ()
    presentation: str = "cumulative"
    system: ChronologySystem | None = None
    isochrons_ga: Sequence[float] = ()
    equilibrium: Equilibrium | None = None
    epochs: EpochSystem | None = None
    title: str = ""


def age_figure(plot: AgePlot) -> Figure:
    """Draw a count, its ages and, for Poisson ages, their likelihoods on one page.

    Raises:
        InputError: an incremental plot of bins that are not root-2: its isochrons are.
    """
    ratio = plot.counts.edges_km[1:] / plot.counts.edges_km[:-1]
    if plot.presentation == "incremental" and not np.allclose(ratio, np.sqrt(2)):
        raise InputError("An incremental plot needs root-2 bins.", "Use --binning root-2.")
    figure, axes = _square_decades(plot)
    _draw_backdrop(axes, plot)
    poisson = 0
    for i, age in enumerate(plot.ages):
        colour = AGE_COLOURS[i % len(AGE_COLOURS)]
        _draw_age(axes, plot.presentation, age, colour)
        if age.method == "poisson":
            _draw_likelihood(axes, age, colour, poisson)
            poisson += 1
    _draw_counts(axes, plot)
    axes.legend(loc="lower left", fontsize=7.5, framealpha=0.9)
    return figure


def _square_decades(plot: AgePlot) -> tuple[Figure, Axes]:
    x_limits, y_limits = _limits(plot)
    decades = np.log10([x_limits[1] / x_limits[0], y_limits[1] / y_limits[0]])
    width, height = decades * _DECADE_IN * max(1.0, _NARROWEST_IN / (decades[0] * _DECADE_IN))
    figure = Figure(figsize=(width + 1.0, height + 1.0), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xscale="log", yscale="log", xlim=x_limits, ylim=y_limits)
    axes.set_aspect("equal")
    axes.set(xlabel="Diameter D, km", ylabel=_LABELS[plot.presentation], title=plot.title)
    axes.title.set_fontsize(10)
    axes.grid(True, which="major", color="0.88", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _limits(plot: AgePlot) -> tuple[tuple[float, float], tuple[float, float]]:
    """Whole decades that hold every point with its error bar, and every range that was dated."""
    x, _, low, high = _points(plot)
    dated = np.array([age.range_km for age in plot.ages]).reshape(-1, 2)
    x_limits = _decades(np.append(x * 0.95, dated[:, 0]), np.append(x * 1.05, dated[:, 1]))
    bottom, top = _decades(low, high)
    # An R-plot has no empty corners: a decade below for the legend, above for the likelihoods.
    if plot.presentation != "r":
        return x_limits, (bottom, top)
    poisson = any(age.method == "poisson" for age in plot.ages)
    return x_limits, (bottom / 10, top * (10 if poisson else 1))


def _decades(lowest: Floats, highest: Floats) -> tuple[float, float]:
    low, high = np.floor(np.log10(lowest.min())), np.ceil(np.log10(highest.max()))
    return float(10**low), float(10 ** max(high, low + 1))


def _points(plot: AgePlot) -> tuple[Floats, Floats, Floats, Floats]:
    """Diameter, value, lower and upper 1-sigma bound of every bin with a crater."""
    filled = plot.counts.counts > 0
    n = plot.counts.n(plot.presentation)[filled]
    x = plot.counts.positions_km(plot.presentation)[filled]
    y = plot.counts.values(plot.presentation)[filled]
    low, high = garwood_interval(n, ONE_SIGMA)
    return x, y, y * low / n, y * high / n


def _draw_backdrop(axes: Axes, plot: AgePlot) -> None:
    if plot.system is not None and plot.epochs is not None:
        draw_epochs(axes, plot.presentation, plot.system, plot.epochs)
    if plot.equilibrium is not None:
        draw_equilibrium(axes, plot.presentation, plot.equilibrium)
    if plot.system is not None:
        for i, age in enumerate(plot.isochrons_ga):
            draw_isochron(axes, plot.presentation, plot.system, age, lower=i % 2 == 1)


def _draw_counts(axes: Axes, plot: AgePlot) -> None:
    x, y, low, high = _points(plot)
    total = int(plot.counts.counts.sum()) + plot.counts.larger
    axes.errorbar(
        x,
        y,
        yerr=np.stack([y - low, high - y]),
        fmt="s",
        color="black",
        markerfacecolor="white",
        markersize=4,
        elinewidth=0.8,
        zorder=5,
        label=f"{total:,} craters on {plot.counts.area_km2:,.6g} km²",
    )


def _draw_age(axes: Axes, presentation: str, age: ModelAge, colour: str) -> None:
    """The isochron of an age: thick over the range that was dated, thin beyond."""
    text = f"{format_age(age.age_ga)}  ({age.method}, n = {age.n})"
    wide, dated = visible_diameters(axes, age.system), np.geomspace(*age.range_km, 200)
    for d, width, label in ((wide, 0.7, None), (dated, 2.0, text)):
        y = isochron(presentation, age.system, age.age_ga.value, d)
        axes.plot(d, y, color=colour, linewidth=width, label=label, zorder=4)


def _draw_likelihood(axes: Axes, age: ModelAge, colour: str, slot: int) -> None:
    """Likelihood of a Poisson age against time, with its 1-sigma span filled."""
    height = 0.42 / np.log10(np.divide(*axes.get_ylim()[::-1]))  # of a decade, in axes
    inset = axes.inset_axes((0.70, 0.98 - height * (1 + 1.75 * slot), 0.28, height))
    a = age.age_ga
    reach = max(a.high - a.value, a.value - a.low)
    t = np.linspace(max(0.0, a.value - 3.5 * reach), a.value + 3.5 * reach, 400)
    likelihood = age_likelihood(age, t)
    inset.plot(t, likelihood, color=colour, linewidth=0.9)
    span = (t >= a.low) & (t <= a.high)
    inset.fill_between(t[span], 0, likelihood[span], color=colour, alpha=0.3, linewidth=0)
    inset.axvline(a.value, color=colour, linewidth=0.7)
    inset.set_xlim(*t[likelihood > 0.003][[0, -1]])
    inset.set_ylim(0, 1.12)
    inset.set_yticks([])
    inset.locator_params(axis="x", nbins=4)
    inset.tick_params(labelsize=5.5, length=2, pad=1)
    inset.text(0.02, 0.95, "Ga", transform=inset.transAxes, fontsize=5.5, va="top")
