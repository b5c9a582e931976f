"""Crater count files of CraterTools and Craterstats: ``.diam`` and ``.scc``, read and written.

Both are plain text: ``# comments``, ``key = value <unit>`` and tables ``name = {columns`` to ``}``.
A ``.diam`` holds an area and diameters (km); a ``.scc`` also the outlines and the craters' centres
(degrees, longitude east). A crater's ``fraction`` (of its area inside the outline) is kept but
takes no part in ages: like Craterstats, a count is of craters whose centre lies inside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries.ages.csfd import check_craters

Floats = NDArray[np.float64]

_SETTING = re.compile(r"^\s*([\w-]+)\s*=\s*([^{<]*?)\s*(?:<.*)?$")
_TABLE = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)$")
_SUB_AREA = re.compile(r"^#\s*Area_size\s*(\d+)\s*=\s*([-+.\deE]+)")
_DIAMETER_COLUMNS = ("diameter", "diam")


@dataclass(frozen=True)
class Ring:
    """One closed outline.

    Attributes:
        hole: it is cut out of the area.
        lon_deg, lat_deg: vertices, (n,), the last equal to the first.
    """

    hole: bool
    lon_deg: Floats
    lat_deg: Floats


@dataclass(frozen=True)
class CraterCounts:
    """Craters counted on an area.

    Attributes:
        name: for legends.
        diameters_km: (n,).
        area_km2: counted area.
        fraction: share of each crater inside the outline, (n,), or None if the file has none.
        lon_deg, lat_deg: centres, (n,), or None.
        radius_km: sphere of the file's coordinates, or None.
        rings: outlines of the area.
    """

    name: str
    diameters_km: Floats
    area_km2: float
    fraction: Floats | None = None
    lon_deg: Floats | None = None
    lat_deg: Floats | None = None
    radius_km: float | None = None
    rings: tuple[Ring, ...] = field(default=())

    def __post_init__(self) -> None:
        check_craters(self.diameters_km, self.area_km2)
        for column in (self.fraction, self.lon_deg, self.lat_deg):
            if column is not None and column.shape != self.diameters_km.shape:
                raise InputError(
                    f"{self.name}: columns of unequal length.", "Give one value a crater."
                )


def read_counts(path: Path | str) -> CraterCounts:
    """Read a ``.diam`` or ``.scc`` file.

    Raises:
        InputError: another suffix, unreadable, or without an area or a crater table.
    """
    path = Path(path)
    if path.suffix.lower() not in (".diam", ".scc"):
        raise InputError(f"{path.name} is no .diam or .scc file.", "Give one of these two.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).", "Give a text file.") from error
    settings, tables, sub_areas = _parse(path.name, lines)
    if "crater" not in tables:
        raise InputError(f"{path.name} has no table 'crater = {{'.", "Give a crater count file.")
    craters = tables["crater"]
    diameters = next((craters[c] for c in _DIAMETER_COLUMNS if c in craters), None)
    if diameters is None:
        raise InputError(f"{path.name}: the craters have no diameter.", "Name a column diameter.")
    radius = settings.get("a_axis_radius")
    return CraterCounts(
        name=path.stem,
        diameters_km=_numbers(path.name, diameters),
        area_km2=_area(path.name, settings, sub_areas),
        **{
            name: _numbers(path.name, craters[column]) if column in craters else None
            for name, column in (("fraction", "fraction"), ("lon_deg", "lon"), ("lat_deg", "lat"))
        },
        radius_km=None if radius is None else float(_numbers(path.name, [radius])[0]),
        rings=_rings(path.name, tables.get("unit_boundary")),
    )


def write_diam(path: Path | str, counts: CraterCounts) -> None:
    """Write area and diameters (and fractions, where there are) as ``.diam``."""
    columns = {"diameter": counts.diameters_km}
    if counts.fraction is not None:
        columns["fraction"] = counts.fraction
    lines = [f"# {counts.name}", f"area = {counts.area_km2!r}", *_table("crater", columns), ""]
    Path(path).write_text("\n".join(lines), encoding="utf-8")


def write_scc(path: Path | str, counts: CraterCounts) -> None:
    """Write outlines, area, diameters and centres as ``.scc``.

    Raises:
        InputError: the counts have no centres, outlines or radius.
    """
    if counts.lon_deg is None or counts.lat_deg is None or not counts.rings:
        raise InputError(
            f"{counts.name}: a .scc needs the craters' centres and the outline.", "Write .diam."
        )
    if counts.radius_km is None:
        raise InputError(f"{counts.name}: a .scc needs the sphere's radius.", "Write .diam.")
    fraction = counts.fraction if counts.fraction is not None else np.ones(len(counts.lon_deg))
    columns = {
        "diam": counts.diameters_km,
        "fraction": fraction,
        "lon": counts.lon_deg,
        "lat": counts.lat_deg,
    }
    lines = [
        "# Spatial crater count",
        "#",
        "# Ellipsoid axes:",
        *(f"{axis}-axis radius = {counts.radius_km!r} <km>" for axis in "abc"),
        "coordinate_system_name = planetocentric degrees, longitude east",
        "#",
        "# area_shapes:",
        "unit_boundary = {vertex, sub_area, tag, lon, lat",
        "#",
        f"# Area_name 1 = {counts.name}",
        f"# Area_size 1 = {counts.area_km2!r} <km^2>",
        "#",
        *_ring_rows(counts.rings),
        "}",
        "#",
        f"Total_area = {counts.area_km2!r} <km^2>",
        "#",
        "# crater_diameters:",
        *_table("crater", columns),
        "",
    ]
    Path(path).write_text("\n".join(lines), encoding="utf-8")


def _parse(
    name: str, lines: list[str]
) -> tuple[dict[str, str], dict[str, dict[str, list[str]]], list[str]]:
    """Settings, tables (column -> cells) and the sizes of sub-areas, which stand in comments."""
    settings: dict[str, str] = {}
    tables: dict[str, dict[str, list[str]]] = {}
    sub_areas: list[str] = []
    current: dict[str, list[str]] | None = None
    for number, line in enumerate(lines, start=1):
        if sub_area := _SUB_AREA.match(line):
            sub_areas.append(sub_area[2])
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        if table := _TABLE.match(text):
            current = {column.strip(): [] for column in table[2].split(",")}
            tables[table[1]] = current
        elif text == "}":
            current = None
        elif current is not None:
            _add_row(f"{name}, line {number}", current, text)
        elif setting := _SETTING.match(text.replace("-axis radius", "_axis_radius")):
            settings[setting[1].lower()] = setting[2]
    return settings, tables, sub_areas


def _add_row(where: str, table: dict[str, list[str]], text: str) -> None:
    cells = text.rstrip("}").split()
    if len(cells) != len(table):
        raise InputError(
            f"{where}: {len(cells)} values for the columns {', '.join(table)}.", "Mend the file."
        )
    for column, cell in zip(table.values(), cells, strict=True):
        column.append(cell)


def _numbers(name: str, cells: list[str]) -> Floats:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{name}: {error}.", "Mend the file.") from error


def _area(name: str, settings: dict[str, str], sub_areas: list[str]) -> float:
    for key in ("area", "total_area"):
        if key in settings:
            return float(_numbers(name, [settings[key]])[0])
    if not sub_areas:
        raise InputError(f"{name} names no area.", "Add a line 'area = ' with km2.")
    return float(_numbers(name, sub_areas).sum())


def _rings(name: str, table: dict[str, list[str]] | None) -> tuple[Ring, ...]:
    if table is None or not {"sub_area", "tag", "lon", "lat"} <= table.keys():
        return ()
    lon, lat = _numbers(name, table["lon"]), _numbers(name, table["lat"])
    parts = np.array(table["sub_area"])
    starts = np.flatnonzero(np.r_[True, parts[1:] != parts[:-1]]) if len(parts) else np.array([])
    ends = np.r_[starts[1:], len(parts)]
    return tuple(
        Ring(table["tag"][int(i)] == "int", lon[int(i) : int(j)], lat[int(i) : int(j)])
        for i, j in zip(starts, ends, strict=True)
    )


def _ring_rows(rings: tuple[Ring, ...]) -> list[str]:
    rows: list[str] = []
    for part, ring in enumerate(rings, start=1):
        tag = "int" if ring.hole else "ext"
        for lon, lat in zip(ring.lon_deg.tolist(), ring.lat_deg.tolist(), strict=True):
            rows.append(f"{len(rows) + 1}\t{part}\t{tag}\t{lon!r}\t{lat!r}")
    return rows


def _table(name: str, columns: dict[str, Floats]) -> list[str]:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        f"{name} = {{{', '.join(columns)}",
        *("\t".join(repr(value) for value in row) for row in rows),
        "}",
    ]
