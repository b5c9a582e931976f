"""The picture of a scene with what was found on it, for a scientist to check."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cda_db import catalogue
from cda_db.connection import Connection
from cda_db.errors import StateError
from cda_db.runs import Run
from cda_db.scenes import Scene, get_scene
from queries.scene_picture import ScenePicture, scene_picture

# Verdict: colour, line width, line style, and what the legend says.
_STYLES: dict[str, tuple[str, float, str, str]] = {
    "cut": ("#38bdf8", 0.7, ":", "cut by a tile's edge"),
    "suppressed": ("#f97316", 0.6, "--", "suppressed"),
    "kept": ("#a3e635", 1.2, "-", "crater"),
}
_BAR_KM = tuple(k * 10.0**e for e in range(-3, 4) for k in (1, 2, 5))
_INCHES_A_PIXEL = 1 / 150
_SHORTEST_PX = 900


def annotate_scene(
    conn: Connection, run: Run, key: int | str, *, verdicts: tuple[str, ...] = tuple(_STYLES)
) -> Figure:
    """Draw a scene of a run with its detections.

    Args:
        key: id or name of the scene.
        verdicts: which detections: kept, suppressed, cut.

    Raises:
        StateError: the scene does not belong to the run.
        SceneError: its file is gone or unreadable.
    """
    scene_id, scene = get_scene(conn, key)
    found = catalogue.scene_detections(conn, run, scene_id)
    if found.empty and scene_id not in set(catalogue.scenes(conn, run)["scene_id"]):
        raise StateError(
            f"Scene {scene.name!r} is not in run {run.name!r}.",
            f"Add it: cda ingest run add {run.name} {scene.name}",
        )
    return draw_scene(scene, scene_picture(scene), found, title=run.name, verdicts=verdicts)


def draw_scene(
    scene: Scene,
    picture: ScenePicture,
    detections: pd.DataFrame,
    *,
    title: str = "",
    verdicts: tuple[str, ...] = tuple(_STYLES),
) -> Figure:
    """Draw detections on a picture.

    Args:
        detections: columns verdict, x_px, y_px, w_px, h_px in pixels of the scene.
        title: put before the scene's name.
        verdicts: those to draw.
    """
    height, width = picture.pixels.shape
    zoom = max(1, ceil(_SHORTEST_PX / max(height, width)))
    size = (width * zoom * _INCHES_A_PIXEL, height * zoom * _INCHES_A_PIXEL)
    margin_top, margin_bottom = 0.3, 0.45
    figure = Figure(figsize=(size[0], size[1] + margin_top + margin_bottom), facecolor="white")
    total = size[1] + margin_top + margin_bottom
    axes = figure.add_axes((0, margin_bottom / total, 1, size[1] / total))
    axes.imshow(
        picture.pixels, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0),
        interpolation="nearest",
    )  # fmt: skip
    handles = []
    for verdict, (colour, line, style, words) in _STYLES.items():
        chosen = detections[detections["verdict"] == verdict]
        if verdict not in verdicts:
            continue
        _ellipses(axes, chosen, picture.scale, colour, line, style)
        label = f"{words} ({len(chosen)})"
        handles.append(Line2D([], [], color=colour, lw=1.6, ls=style, label=label))
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    _scale_bar(axes, scene, picture)
    name = ", ".join(part for part in (title, scene.name) if part)
    figure.text(0.01, 1 - 0.05 / total, name, fontsize=8, va="top")
    axes.legend(
        handles=handles[::-1], loc="upper left", bbox_to_anchor=(0.0, 0.0), ncols=3, fontsize=7,
        frameon=False, borderaxespad=0.5, handlelength=1.6, columnspacing=1.0,
    )  # fmt: skip
    return figure


def write_picture(path: Path, figure: Figure) -> None:
    """Write a figure as PNG at the picture's own pixel size."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150, format="png")


def _ellipses(
    axes: Any,
    rows: pd.DataFrame,
    scale: tuple[float, float],
    colour: str,
    line: float,
    style: str,
) -> None:
    x, y = rows["x_px"].to_numpy(float) * scale[0], rows["y_px"].to_numpy(float) * scale[1]
    w, h = rows["w_px"].to_numpy(float) * scale[0], rows["h_px"].to_numpy(float) * scale[1]
    ellipses = EllipseCollection(
        w, h, np.zeros(len(w)), units="xy", offsets=np.stack([x, y], axis=1),
        transOffset=axes.transData, facecolors="none", edgecolors=colour, linewidths=line,
        linestyles=style,
    )  # fmt: skip
    axes.add_collection(ellipses)


def _scale_bar(axes: Any, scene: Scene, picture: ScenePicture) -> None:
    """A bar of a round length by the pixel scale at the scene's centre."""
    km_a_pixel = scene.pixel_scale_m / 1000 / picture.scale[0]
    height, width = picture.pixels.shape
    length = max(km for km in _BAR_KM if km <= max(width * km_a_pixel / 4, _BAR_KM[0]))
    words = f"{length:g} km" if length >= 1 else f"{length * 1000:g} m"
    axes.annotate(
        "", (width, height), xytext=(width - length / km_a_pixel, height), annotation_clip=False,
        arrowprops={"arrowstyle": "-", "lw": 3, "color": "black", "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    axes.annotate(
        words, (width, height), xytext=(-3, -14), textcoords="offset points", ha="right",
        va="top", fontsize=7, annotation_clip=False,
    )  # fmt: skip
