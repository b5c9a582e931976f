"""Chronology systems, production functions and equilibria by name, from ``data/chronologies.toml``.

A system pairs a production function with a chronology for one body. There is no default system.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import NotFoundError
from queries.ages.chronology import Chronology, ExponentialLinear, OBrienVesta
from queries.ages.production import PolynomialProduction, ProductionFunction, tabulated


@dataclass(frozen=True)
class ChronologySystem:
    """A production function and a chronology that belong together.

    Attributes:
        key: short name for the command line, ``mars-neukum-ivanov-2001``.
        name: full name, ``Mars, Neukum-Ivanov (2001)``.
        body: lower case.
        aliases: other short names, among them Craterstats' abbreviations.
        production: shape of the population.
        chronology: N(>=1 km) against age.
    """

    key: str
    name: str
    body: str
    aliases: tuple[str, ...]
    production: ProductionFunction
    chronology: Chronology

    def cumulative(self, diameter_km: ArrayLike, age_ga: float) -> NDArray[np.float64]:
        """Isochron: N(>=D) in km-2 of a surface of ``age_ga``, shape of ``diameter_km``."""
        return np.asarray(self.chronology.density(age_ga) * self.production.cumulative(diameter_km))


@dataclass(frozen=True)
class Equilibrium:
    """Crater density that no surface exceeds: log10 N(>=D) = c0 + c1 log10 D, N in km-2.

    Attributes:
        key, name, reference: as in ``ChronologySystem``.
        coefficients: (c0, c1).
    """

    key: str
    name: str
    reference: str
    coefficients: tuple[float, float]

    def cumulative(self, diameter_km: ArrayLike) -> NDArray[np.float64]:
        """N(>=D) in km-2 at equilibrium, shape of ``diameter_km``."""
        level, slope = self.coefficients
        return np.asarray(10**level * np.asarray(diameter_km, dtype=np.float64) ** slope)

    def differential(self, diameter_km: ArrayLike) -> NDArray[np.float64]:
        """-dN/dD in km-3 at equilibrium, shape of ``diameter_km``."""
        slope = self.coefficients[1]
        return np.asarray(-slope * self.cumulative(diameter_km) / np.asarray(diameter_km))


@cache
def tables() -> dict[str, Any]:
    """The parsed table of functions, epochs included."""
    return tomllib.loads(
        files("queries").joinpath("data/chronologies.toml").read_text(encoding="utf-8")
    )


@cache
def list_systems() -> tuple[ChronologySystem, ...]:
    """Every system known, in the order of the table: Moon, Mars, Mercury, small bodies."""
    chronologies = {row["name"]: _chronology(row) for row in tables()["chronology"]}
    return tuple(
        ChronologySystem(
            key=row["key"],
            name=row["name"],
            body=row["body"],
            aliases=tuple(row["aliases"]),
            production=get_production(row["production"]),
            chronology=chronologies[row["chronology"]],
        )
        for row in tables()["system"]
    )


def get_system(name: str) -> ChronologySystem:
    """The system of that key, alias or full name; case, spaces and punctuation do not matter.

    Raises:
        NotFoundError: unknown; the message lists the keys.
    """
    for system in list_systems():
        if _plain(name) in {_plain(n) for n in (system.key, system.name, *system.aliases)}:
            return system
    raise NotFoundError(
        f"Unknown chronology system {name!r}.",
        f"Use one of {', '.join(s.key for s in list_systems())}.",
    )


@cache
def get_production(name: str) -> ProductionFunction:
    """The production function of that full name. Raises NotFoundError."""
    row = _row("production", "name", name)
    if row["kind"] == "root2_table":
        return tabulated(row["name"], row["craters_per_bin"], row["index_1km"], row["reference"])
    low, high = row["range_km"]
    return PolynomialProduction(
        row["name"], (low, high), row["reference"], tuple(row["coefficients"])
    )


def get_equilibrium(key: str) -> Equilibrium:
    """Equilibrium function ``trask`` or ``hartmann-1984``. Raises NotFoundError."""
    row = _row("equilibrium", "key", key)
    level, slope = row["coefficients"]
    return Equilibrium(row["key"], row["name"], row["reference"], (level, slope))


def _chronology(row: dict[str, Any]) -> Chronology:
    if row["kind"] == "obrien_2014":
        per_ga = 10 ** _row("production", "name", row["scale_production"])["coefficients"][0]
        return OBrienVesta(row["name"], row["reference"], per_ga)
    return ExponentialLinear(row["name"], row["reference"], row["a"], row["b"], row["c"])


def _row(table: str, column: str, value: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = tables()[table]
    for row in rows:
        if _plain(row[column]) == _plain(value):
            return row
    raise NotFoundError(
        f"Unknown {table} {value!r}.", f"Use one of {'; '.join(r[column] for r in rows)}."
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
