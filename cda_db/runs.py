"""Runs: a model and its whole configuration over a growing set of scenes."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from cda_db import __version__
from cda_db.bodies import Body, get_body
from cda_db.connection import Connection
from cda_db.errors import InputError, NotFoundError
from cda_db.margins import link_neighbours

# Tiles of one batch: enough that a commit is worth it, few enough to repeat without regret.
TILES_PER_BATCH = 2000


@dataclass(frozen=True)
class Level:
    """A down-sampling level of a run; lengths in pixels of the level.

    Attributes:
        factor: scene pixels a level pixel; below 1 up-samples.
        overlap_px: overlap of neighbouring tiles.
        min_px, max_px: smallest and largest box accepted.
    """

    factor: float
    overlap_px: int
    min_px: float
    max_px: float


@dataclass(frozen=True)
class RunConfig:
    """All that decides what a run finds; stored whole, hashed, never changed.

    Attributes:
        tile_px: side of a tile.
        levels: at least one.
        score_threshold: lowest score that is stored.
        iou_threshold: circles that overlap at least this much are one crater.
        edge_margin_px: a box this near to an inner tile edge is cut.
        nms_iou: box IoU of the detector's own suppression inside one tile.
        precision: arithmetic of the detector, ``f32``, ``bf16`` or ``int8``.
        detector_batch: tiles of one forward pass: float sums may depend on it. One: on a CPU more
            gain nothing, and a pass that is not full costs as much as a full one.
        neighbours: tiles go on past a scene's edges, over other scenes of its pixel grid.
        against_light: how much a find's score falls where it is lit like a hill, in scenes whose
            light is known (``ingest.light``); 0 searches them as all others.
    """

    tile_px: int
    levels: tuple[Level, ...]
    score_threshold: float
    iou_threshold: float = 0.3
    edge_margin_px: float = 2.0
    nms_iou: float = 0.5
    precision: str = "f32"
    detector_batch: int = 1
    neighbours: bool = False
    against_light: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values, in a fixed order."""
        data = dict(vars(self))
        data["levels"] = [vars(level) for level in self.levels]
        return data

    def sha256(self) -> bytes:
        """Digest of the canonical JSON."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class Run:
    """A run as stored."""

    run_id: int
    name: str
    body: Body
    model_id: int
    iou_threshold: float
    config: dict[str, Any]


def create_run(conn: Connection, name: str, body: Body, model_id: int, config: RunConfig) -> Run:
    """Make a run and the partitions of its rows; scenes come with ``add_scenes``.

    Raises:
        InputError: a run of that name exists, the configuration is empty, or a level's factor is
            no binary fraction.
    """
    if not config.levels:
        raise InputError(f"Run {name!r} has no level.", "Give at least one, as in --levels 1,8.")
    _refuse_inexact(config.levels)
    row = conn.execute(
        "INSERT INTO cda.run (name, body, model_id, tile_px, edge_margin_px, score_threshold,"
        " iou_threshold, config, config_sha256, code_version)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING"
        " RETURNING run_id",
        [
            name, body.name, model_id, config.tile_px, config.edge_margin_px,
            config.score_threshold, config.iou_threshold, Jsonb(config.to_json()),
            config.sha256(), __version__,
        ],
    ).fetchone()  # fmt: skip
    if row is None:
        raise InputError(f"A run {name!r} exists.", "Choose another name; runs never change.")
    for level in config.levels:
        conn.execute(
            "INSERT INTO cda.run_level VALUES (%s, %s, %s, %s, %s)",
            [row[0], level.factor, level.overlap_px, level.min_px, level.max_px],
        )
    conn.execute("SELECT cda.create_partitions(%s)", [row[0]])
    return get_run(conn, name)


def _refuse_inexact(levels: Iterable[Level]) -> None:
    # Factors are stored as float4, and the database counts tiles by them as the worker does.
    for level in levels:
        if struct.unpack("f", struct.pack("f", level.factor))[0] != level.factor:
            raise InputError(
                f"Level {level.factor:g} is no binary fraction: tiles could not be counted alike"
                " everywhere.",
                "Use a multiple of 1/1024, as 0.25, 1, 1.5 or 32.",
            )


def get_run(conn: Connection, name: str) -> Run:
    """The run of that name. Raises NotFoundError."""
    row = conn.execute(
        "SELECT run_id, name, body, model_id, iou_threshold, config FROM cda.run WHERE name = %s",
        [name],
    ).fetchone()
    if row is None:
        known = [
            r[0] for r in conn.execute("SELECT name FROM cda.run ORDER BY run_id DESC LIMIT 5")
        ]
        raise NotFoundError(
            f"There is no run {name!r}.",
            f"Known: {', '.join(known)}." if known else "Make one with `cda ingest run create`.",
        )
    run_id, run_name, body, model_id, iou_threshold, config = row
    return Run(run_id, run_name, get_body(body), model_id, iou_threshold, config)


def all_runs(conn: Connection) -> list[Run]:
    """Every run, newest first."""
    rows = conn.execute("SELECT name FROM cda.run ORDER BY run_id DESC").fetchall()
    return [get_run(conn, row[0]) for row in rows]


def add_scenes(
    conn: Connection, run: Run, scene_ids: Iterable[int], tiles_per_batch: int = TILES_PER_BATCH
) -> int:
    """Add scenes and their batches to a run; scenes that it has stay as they are.

    In a run with neighbours, the finished batches of scenes that new ones border on are opened
    again: what is found does not depend on the order in which scenes are added.

    Args:
        tiles_per_batch: about how many tiles are claimed, committed and repeated as one.

    Returns:
        How many batches were made.

    Raises:
        InputError: a scene is of another body.
    """
    ids = list(scene_ids)
    strangers = conn.execute(
        "SELECT name, body FROM cda.scene WHERE scene_id = ANY(%s) AND body <> %s",
        [ids, run.body.name],
    ).fetchall()
    if strangers:
        raise InputError(
            f"Scene {strangers[0][0]!r} is of {strangers[0][1]}, run {run.name!r} of"
            f" {run.body.name}.",
            "Make a run of its own for each body.",
        )
    conn.execute(
        "INSERT INTO cda.run_scene (run_id, scene_id) SELECT %s, unnest(%s::int[])"
        " ON CONFLICT DO NOTHING",
        [run.run_id, ids],
    )
    if run.config.get("neighbours", False):
        link_neighbours(conn, run.run_id, ids)
    return len(_make_batches(conn, run, ids, tiles_per_batch))


def _make_batches(
    conn: Connection, run: Run, scene_ids: Sequence[int], tiles_per_batch: int
) -> list[int]:
    """Slice every level of new scenes into batches of about that many tiles."""
    rows = conn.execute(
        """
        WITH grid AS (
            SELECT s.scene_id, l.factor,
                   cda.tile_count(cda.level_size(s.height, l.factor) + 2 * margin, r.tile_px,
                                  l.overlap_px) AS n_rows,
                   cda.tile_count(cda.level_size(s.width, l.factor) + 2 * margin, r.tile_px,
                                  l.overlap_px) AS n_cols
            FROM cda.run r JOIN cda.run_level l USING (run_id) JOIN cda.run_scene USING (run_id)
            JOIN cda.scene s USING (scene_id),
                 LATERAL cda.tile_margin(r.config, s.view, l.overlap_px) AS margin
            WHERE r.run_id = %(run)s AND s.scene_id = ANY(%(scenes)s)
              AND NOT EXISTS (SELECT FROM cda.batch b WHERE b.run_id = r.run_id
                              AND b.scene_id = s.scene_id AND b.factor = l.factor)
        ), sliced AS (
            SELECT *, greatest(1, %(tiles)s / n_cols) AS step FROM grid
        )
        INSERT INTO cda.batch (run_id, scene_id, factor, row_start, row_stop)
        SELECT %(run)s, scene_id, factor, first, least(first + step, n_rows)
        FROM sliced, generate_series(0, n_rows - 1, step) AS first
        ORDER BY scene_id, factor, first
        RETURNING batch_id
        """,
        {"run": run.run_id, "scenes": list(scene_ids), "tiles": tiles_per_batch},
    ).fetchall()
    return [row[0] for row in rows]


def run_status(conn: Connection, run: Run) -> dict[str, Any]:
    """Counts of a run's batches by state, and of what they found."""
    states: dict[str, int] = dict(
        conn.execute(
            "SELECT state, count(*) FROM cda.batch WHERE run_id = %s GROUP BY state", [run.run_id]
        ).fetchall()
    )
    sums = conn.execute(
        "SELECT count(DISTINCT scene_id), coalesce(sum(n_tiles), 0), coalesce(sum(n_empty), 0),"
        " coalesce(sum(n_detections), 0), coalesce(sum(n_cut), 0), coalesce(sum(n_outside), 0),"
        " count(*) FILTER (WHERE state = 'done' AND NOT decided)"
        " FROM cda.batch WHERE run_id = %s",
        [run.run_id],
    ).fetchone()
    catalogue = conn.execute(
        "SELECT n_craters, n_suppressed FROM cda.catalogue WHERE run_id = %s", [run.run_id]
    ).fetchone()
    names = ("scenes", "tiles", "empty", "detections", "cut", "outside_window", "undecided")
    return {
        "run": run.name,
        "body": run.body.name,
        "batches": {state: states.get(state, 0) for state in ("open", "claimed", "done", "failed")},
        **dict(zip(names, (int(value) for value in sums or ()), strict=False)),
        "craters": catalogue[0] if catalogue else None,
        "suppressed": catalogue[1] if catalogue else None,
    }


def failed_batches(conn: Connection, run: Run) -> list[dict[str, Any]]:
    """Failed batches with their reasons, for `cda ingest status`."""
    rows = conn.execute(
        "SELECT b.batch_id, s.name, b.factor, b.attempt, b.error FROM cda.batch b"
        " JOIN cda.scene s USING (scene_id) WHERE b.run_id = %s AND b.state = 'failed'"
        " ORDER BY b.batch_id",
        [run.run_id],
    ).fetchall()
    names = ("batch", "scene", "level", "attempt", "error")
    return [dict(zip(names, row, strict=True)) for row in rows]
