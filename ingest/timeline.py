"""A run's timeline: what each worker did, as figures and as a Gantt chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cda_db.errors import InputError

COLOURS = {"done": "#4477aa", "failed": "#cc3311", "lost": "#ee9944", "running": "#bbbbbb"}
# nobody saw a lost worker end
_LABELS = {"lost": "lost, until taken over"}
_WORKER = ["host", "pid", "job_id"]


def summary(attempts: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a worker: when it began and ended, how long it was busy, what came of it.

    Args:
        attempts: as ``cda_db.timeline.attempts`` gives them.
    """
    rows = []
    for (host, pid, job), mine in attempts.fillna({"job_id": ""}).groupby(_WORKER, sort=False):
        busy = (mine["ended_at"] - mine["claimed_at"]).dt.total_seconds()
        tiles = int(mine["tiles"].fillna(0).sum())
        rows.append(
            {
                "host": host,
                "pid": pid,
                "job": job or None,
                "first": mine["claimed_at"].min(),
                "last": mine["ended_at"].max(),
                "busy_s": round(float(busy.sum()), 2),
                "batches": int((mine["outcome"] == "done").sum()),
                "failed": int((mine["outcome"] == "failed").sum()),
                "lost": int((mine["outcome"] == "lost").sum()),
                "tiles": tiles,
                "detections": int(mine["detections"].fillna(0).sum()),
                "tiles_per_s": round(tiles / max(float(busy.sum()), 1e-9), 2),
            }
        )
    return rows


def draw(attempts: pd.DataFrame, path: str | Path) -> None:
    """A Gantt chart: a line a worker, a bar an attempt, coloured by its outcome.

    Raises:
        InputError: nothing was claimed yet, or the file's suffix names no picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    if attempts.empty:
        raise InputError("No batch of the run was claimed yet.", "Start `cda ingest work`.")
    workers = attempts[_WORKER].drop_duplicates().reset_index(drop=True)
    figure = Figure(figsize=(10, 1.6 + 0.3 * min(len(workers), 60)), layout="constrained")
    axes = figure.subplots()
    start = attempts["claimed_at"].min()
    end = attempts[["claimed_at", "ended_at"]].max().max()
    for place, (_, worker) in enumerate(workers.iterrows()):
        mine = attempts[(attempts["host"] == worker["host"]) & (attempts["pid"] == worker["pid"])]
        for outcome, part in mine.groupby("outcome"):
            left = (part["claimed_at"] - start).dt.total_seconds()
            right = (part["ended_at"].fillna(end) - start).dt.total_seconds()
            axes.broken_barh(
                list(zip(left, right - left, strict=True)), (place - 0.4, 0.8),
                facecolors=COLOURS[str(outcome)], edgecolor="white", linewidth=0.4,
            )  # fmt: skip
    jobs = workers["job_id"].fillna("").map(lambda job: f" ({job})" if job else "")
    labels = workers["host"] + ":" + workers["pid"].astype(str) + jobs
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylabel("worker (cluster job)")
    axes.invert_yaxis()
    axes.set_xlabel(f"seconds since {start:%Y-%m-%d %H:%M:%S} UTC")
    present = [name for name in COLOURS if (attempts["outcome"] == name).any()]
    axes.legend(
        handles=[Patch(color=COLOURS[name], label=_LABELS.get(name, name)) for name in present],
        loc="lower right", ncols=len(present), fontsize=7, bbox_to_anchor=(1, 1),
    )  # fmt: skip
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise InputError(
            f"{path} cannot be drawn ({error}).", "Name a .png or .svg file."
        ) from error
