"""Meteorite groups and known rayed craters: the shipped tables, or the user's own files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cda_db.errors import InputError, NotFoundError
from cda_db.meteorites import MeteoriteGroup

# An ejection age printed without an error is taken as known within this share (1 sigma).
RELATIVE_ERROR = 0.10


@dataclass(frozen=True)
class RayedCrater:
    """A crater whose rays are reported: position in degrees, diameter in km."""

    body: str
    name: str
    lon_deg: float
    lat_deg: float
    diameter_km: float
    reported_by: str


def _rows(name: str, path: Path | None) -> list[dict[str, str]]:
    source = files("queries").joinpath("data", name) if path is None else path
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    return list(csv.DictReader(lines))


def _range(row: dict[str, str], what: str) -> tuple[float, float] | None:
    low, high = row[f"{what}_low_ma"], row[f"{what}_high_ma"]
    return (float(low), float(high or low)) if low else None


def meteorite_groups(path: Path | None = None) -> list[MeteoriteGroup]:
    """All groups of the shipped table, or of a file with the same columns.

    Raises:
        InputError: a column is missing, a number is none, or a group has no ejection age.
    """
    try:
        return [_group(row) for row in _rows("meteorites.csv", path)]
    except (KeyError, ValueError) as error:
        raise InputError(
            f"The table of meteorites {path or ''} cannot be read: {error}.",
            "Use the columns of queries/data/meteorites.csv; ages are numbers in Ma.",
        ) from error


def _group(row: dict[str, str]) -> MeteoriteGroup:
    ejection = _range(row, "ejection")
    if ejection is None:
        raise ValueError(f"{row['group']} has no ejection age")
    return MeteoriteGroup(
        name=row["group"],
        members=row["members"],
        ejection_ma=ejection,
        crystallisation_ma=_range(row, "crystallisation"),
        ejection_reference=row["ejection_reference"],
        crystallisation_reference=row["crystallisation_reference"],
    )


def get_group(name: str, path: Path | None = None) -> MeteoriteGroup:
    """The group of that name in the shipped table, or in a file.

    Raises:
        NotFoundError: there is none; the message lists them.
    """
    return find_group(name, meteorite_groups(path))


def find_group(name: str, groups: Sequence[MeteoriteGroup]) -> MeteoriteGroup:
    """The group of that name among these; errors as ``get_group``."""
    for group in groups:
        if group.name == name.strip().lower():
            return group
    raise NotFoundError(
        f"Unknown meteorite group {name!r}.", f"Use one of {', '.join(g.name for g in groups)}."
    )


def rayed_craters(body: str, path: Path | None = None) -> list[RayedCrater]:
    """Known rayed craters of a body."""
    return [
        RayedCrater(
            row["body"],
            row["name"],
            float(row["lon_deg"]),
            float(row["lat_deg"]),
            float(row["diameter_km"]),
            row["reported_by"],
        )
        for row in _rows("rayed_craters.csv", path)
        if row["body"] == body
    ]
