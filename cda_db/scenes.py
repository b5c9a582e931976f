"""Scenes in the database: one raster file seen in one way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from shapely.geometry import MultiPolygon

from cda_db.bodies import get_body
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
        coverage: (n, 2) int64, half-open ranges of nested HEALPix cells of ``coverage_order``.
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
    coverage: NDArray[np.int64]
    label: dict[str, Any] = field(default_factory=dict)


_JSON_FIELDS = ("view", "shading", "radiometry", "label")
_PLAIN_FIELDS = tuple(
    name
    for name in Scene.__dataclass_fields__
    if name not in (*_JSON_FIELDS, "transform", "footprint", "coverage")
)


def multirange_text(ranges: NDArray[np.int64]) -> str:
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
    values["coverage"] = multirange_text(scene.coverage)
    names = ", ".join(values)
    marks = ", ".join(
        f"%({name})s"
        + {"footprint": "::public.geometry", "coverage": "::int8multirange"}.get(name, "")
        for name in values
    )
    row = conn.execute(
        f"INSERT INTO cda.scene ({names}) VALUES ({marks})"
        " ON CONFLICT (sha256) DO NOTHING RETURNING scene_id",
        values,
    ).fetchone()
    if row is None:  # registered by another process in this moment
        return register_scene(conn, scene)
    return int(row[0]), True


def get_scene(conn: Connection, key: int | str) -> tuple[int, Scene]:
    """The scene of that id or name, with its id.

    Raises:
        NotFoundError: there is none.
    """
    column = "scene_id" if isinstance(key, int) else "name"
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"SELECT *, public.st_asbinary(footprint) AS outline,"
            f" (SELECT array_agg(ARRAY[lower(r), upper(r)] ORDER BY r)"
            f" FROM unnest(coverage) AS r) AS ranges FROM cda.scene WHERE {column} = %s",
            [key],
        ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no scene {key!r}.", "See `cda ingest scenes --list`.")
    values = {name: row[name] for name in (*_PLAIN_FIELDS, *_JSON_FIELDS)}
    values["sha256"], values["file_sha256"] = bytes(row["sha256"]), bytes(row["file_sha256"])
    values["transform"] = tuple(row[name] for name in "abcdef")
    values["footprint"] = shapely.from_wkb(bytes(row["outline"]))
    values["coverage"] = np.array(row["ranges"] or [], dtype=np.int64).reshape(-1, 2)
    return int(row["scene_id"]), Scene(**values)


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
    values["coverage"] = np.empty((0, 2), dtype=np.int64)
    return Scene(**values)


def scene_summary(scene: Scene) -> dict[str, Any]:
    """What a person wants to read of a scene, JSON-ready."""
    data = asdict(scene)
    for name in ("sha256", "file_sha256"):
        data[name] = data[name].hex()
    for name in ("footprint", "coverage"):
        data.pop(name)
    return data
