"""Ages in words, as plots and tables print them."""

from __future__ import annotations

from math import floor, log10

from queries.ages.model_age import Estimate

_UNITS = (("Ga", 1.0), ("Ma", 1e3), ("ka", 1e6), ("a", 1e9))


def format_age(age_ga: Estimate) -> str:
    """An age with its errors, value to three digits, errors to two: ``633 +36 −35 Ma``."""
    unit, scale = _unit(age_ga.value)
    value = age_ga.scaled(scale)
    up, down = value.high - value.value, value.value - value.low
    return f"{_digits(value.value, 3)} +{_digits(up, 2)} −{_digits(down, 2)} {unit}"


def format_time(age_ga: float) -> str:
    """An age alone, as on an isochron: ``3.7 Ga``, ``10 Ma``."""
    unit, scale = _unit(age_ga)
    return f"{age_ga * scale:.3g} {unit}"


def _unit(age_ga: float) -> tuple[str, float]:
    # Rounded first: 0.9999 Ga prints as 1.00 Ga, not as 1000 Ma.
    fitting = (pair for pair in _UNITS if float(f"{age_ga * pair[1]:.3g}") >= 1)
    return next(fitting, _UNITS[-1])


def _digits(value: float, digits: int) -> str:
    """A positive value to that many significant digits, without an exponent."""
    if value <= 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:.{max(0, digits - 1 - floor(log10(rounded)))}f}"
