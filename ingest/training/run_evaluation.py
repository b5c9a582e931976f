"""``cda model evaluate --run``: what a run found in its scenes, against a catalogue."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db import catalogue
from cda_db.cells import SUB_ORDERS, border_ranges
from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.evaluations import scene_scales
from cda_db.models import model_of
from cda_db.runs import Run, get_run
from cda_db.scenes import Scene, get_scene
from ingest.training.catalogues import Craters, Window, read_catalogue
from ingest.training.on_sphere import Contest, Ground, evaluate_on_sphere

_BLOCK_PX = 500
_PREFIX = "run:"


@dataclass(frozen=True)
class RunQuestion:
    """What is asked of a run.

    Attributes:
        run: its name.
        against: a CSV file of independent craters, or ``run:NAME``, another run's catalogue.
        scenes: only the ground of these; none means every scene that is done.
        complete: whether the catalogue lists every crater of the window.
        min_px: smallest crater judged, in pixels of the coarsest scene.
        min_km, max_km: diameters judged; override ``min_px`` and the run's largest.
        iou: least circle IoU of a match.
    """

    run: str
    against: str
    scenes: tuple[str, ...] = ()
    complete: bool = False
    min_px: float = 10.0
    min_km: float | None = None
    max_km: float | None = None
    iou: float = 0.3


def evaluate_run(conn: Connection, question: RunQuestion, seed: int = 0) -> dict[str, Any]:
    """The figures of a run against a catalogue, with the keys of a picture's report.

    Raises:
        NotFoundError: no such run or scene.
        InputError: an unusable catalogue, or nothing of the run is done.
    """
    run = get_run(conn, question.run)
    scales = scene_scales(conn, run)
    if question.scenes:
        wanted = [get_scene(conn, name)[0] for name in question.scenes]
        scales = scales[scales["scene_id"].isin(wanted)]
    if scales.empty:
        raise InputError(f"Run {run.name!r} has searched none of these scenes.", "Finish it first.")
    scenes = [get_scene(conn, int(key))[1] for key in scales["scene_id"]]
    coarsest = float(scales["pixel_scale_m"].max())
    window = Window(
        question.min_px * coarsest / 1000 if question.min_km is None else question.min_km,
        float(scales["most_m"].max()) / 1000 if question.max_km is None else question.max_km,
        iou=question.iou,
    )
    contest = Contest(
        found=_craters(conn, run),
        listed=_listed(conn, question.against, run),
        body=run.body,
        ground=Ground(tuple(part for scene in scenes for part in _ground_of(scene))),
        complete=question.complete,
        block_m=_BLOCK_PX * float(scales["pixel_scale_m"].median()),
    )
    threshold = float(run.config["score_threshold"])
    model, sha256 = model_of(conn, run.model_id)
    return {
        "model": model,
        "weights_sha256": sha256.hex(),
        "run": run.name,
        "body": run.body.name,
        "against": question.against,
        "pictures": len(scenes),
        "data_sha256": _data_sha256(contest.listed, scenes).hex(),
        "precision": run.config["precision"],
        "search": {"factors": [level["factor"] for level in run.config["levels"]]} | _search(run),
        "rules": {"measure": "circle on the sphere", "complete": question.complete}
        | asdict(window),
    } | evaluate_on_sphere(contest, window, threshold, seed)


def _ground_of(scene: Scene) -> list[tuple[int, NDArray[np.int64]]]:
    parts = border_ranges(scene.border)
    return [(scene.coverage_order, scene.coverage), (scene.coverage_order + SUB_ORDERS, parts)]


def _search(run: Run) -> dict[str, Any]:
    return {"tile": run.config["tile_px"], "iou": run.iou_threshold, "config": run.config}


def _craters(conn: Connection, run: Run) -> Craters:
    rows = catalogue.craters(conn, run)[["lon", "lat", "diameter_m", "score"]]
    return np.asarray(rows.to_numpy(np.float64))


def _listed(conn: Connection, against: str, run: Run) -> Craters:
    if not against.startswith(_PREFIX):
        path = Path(against)
        if not path.is_file():
            raise InputError(f"There is no catalogue {against}.", "Give a CSV file, or run:NAME.")
        return read_catalogue(path)
    other = get_run(conn, against.removeprefix(_PREFIX))
    if other.body.name != run.body.name:
        raise InputError(
            f"Run {other.name!r} is of {other.body.name}, {run.name!r} of {run.body.name}.",
            "Give a catalogue of the same body.",
        )
    return _craters(conn, other)[:, :3]


def _data_sha256(listed: Craters, scenes: list[Scene]) -> bytes:
    """Hash of the independent craters in the order of their content, and of the scenes."""
    total = hashlib.sha256(listed[np.lexsort(listed.T)].astype("<f8").tobytes())
    for digest in sorted(scene.sha256 for scene in scenes):
        total.update(digest)
    return total.digest()
