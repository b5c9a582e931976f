"""Rows for tests: runs, scenes and detections at chosen places, straight into the tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, box

from cda_db.bodies import get_body
from cda_db.bulk import copy_arrays
from cda_db.connection import Connection
from cda_db.models import register_model
from cda_db.runs import Level, Run, RunConfig, add_scenes, create_run
from cda_db.scenes import Scene, register_scene

LEVEL = Level(1.0, 96, 6.0, 92.0)


def scene(name: str, body: str = "mars", **changes: object) -> Scene:
    """A small scene near the equator, valid in every field."""
    digest = hashlib.sha256(name.encode()).digest()
    values: dict[str, object] = {
        "sha256": digest, "file_sha256": digest, "name": name, "path": f"/nowhere/{name}.tif",
        "size_bytes": 1, "body": body, "driver": "GTiff", "dtype": "uint8", "kind": "image",
        "view": None, "shading": None, "radiometry": {}, "width": 416, "height": 416,
        "transform": (100.0, 0.0, 0.0, 0.0, -100.0, 0.0), "projection": "equirectangular",
        "lon_0_deg": 0.0, "lat_ts_deg": 0.0, "radius_m": get_body(body).radius_m,
        "crs_wkt": get_body(body).crs("equirectangular").to_wkt(), "source_crs_wkt": "",
        "pixel_scale_m": 100.0, "footprint": MultiPolygon([box(0, -0.7, 0.7, 0)]),
        "coverage_order": 6, "coverage": np.array([[0, 1]]), "label": {},
    }  # fmt: skip
    return Scene(**(values | changes))  # type: ignore[arg-type]


def make_run(
    conn: Connection, name: str, n_scenes: int = 1, body: str = "mars", threshold: float = 0.3,
    levels: tuple[Level, ...] = (LEVEL,),
) -> Run:  # fmt: skip
    """A run with scenes of one tile each, hence one batch a scene and level."""
    card = {"architecture": "none", "diameter_factor": 1.0}
    model = register_model(conn, "rows", hashlib.sha256(b"rows").digest(), card)
    config = RunConfig(416, levels, score_threshold=0.0, iou_threshold=threshold)
    run = create_run(conn, name, get_body(body), model, config)
    ids = [register_scene(conn, scene(f"{name}-{i}", body))[0] for i in range(n_scenes)]
    add_scenes(conn, run, ids)
    conn.commit()
    return run


@dataclass(frozen=True)
class Detections:
    """Detections of one run; ``batch`` says in which batch (0, 1, ...) each was found."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    diameter_m: NDArray[np.float32]
    score: NDArray[np.float32]
    batch: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lon)


def batch_ids(conn: Connection, run: Run) -> list[int]:
    """Batches in the order of scene name and level."""
    rows = conn.execute(
        "SELECT b.batch_id FROM cda.batch b JOIN cda.scene s USING (scene_id)"
        " WHERE run_id = %s ORDER BY length(s.name), s.name, factor",
        [run.run_id],
    )
    return [row[0] for row in rows]


def content_order(conn: Connection, run: Run) -> dict[int, int]:
    """Rank of each batch by content (scene sha256, level), computed here, not by the database."""
    rows = conn.execute(
        "SELECT b.batch_id, encode(s.sha256, 'hex'), b.factor FROM cda.batch b"
        " JOIN cda.scene s USING (scene_id) WHERE run_id = %s",
        [run.run_id],
    ).fetchall()
    return {row[0]: rank for rank, row in enumerate(sorted(rows, key=lambda row: row[1:]))}


def store(
    conn: Connection, run: Run, found: Detections, only: Sequence[int] | None = None
) -> NDArray[np.int64]:
    """Write detections and close their batches; returns each row's detection_id.

    With ``only``, just the rows of these batches are written; ids are the same as without.
    """
    ids = batch_ids(conn, run)
    detection_id = np.empty(len(found), dtype=np.int64)
    for number, batch_id in enumerate(ids):
        mine = np.flatnonzero(found.batch == number)
        detection_id[mine] = (batch_id << 22) + np.arange(len(mine))
        if only is not None and number not in only:
            continue
        n = len(mine)
        copy_arrays(
            conn,
            f"detection_r{run.run_id}",
            {
                "run_id": np.full(n, run.run_id, dtype=np.int32),
                "tile_row": np.zeros(n, dtype=np.int16),
                "tile_col": np.zeros(n, dtype=np.int16),
                "detection_id": detection_id[mine],
                "lon": found.lon[mine],
                "lat": found.lat[mine],
                "diameter_m": found.diameter_m[mine],
                "score": found.score[mine],
                **{
                    side: np.arange(n, dtype=np.float32) + extra
                    for side, extra in (("x0", 0), ("y0", 0), ("x1", 10), ("y1", 10))
                },
                "cut": np.zeros(n, dtype=bool),
                "data_edge": np.zeros(n, dtype=bool),
            },
        )
        conn.execute(
            "UPDATE cda.batch SET state = 'done', attempt = 1, n_detections = %s, n_cut = 0,"
            " n_tiles = 1, n_empty = 0, n_outside = 0, decided = false, finished_at = now(),"
            " west = %s, east = %s, south = %s, north = %s, max_diameter_m = %s"
            " WHERE batch_id = %s",
            [n, *_bounds(found, mine), batch_id],
        )
    conn.commit()
    return detection_id


def _bounds(found: Detections, mine: NDArray[np.int64]) -> list[float | None]:
    if not len(mine):
        return [None] * 5
    lon, lat = found.lon[mine], found.lat[mine]
    values = (lon.min(), lon.max(), lat.min(), lat.max(), found.diameter_m[mine].max())
    return [float(value) for value in values]
