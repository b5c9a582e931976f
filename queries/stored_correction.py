"""The evaluation in the database by which a run's counts are corrected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.evaluations import evaluation_bins, list_evaluations, names_of, scene_scales
from cda_db.runs import Run
from queries.density.completeness import curve_of_bins
from queries.density.correction import Correction, Scale

_SAME_SCALE = 0.01  # relative: scenes of so like a scale are one group


def stored_correction(conn: Connection, run: Run, name: str | None = None) -> Correction:
    """The correction by an evaluation of the run's own detector at the run's threshold.

    Sizes in pixels become metres by the scale of each of the run's scenes.

    Args:
        name: of the evaluation, or its number; None where there is only one.

    Raises:
        InputError: none fits, or several do.
    """
    chosen = _choose(list_evaluations(conn, model_id=run.model_id), run, name)
    curve = curve_of_bins(evaluation_bins(conn, chosen["evaluation_id"]))
    in_pixels = chosen["size_unit"] == "px"
    scales = _scales(scene_scales(conn, run), run) if in_pixels else (Scale(1.0),)
    origin = (
        f"evaluation {chosen['evaluation_id']}, {chosen['name']!r} ({chosen['kind']}), of"
        f" {chosen['model']} at {chosen['threshold']:g}"
    )
    if in_pixels:
        metres = [scale.metres for scale in scales]
        origin += f", {min(metres):.4g} to {max(metres):.4g} m a pixel"
    return Correction(curve, scales, origin)


def _choose(known: list[dict[str, Any]], run: Run, name: str | None) -> dict[str, Any]:
    threshold = float(run.config["score_threshold"])
    fitting = [
        row
        for row in known
        if abs(row["threshold"] - threshold) < 1e-6
        and name in (None, row["name"], str(row["evaluation_id"]))
    ]
    if len(fitting) == 1:
        return fitting[0]
    wanted = "" if name is None else f" {name!r}"
    if fitting:
        raise InputError(
            f"{len(fitting)} evaluations{wanted} fit run {run.name!r}: {names_of(fitting)}.",
            "Name the one whose ground is most like the run's, by name or number:"
            " --correct stored:NAME.",
        )
    raise InputError(
        f"No evaluation{wanted} of the detector of run {run.name!r} at its threshold"
        f" {threshold:g} is stored. Stored: {names_of(known)}.",
        f"Store one: cda model evaluate --threshold {threshold:g} --store NAME ...",
    )


def _scales(scenes: pd.DataFrame, run: Run) -> tuple[Scale, ...]:
    """Scenes of like scale and window together, weighted by their imaged ground.

    Raises:
        InputError: the run has searched nothing yet.
    """
    scenes = scenes[scenes["cells"] > 0]
    if scenes.empty:
        raise InputError(f"Run {run.name!r} has searched no scene yet.", "Finish it first.")
    coarser = (float(level["factor"]) for level in run.config["levels"] if level["factor"] > 1)
    factors = (1.0, *sorted(coarser))
    step = np.log1p(_SAME_SCALE)
    keys = [
        (np.log(scenes[name]) / step).round().astype(int)
        for name in ("pixel_scale_m", "least_m", "most_m")
    ]
    groups = []
    for _, group in scenes.groupby(keys):
        weight = float(group["cells"].sum())
        metres = float(np.average(group["pixel_scale_m"], weights=group["cells"]))
        groups.append(
            Scale(metres, weight, float(group["least_m"].max()), float(group["most_m"].min()),
                  factors)
        )  # fmt: skip
    return tuple(groups)
