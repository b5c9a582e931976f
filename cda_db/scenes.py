"""Scenes in the database: one raster file seen in one way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import shapely
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from shapely.geometry import MultiPolygon

from cda_db.bodies import get_body
from cda_db.cells import EMPTY, Ints
from cda_db.connection import Connection
from cda_db.errors import InputError, NotFoundError

Affine6 = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """A raster as the detector sees it. Table ``cda.scene`` says what each field means.

    Attributes:
        sha256: identity (32 bytes): the file's own hash for a scene taken as it is, else the
            hash of the file's hash and the canonical JSON of view and shading.
        transform: a, b, c, d, e, f: map x = a col + b row + c, map y = d col + e row + f, metres
            (degrees for projection ``lonlat``), false easting and northing removed.
        lat_ts_deg: latitude of true scale; for ``polar_stereographic`` its sign names the pole.
        footprint: imaged ground, lon/lat degrees in [-180, 180].
        coverage: (n, 2) int64, half-open ranges of nested HEALPix cells of ``coverage_order``
            that are imaged whole, as level 1 sees them.
        border: (m, 2) int64, cells that are imaged in part, each with the mask of its 64
            sub-cells (``cda_db.cells``).
        coarser: (factor, coverage, border) where the pixels of coarser levels show other ground,
            ascending; each holds from its factor to the next.
    """

    sha256: bytes
    file_sha256: bytes
    name: str
    path: str
    size_bytes: int
    body: str
    driver: str
    dtype: str
    kind: str
    view: dict[str, Any] | None
    shading: dict[str, Any] | None
    radiometry: dict[str, Any]
    width: int
    height: int
    transform: Affine6
    projection: str
    lon_0_deg: float
    lat_ts_deg: float
    radius_m: float
    crs_wkt: str
    source_crs_wkt: str
    pixel_scale_m: float
    footprint: MultiPolygon
    coverage_order: int
    coverage: Ints
    label: dict[str, Any] = field(default_factory=dict)
    border: Ints = field(default_factory=EMPTY.copy)
    coarser: tuple[tuple[float, Ints, Ints], ...] = ()

    @property
    def levels_coverage(self) -> tuple[tuple[float, Ints, Ints], ...]:
        """(factor, whole cells, border) from level 1 upwards."""
        return ((1.0, self.coverage, self.border), *self.coarser)


_COVERAGE_FIELDS = ("coverage", "border", "coarser")
_JSON_FIELDS = ("view", "shading", "radiometry", "label")
_PLAIN_FIELDS = tuple(
    name
    for name in Scene.__dataclass_fields__
    if name not in (*_JSON_FIELDS, "transform", "footprint", *_COVERAGE_FIELDS)
)


def multirange_text(ranges: Ints) -> str:
    """The text of an ``int8multirange`` from (n, 2) half-open ranges."""
    return "{" + ",".join(f"[{first},{stop})" for first, stop in ranges.tolist()) + "}"


def register_scene(conn: Connection, scene: Scene) -> tuple[int, bool]:
    """Store a scene, once: the same file seen in the same way is recognised by its hash.

    Returns:
        The scene's id, and whether it is new.

    Raises:
        InputError: another picture of that name is registered.
    """
    found = conn.execute(
        "SELECT scene_id FROM cda.scene WHERE sha256 = %s", [scene.sha256]
    ).fetchone()
    if found:
        return int(found[0]), False
    taken = conn.execute(
        "SELECT encode(sha256, 'hex') FROM cda.scene WHERE name = %s", [scene.name]
    ).fetchone()
    if taken:
        raise InputError(
            f"Another picture is registered as scene {scene.name!r} (sha256 {taken[0][:12]}...).",
            "Rename the file, if it is another scene.",
        )
    values: dict[str, Any] = {name: getattr(scene, name) for name in _PLAIN_FIELDS}
    values |= {
        name: None if getattr(scene, name) is None else Jsonb(getattr(scene, name))
        for name in _JSON_FIELDS
    }
    values |= dict(zip("abcdef", scene.transform, strict=True))
    values["srid"] = get_body(scene.body).srid()
    values["footprint"] = shapely.to_wkb(
        shapely.set_srid(scene.footprint, values["srid"]), include_srid=True
    )
    names = ", ".join(values)
    marks = ", ".join(
        f"%({name})s" + ("::public.geometry" if name == "footprint" else "") for name in values
    )
    row = conn.execute(
        f"INSERT INTO cda.scene ({names}) VALUES ({marks})"
        " ON CONFLICT (sha256) DO NOTHING RETURNING scene_id",
        values,
    ).fetchone()
    if row is None:  # registered by another process in this moment
        return register_scene(conn, scene)
    for factor, ranges, border in scene.levels_coverage:
        conn.execute(
            "INSERT INTO cda.scene_coverage VALUES (%s, %s, %s::int8multirange, %s::int8[],"
            " %s::int8[])",
            [row[0], factor, multirange_text(ranges), *border.T.tolist()],
        )
    return int(row[0]), True


def get_scene(conn: Connection, key: int | str) -> tuple[int, Scene]:
    """The scene of that id or name, with its id.

    Raises:
        NotFoundError: there is none.
    """
    column = "scene_id" if isinstance(key, int) else "name"
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"SELECT *, public.st_asbinary(footprint) AS outline"
            f" FROM cda.scene WHERE {column} = %s",
            [key],
        ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no scene {key!r}.", "See `cda ingest scenes --list`.")
    values = {name: row[name] for name in (*_PLAIN_FIELDS, *_JSON_FIELDS)}
    values["sha256"], values["file_sha256"] = bytes(row["sha256"]), bytes(row["file_sha256"])
    values["transform"] = tuple(row[name] for name in "abcdef")
    values["footprint"] = shapely.from_wkb(bytes(row["outline"]))
    (_, values["coverage"], values["border"]), *coarser = _coverage(conn, row["scene_id"])
    return int(row["scene_id"]), Scene(**values, coarser=tuple(coarser))


def _coverage(conn: Connection, scene_id: int) -> list[tuple[float, Ints, Ints]]:
    rows = conn.execute(
        "SELECT factor, (SELECT array_agg(lower(r) ORDER BY r) FROM unnest(ranges) AS r),"
        " (SELECT array_agg(upper(r) ORDER BY r) FROM unnest(ranges) AS r),"
        " border_cells, border_masks"
        " FROM cda.scene_coverage WHERE scene_id = %s ORDER BY factor",
        [scene_id],
    )
    return [(factor, pairs(*ends), pairs(*border)) for factor, *rest in rows
            for ends, border in [(rest[:2], rest[2:])]]  # fmt: skip


def pairs(first: list[int] | None, second: list[int] | None) -> Ints:
    """Two columns of numbers, (n, 2); SQL's null is an empty one."""
    return np.array([first or [], second or []], dtype=np.int64).T


def scenes_of_file(conn: Connection, path: str, file_sha256: bytes) -> list[tuple[int, str]]:
    """Ids and names of the scenes that were registered from this path with this content."""
    return conn.execute(
        "SELECT scene_id, name FROM cda.scene WHERE path = %s AND file_sha256 = %s ORDER BY name",
        [path, file_sha256],
    ).fetchall()


def scene_ids(conn: Connection, body: str) -> list[int]:
    """Ids of every scene of a body, in the order of their names."""
    rows = conn.execute("SELECT scene_id FROM cda.scene WHERE body = %s ORDER BY name", [body])
    return [row[0] for row in rows]


def scene_kinds(conn: Connection, ids: list[int]) -> set[str]:
    """The kinds, ``image`` or ``elevation``, that are among these scenes."""
    rows = conn.execute("SELECT DISTINCT kind FROM cda.scene WHERE scene_id = ANY(%s)", [ids])
    return {row[0] for row in rows}


def scene_instruments(conn: Connection, ids: list[int]) -> set[str | None]:
    """The instruments that the labels or names of these scenes tell; None where they tell none."""
    rows = conn.execute(
        "SELECT DISTINCT label ->> 'instrument' FROM cda.scene WHERE scene_id = ANY(%s)", [ids]
    )
    return {row[0] for row in rows}


def list_scenes(conn: Connection) -> list[dict[str, Any]]:
    """Every registered scene by name: id, body, kind, size, pixel scale, file."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT scene_id, name, body, kind, projection, width, height, pixel_scale_m, path"
            " FROM cda.scene ORDER BY name"
        ).fetchall()


def scene_from_json(data: dict[str, Any]) -> Scene:
    """The scene of ``cda.scene_json``: all that a worker needs, without outline and coverage."""
    values = {name: data[name] for name in (*_PLAIN_FIELDS, *_JSON_FIELDS)}
    values["sha256"] = bytes.fromhex(data["sha256"])
    values["file_sha256"] = bytes.fromhex(data["file_sha256"])
    values["transform"] = tuple(data[name] for name in "abcdef")
    values["footprint"] = MultiPolygon()
    values["coverage"] = EMPTY
    return Scene(**values)


def scene_summary(scene: Scene) -> dict[str, Any]:
    """What a person wants to read of a scene, JSON-ready."""
    data = asdict(scene)
    for name in ("sha256", "file_sha256"):
        data[name] = data[name].hex()
    for name in ("footprint", *_COVERAGE_FIELDS):
        data.pop(name)
    return data
