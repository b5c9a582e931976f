"""What a run found, for `queries` and notebooks: craters, detections, scenes, provenance.

Only this package names tables; everything here returns plain arrays, frames and dictionaries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from psycopg import sql

from cda_db.bulk import fetch_arrays
from cda_db.cells import Ints, union
from cda_db.connection import Connection
from cda_db.errors import NotFoundError, StateError
from cda_db.runs import Run
from cda_db.scenes import pairs

Box = tuple[float, float, float, float]
_CRATER_COLUMNS = {"crater_id": "i8", "lon": "f8", "lat": "f8", "diameter_m": "f4", "score": "f4"}


def frame(conn: Connection, query: str, params: object = None) -> pd.DataFrame:
    """The rows of a query as a data frame with the query's column names."""
    with conn.cursor() as cursor:
        cursor.execute(query, params)  # type: ignore[call-overload]
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names)


def require_catalogue(conn: Connection, run: Run) -> dict[str, int]:
    """Counts of the run's catalogue.

    Raises:
        StateError: it was never made, or its making was broken off.
    """
    row = conn.execute(
        "SELECT n_craters, n_suppressed, n_cut FROM cda.catalogue WHERE run_id = %s", [run.run_id]
    ).fetchone()
    if row is None:
        raise StateError(
            f"Run {run.name!r} has no catalogue yet.",
            f"Run `cda ingest suppress --run {run.name}`.",
        )
    return dict(zip(("craters", "suppressed", "cut"), row, strict=True))


def is_stale(conn: Connection, run: Run) -> bool:
    """True when batches were finished or repeated after the catalogue was made."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM cda.batch WHERE run_id = %(run)s AND state = 'done'"
        " AND NOT decided) OR EXISTS (SELECT FROM cda.redecide WHERE run_id = %(run)s)",
        {"run": run.run_id},
    ).fetchone()
    return bool(row and row[0])


def craters(
    conn: Connection,
    run: Run,
    *,
    box: Box | None = None,
    min_diameter_m: float | None = None,
    max_diameter_m: float | None = None,
    scene_id: int | None = None,
) -> pd.DataFrame:
    """Craters of a run in the order of their ids.

    Args:
        box: west, south, east, north in degrees; crosses +-180 when west > east; both bounds
            belong to it. Any longitudes: they are wrapped.
        min_diameter_m, max_diameter_m: at least, less than.
        scene_id: only craters whose detection was made in this scene.

    Returns:
        crater_id int64; lon in [-180, 180), lat, degrees; diameter_m; score.
    """
    require_catalogue(conn, run)
    conditions = [sql.SQL("c.run_id = %(run)s")]
    params: dict[str, Any] = {"run": run.run_id}
    if box is not None:
        conditions.append(_box_condition(box, params))
    if min_diameter_m is not None:
        conditions.append(sql.SQL("c.diameter_m >= %(least)s"))
        params["least"] = min_diameter_m
    if max_diameter_m is not None:
        conditions.append(sql.SQL("c.diameter_m < %(most)s"))
        params["most"] = max_diameter_m
    if scene_id is not None:
        conditions.append(
            sql.SQL(
                "EXISTS (SELECT FROM cda.batch b WHERE b.run_id = %(run)s"
                " AND b.scene_id = %(scene)s AND b.batch_id = c.crater_id >> 22)"
            )
        )
        params["scene"] = scene_id
    query = sql.SQL("SELECT {} FROM cda.crater c WHERE {} ORDER BY c.crater_id").format(
        sql.SQL(", ").join(sql.Identifier("c", name) for name in _CRATER_COLUMNS),
        sql.SQL(" AND ").join(conditions),
    )
    found = pd.DataFrame(fetch_arrays(conn, query, _CRATER_COLUMNS, params))
    return found.astype({"diameter_m": float, "score": float})


def _box_condition(box: Box, params: dict[str, Any]) -> sql.SQL:
    west, south, east, north = box
    params.update(south=south, north=north)
    if east - west >= 360:
        return sql.SQL("c.lat BETWEEN %(south)s AND %(north)s")
    params.update(west=(west + 180) % 360 - 180, east=(east + 180) % 360 - 180)
    if east != west and params["east"] == -180:
        params["east"] = 180.0
    if params["west"] <= params["east"]:
        lon = "c.lon BETWEEN %(west)s AND %(east)s"
    else:
        lon = "(c.lon >= %(west)s OR c.lon <= %(east)s)"
    return sql.SQL("c.lat BETWEEN %(south)s AND %(north)s AND " + lon)


def scenes(conn: Connection, run: Run) -> pd.DataFrame:
    """Scenes of a run with their counts: scene_id, name, pixel_scale_m, detections, craters."""
    return frame(
        conn,
        """
        WITH found AS (
            SELECT b.scene_id, count(*) AS craters
            FROM cda.crater c JOIN cda.batch b ON b.batch_id = c.crater_id >> 22
            WHERE c.run_id = %(run)s GROUP BY b.scene_id
        )
        SELECT s.scene_id, s.name, s.path, s.kind, s.width, s.height, s.pixel_scale_m,
               sum(b.n_tiles)::bigint AS tiles, sum(b.n_detections)::bigint AS detections,
               sum(b.n_cut)::bigint AS cut, coalesce(max(f.craters), 0) AS craters
        FROM cda.run_scene rs JOIN cda.scene s USING (scene_id)
        LEFT JOIN cda.batch b ON b.run_id = rs.run_id AND b.scene_id = s.scene_id
        LEFT JOIN found f ON f.scene_id = s.scene_id
        WHERE rs.run_id = %(run)s GROUP BY s.scene_id ORDER BY s.name
        """,
        {"run": run.run_id},
    )


def scene_detections(conn: Connection, run: Run, scene_id: int) -> pd.DataFrame:
    """Every detection made in a scene with its verdict, in pixels of the scene as seen.

    Returns:
        detection_id, lon, lat, diameter_m, score, verdict (kept, suppressed, cut, undecided),
        suppressed_by (crater_id or NA), x_px, y_px (centre), w_px, h_px, level.
    """
    return frame(
        conn,
        "SELECT detection_id, lon, lat, diameter_m, score, verdict, suppressed_by, x_px, y_px,"
        " w_px, h_px, level FROM cda.detection_detail"
        " WHERE run_id = %s AND scene_id = %s ORDER BY detection_id",
        [run.run_id, scene_id],
    )


def provenance(conn: Connection, detection_id: int) -> dict[str, Any]:
    """The whole chain of one detection or crater, JSON-ready (see ``cda.provenance``).

    Raises:
        NotFoundError: there is no such detection.
    """
    row = conn.execute("SELECT cda.provenance(%s)", [detection_id]).fetchone()
    if row is None or row[0] is None:
        raise NotFoundError(
            f"There is no detection {detection_id}.", "Ids are in `cda query craters`."
        )
    found: dict[str, Any] = row[0]
    return found


def coverage(conn: Connection, run: Run, bin_number: int) -> tuple[int, Ints]:
    """Imaged ground for one root-2 diameter bin, see ``ImagedGround.of``."""
    return ImagedGround(conn, run).of(bin_number)


class ImagedGround:
    """Imaged ground of a run by root-2 diameter bin: union over scenes and levels that can show it.

    Overlaps count once: scenes of one order are united by the masks of their border cells, those
    of several orders as cells of the finest. The area is right to the sampling of each scene's
    border by sub-cells (docs/pictures-in.md, "Coverage"). Bins that the same scenes and levels
    show share their ground, which is read once.
    """

    def __init__(self, conn: Connection, run: Run) -> None:
        self.conn, self.run = conn, run
        self._found: dict[str | None, tuple[int, Ints]] = {}

    def of(self, bin_number: int) -> tuple[int, Ints]:
        """HEALPix order and (n, 2) half-open ranges of nested cells of that order."""
        row = self.conn.execute(
            "SELECT cda.imaged_order(%s), md5(string_agg(format('%%s %%s', scene_id, factor), ','"
            " ORDER BY scene_id, factor)) FROM cda.bin_coverage(%s, %s)",
            [self.run.run_id, self.run.run_id, bin_number],
        ).fetchone()
        assert row is not None  # an aggregate gives one row
        order, shown_by = row
        if shown_by not in self._found:
            parts = _imaged_parts(self.conn, self.run, bin_number)
            self._found[shown_by] = order, union(order, parts)
        return self._found[shown_by]


_PARTS = (
    "SELECT p.cell_order, (SELECT array_agg(lower(r) ORDER BY r) FROM unnest(p.ranges) AS r),"
    " (SELECT array_agg(upper(r) ORDER BY r) FROM unnest(p.ranges) AS r),"
    " p.border_cells, p.border_masks"
)


def _imaged_parts(conn: Connection, run: Run, bin_number: int) -> list[tuple[int, Ints, Ints]]:
    """From the roll-up where it is that of the present catalogue, else made anew."""
    rolled = conn.execute(
        "SELECT rolled_up_at IS NOT NULL FROM cda.catalogue WHERE run_id = %s", [run.run_id]
    ).fetchone()
    source = (
        "cda.imaged_layer l JOIN cda.imaged_ground p USING (run_id, layer)"
        " WHERE run_id = %s AND bin = %s"
        if rolled and rolled[0]
        else "cda.imaged_parts(%s, %s) p"
    )
    rows = conn.execute(f"{_PARTS} FROM {source}", [run.run_id, bin_number], binary=True)
    return [(order, pairs(first, stop), pairs(*border)) for order, first, stop, *border in rows]


def imaged_layers(conn: Connection, run: Run) -> Iterator[tuple[list[int], int, Ints]]:
    """The layers of a run's roll-up: bins that share one, HEALPix order, ranges as ``coverage``."""
    bins = conn.execute(
        "SELECT layer, array_agg(bin ORDER BY bin) FROM cda.imaged_layer WHERE run_id = %s"
        " GROUP BY layer ORDER BY layer",
        [run.run_id],
    ).fetchall()
    ground = ImagedGround(conn, run)
    for _, shared in bins:
        yield shared, *ground.of(shared[0])
