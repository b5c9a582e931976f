"""Ages of one source over several diameter ranges, by any method."""

from __future__ import annotations

from collections.abc import Sequence

from cda_db.errors import InputError
from queries.ages.csfd import snap as snapped
from queries.ages.fits import cumulative_fit, differential_fit
from queries.ages.model_age import ModelAge
from queries.ages.source import CountSource, Span
from queries.ages.systems import ChronologySystem

METHODS = ("poisson", "cumulative", "differential")


def date_ranges(
    source: CountSource,
    system: ChronologySystem,
    spans: Sequence[Span],
    method: str = "poisson",
    binning: str = "pseudo-log",
    resurfacing: bool = False,
    snap: bool = False,
) -> list[ModelAge]:
    """One model age a diameter range.

    Args:
        source: craters and area.
        system: of the body that was counted.
        spans: diameter ranges in km.
        method: one of ``METHODS``.
        binning: for the fits and for ``snap``.
        resurfacing: with the cumulative fit only; the other two look at the range alone and need
            no correction.
        snap: widen each range to bin edges first.

    Raises:
        InputError: another body, an unknown method, or a correction that it has no use for.
    """
    source.check_system(system)
    if method not in METHODS:
        raise InputError(f"Unknown method {method!r}.", f"Use one of {', '.join(METHODS)}.")
    if resurfacing and method != "cumulative":
        raise InputError(
            f"A {method} age needs no resurfacing correction: it uses the range alone.",
            "Leave --resurfacing away, or use --method cumulative.",
        )
    wanted = [snapped(binning, span) for span in spans] if snap else spans
    return [_date(source, system, span, method, binning, resurfacing) for span in wanted]


def _date(
    source: CountSource,
    system: ChronologySystem,
    span: Span,
    method: str,
    binning: str,
    resurfacing: bool,
) -> ModelAge:
    if method == "poisson":
        return source.poisson(system, span)
    diameters, area = source.counted(span)
    if method == "differential":
        return differential_fit(diameters, area, system, span, binning)
    return cumulative_fit(diameters, area, system, span, binning, resurfacing)
