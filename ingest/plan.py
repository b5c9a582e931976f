"""Runs as people ask for them: names, factors and a model become a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cda_db.bodies import get_body
from cda_db.connection import Connection, connect
from cda_db.errors import InputError
from cda_db.models import register_model
from cda_db.runs import Level, RunConfig, add_scenes, create_run, get_run
from cda_db.scenes import get_scene, scene_ids
from ingest.detector import ModelFiles, default_model_name, find_model
from ingest.tiling import default_levels


@dataclass(frozen=True)
class RunRequest:
    """The words of ``cda ingest run create``.

    Attributes:
        body: the planet; None takes that of the named scenes, which must be one.
        factors: down-sampling factors, separated by commas.
        model: name of the detector; None takes the shipped one.
        threshold: lowest score; None takes the model's own, chosen on validation data.
    """

    name: str
    body: str | None
    factors: str
    model: str | None = None
    tile_px: int = 416
    overlap_px: int = 96
    threshold: float | None = None
    iou: float = 0.3
    precision: str = "f32"


def plan_run(request: RunRequest, scenes: list[str], *, all_scenes: bool) -> dict[str, Any]:
    """Make the run in one transaction: refused as a whole, or there as a whole.

    Raises:
        InputError: a wrong body, level list or scene; a name that is taken.
    """
    files = find_model(request.model or default_model_name())
    config = configuration(request, files)
    with connect(role="cda_owner") as conn:
        body = get_body(request.body or _body_of(conn, scenes))
        ids = scene_ids(conn, body.name) if all_scenes else _ids(conn, scenes)
        model_id = register_model(conn, files.name, files.sha256, files.card)
        run = create_run(conn, request.name, body, model_id, config)
        n_batches = add_scenes(conn, run, ids)
    return {
        "run": run.name,
        "run_id": run.run_id,
        "body": body.name,
        "model": files.name,
        "scenes": len(ids),
        "batches": n_batches,
        "score_threshold": config.score_threshold,
        "levels": [level_text(level) for level in config.levels],
        "config_sha256": config.sha256().hex(),
    }


def configuration(request: RunRequest, files: ModelFiles) -> RunConfig:
    """The whole configuration; size windows start at the model's smallest box."""
    levels = default_levels(parse_factors(request.factors), request.tile_px, request.overlap_px)
    threshold = request.threshold
    return RunConfig(
        tile_px=request.tile_px,
        levels=levels,
        score_threshold=float(files.card["threshold"]) if threshold is None else threshold,
        iou_threshold=request.iou,
        nms_iou=float(files.card["nms_iou"]),
        precision=request.precision,
    )


def parse_factors(text: str) -> list[float]:
    """``0.25,1,8`` as numbers.

    Raises:
        InputError: something else than numbers.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"Levels {text!r} are no list of numbers.", "Separate them by commas: --levels 1,8,32."
        ) from error


def level_text(level: Level) -> str:
    """``1: 6-92 px, overlap 96`` for people."""
    return f"{level.factor:g}: {level.min_px:g}-{level.max_px:g} px, overlap {level.overlap_px}"


def extend_run(name: str, scenes: list[str]) -> dict[str, Any]:
    """Add scenes by name to a run, all or none."""
    with connect(role="cda_owner") as conn:
        run = get_run(conn, name)
        n_batches = add_scenes(conn, run, _ids(conn, scenes))
    return {"run": run.name, "scenes_named": len(scenes), "batches_made": n_batches}


def _ids(conn: Connection, names: list[str]) -> list[int]:
    return [get_scene(conn, name)[0] for name in names]


def _body_of(conn: Connection, names: list[str]) -> str:
    """The one body of the named scenes."""
    bodies = {get_scene(conn, name)[1].body for name in names}
    if len(bodies) != 1:
        raise InputError(
            f"The run's body is not said, and its scenes are of {sorted(bodies) or 'none'}.",
            "Give --body.",
        )
    return bodies.pop()
