"""Runs as people ask for them: names, factors and a model become a configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cda_db.batches import batches_of, repeat_batch
from cda_db.bodies import Body, get_body
from cda_db.connection import Connection, connect
from cda_db.errors import InputError, NotFoundError
from cda_db.models import register_model
from cda_db.runs import Level, Run, RunConfig, add_scenes, create_run, get_run
from cda_db.scenes import get_scene, scene_ids, scene_instruments, scene_kinds
from ingest.detector import ModelFiles, default_model_name
from ingest.detector_files import find_with_precision
from ingest.light import WEIGHT
from ingest.tiling import default_levels
from ingest.training.storing import store_card

# What older runs' configurations lack, and how they were searched.
_LATER_KEYS = {"neighbours": False, "against_light": 0.0}


@dataclass(frozen=True)
class RunRequest:
    """The words of ``cda ingest run create``.

    Attributes:
        body: the planet; None takes that of the named scenes, which must be one.
        factors: down-sampling factors, separated by commas.
        model: name of the detector; None takes the shipped one.
        threshold: lowest score; None takes the model's own, chosen on validation data (for a run
            of elevation models, or of pictures of one instrument: the model's for those).
        extend: a run of that name and this very configuration gets the scenes instead.
        neighbours: tiles go on past a scene's edges, over other scenes of its pixel grid.
        against_light: weight of a known light (``ingest.light``).
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
    extend: bool = False
    neighbours: bool = False
    against_light: float = WEIGHT


def plan_run(request: RunRequest, scenes: list[str], *, all_scenes: bool) -> dict[str, Any]:
    """Make the run in one transaction: refused as a whole, or there as a whole.

    Raises:
        InputError: a wrong body, level list or scene; a name that is taken.
    """
    files = find_with_precision(request.model or default_model_name(), request.precision)
    named = expand_names(scenes)
    with connect(role="cda_owner") as conn:
        body = get_body(request.body or _body_of(conn, named))
        ids = scene_ids(conn, body.name) if all_scenes else _ids(conn, named)
        config = configuration(request, files, scene_kinds(conn, ids), scene_instruments(conn, ids))
        model_id = register_model(conn, files.name, files.sha256, files.card)
        store_card(conn, model_id, files.card)
        run = _existing(conn, request, body, model_id, config)
        if run is None:
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


def _existing(
    conn: Connection, request: RunRequest, body: Body, model_id: int, config: RunConfig
) -> Run | None:
    if not request.extend:
        return None
    try:
        run = get_run(conn, request.name)
    except NotFoundError:
        return None
    same = (run.body.name, run.model_id) == (body.name, model_id)
    if not same or _LATER_KEYS | run.config != config.to_json():
        raise InputError(
            f"Run {run.name!r} exists with another body, model or configuration.",
            "Choose another name; runs never change.",
        )
    return run


def configuration(
    request: RunRequest,
    files: ModelFiles,
    kinds: Collection[str] = (),
    instruments: Collection[str | None] = (),
) -> RunConfig:
    """The whole configuration; size windows start at the model's smallest box.

    Args:
        request, files: what was asked for, and the model.
        kinds, instruments: those of the scenes. A run of shaded elevation models alone, or of
            pictures of one instrument alone, gets the threshold that the model's card has for
            them, where it has one.
    """
    levels = default_levels(parse_factors(request.factors), request.tile_px, request.overlap_px)
    threshold = request.threshold
    if threshold is None:
        threshold = _own_threshold(files, kinds, instruments)
    return RunConfig(
        tile_px=request.tile_px,
        levels=levels,
        score_threshold=threshold,
        iou_threshold=request.iou,
        precision=request.precision,
        neighbours=request.neighbours,
        against_light=request.against_light,
    )


def _own_threshold(
    files: ModelFiles, kinds: Collection[str], instruments: Collection[str | None]
) -> float:
    """The model's threshold for scenes of these kinds and instruments."""
    if set(kinds) == {"elevation"} and "elevation_threshold" in files.card:
        return float(files.card["elevation_threshold"])
    one = set(kinds) == {"image"} and len(set(instruments)) == 1
    return files.threshold_for(next(iter(instruments)) if one else None)


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
        ids = _ids(conn, expand_names(scenes))
        n_batches = add_scenes(conn, run, ids)
    return {"run": run.name, "scenes_named": len(ids), "batches_made": n_batches}


def repeat_batches(
    batch_id: int | None, run_name: str | None, scenes: list[str], *, failed: bool
) -> dict[str, Any]:
    """Open one batch, or batches of a run, again; each in a transaction of its own.

    Raises:
        NotFoundError: there is no such batch, run or scene.
    """
    with connect(role="cda_owner") as conn:
        if run_name is None:
            ids = [] if batch_id is None else [batch_id]
        else:
            run = get_run(conn, run_name)
            _ids(conn, scenes)  # an unknown name is an error, not nothing to do
            ids = batches_of(conn, run.run_id, scenes=scenes or None, failed=failed)
        deleted = sum(repeat_batch(conn, one) for one in ids)
    return {"batches": len(ids), "detections_deleted": deleted}


def expand_names(words: Iterable[str]) -> list[str]:
    """Scene names as people give them: each by itself, or ``@FILE`` with one a line.

    Raises:
        InputError: a list cannot be read.
    """
    names: list[str] = []
    for word in words:
        if not word.startswith("@"):
            names.append(word)
            continue
        try:
            lines = Path(word[1:]).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{word[1:]} cannot be read as a list of scenes ({error}).",
                "Write a name a line.",
            ) from error
        names += [line.strip() for line in lines if line.strip()]
    return names


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
