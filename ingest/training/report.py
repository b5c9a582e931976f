"""Evaluations as people read them: tables, and one picture with curve, sizes and worst misses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from cda_db.output import show_figures, show_rows
from ingest.training.evaluate import Evaluation
from ingest.training.judging import sizes

_THUMBNAILS = 12


def print_report(report: dict[str, Any], output_format: str) -> None:
    """Print the figures on stdout as tables, or all of them as one JSON object."""
    if output_format == "json":
        show_figures(report, "json")
        return
    rules = report["rules"]
    head = {key: report[key] for key in ("model", "pictures", "labels", "threshold")}
    show_figures(head | report["diameters"])
    click.echo(f"\n{_rules_text(rules)}, 95 % intervals:")
    show_rows([_line("main", report["figures"]), _line("all sizes", report["all_sizes"])])
    click.echo("\nOther measures:")
    show_rows([{"measure": name} | row for name, row in report["other_measures"].items()])
    click.echo("\nAP50: " + ", ".join(f"{name} {v}" for name, v in report["ap50"].items()))
    click.echo("\nBy size (recall by label, precision by detection):")
    show_rows(report["by_size"])
    if report["curve"]:
        click.echo("\nAlong the curve:")
        show_rows(report["curve"])
    if "people" in report:
        click.echo("\nPeople and the model by the same rules:")
        show_rows(report["people"])


def _rules_text(rules: dict[str, Any]) -> str:
    if "min_px" in rules:
        return f"From {rules['min_px']:g} px, {rules['measure']} IoU {rules['iou']:g}"
    return f"{rules['min_km']:g} to {rules['max_km']:g} km, circle IoU {rules['iou']:g}"


def _line(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"objects": name}
    for key in ("precision", "recall", "f1"):
        low, high = figures[f"{key}_95"]
        row[key] = f"{_text(figures[key])} [{_text(low)}, {_text(high)}]"
    return row | {key: figures[key] for key in ("right", "false", "missed")}


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def draw(result: Evaluation, out: Path) -> None:
    """Write a PNG: precision-recall curve, figures by size, and the worst misses.

    Worst are the largest missed labels and the false detections of the highest scores.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8.5), layout="constrained")
    halves: Any = figure.subfigures(2, 1)
    top, bottom = halves
    curve_axes, size_axes = top.subplots(1, 2)
    _draw_curve(result.report, curve_axes)
    _draw_sizes(result.report, size_axes)
    axes = bottom.subplots(2, _THUMBNAILS // 2)
    for axis in axes.flat:
        axis.set_axis_off()
    thumbnails = _worst(result)
    for axis, (title, crop, circle) in zip(axes.flat, thumbnails, strict=False):
        axis.imshow(crop, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=8)
        _ring(axis, circle)
    figure.suptitle(f"{result.report['model']}, {result.report['pictures']} pictures")
    figure.savefig(out, dpi=100)


def _draw_curve(report: dict[str, Any], axes: Any) -> None:
    rows = [row for row in report["curve"] if row["precision"] is not None]
    axes.plot([row["recall"] for row in rows], [row["precision"] for row in rows], ".-")
    main = report["figures"]
    axes.plot(main["recall"], main["precision"], "o", label=f"threshold {report['threshold']:g}")
    for row in report.get("people", []):
        if row["picture"] == "all marked" and row["who"] != "model":
            axes.plot(row["recall"], row["precision"], "x", color="grey")
    least = report["rules"]["min_px"]
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title(
        f"from {least:g} px (crosses: people)" if "people" in report else f"{least:g} px"
    )
    axes.legend(loc="lower left")


def _draw_sizes(report: dict[str, Any], axes: Any) -> None:
    rows = report["by_size"]
    middle = [float(np.sqrt(row["from_px"] * row["to_px"])) for row in rows]
    for key, count in (("recall", "labels"), ("precision", "detections")):
        values = [np.nan if row[key] is None else row[key] for row in rows]
        axes.plot(middle, values, "o-", label=key)
        for x, y, row in zip(middle, values, rows, strict=True):
            if np.isfinite(y):
                axes.annotate(str(row[count]), (x, y), fontsize=7)
    axes.set(xscale="log", xlabel="size in px", ylim=(-0.02, 1.05), title="by size, all counts")
    axes.legend(loc="lower right")


def _worst(result: Evaluation) -> list[tuple[str, NDArray[np.uint8], tuple[float, float, float]]]:
    """Titles, crops and circles (x, y, diameter in the crop) of the worst misses."""
    missed, false = [], []
    for file, one in zip(result.labelled.files, result.judged, strict=True):
        labels, rows = one.picture.boxes[one.missed], one.found[one.false]
        missed += [(size, file, box) for size, box in zip(sizes(labels), labels, strict=True)]
        false += [(float(row[4]), file, row[:4]) for row in rows]
    half = _THUMBNAILS // 2
    chosen = [
        (f"missed, {size:.0f} px", file, box)
        for size, file, box in sorted(missed, key=lambda item: -item[0])[:half]
    ]
    chosen += [
        (f"false, score {score:.2f}", file, box)
        for score, file, box in sorted(false, key=lambda item: -item[0])[:half]
    ]
    return [(title, *_crop(file.pixels(), box)) for title, file, box in chosen]


def _crop(
    pixels: NDArray[np.uint8], box: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], tuple[float, float, float]]:
    x, y = (box[:2] + box[2:]) / 2
    size = float(np.sqrt(np.prod(box[2:] - box[:2])))
    reach = int(max(24, 1.5 * size))
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    crop = pixels[top : int(y) + reach, left : int(x) + reach]
    return crop, (float(x) - left, float(y) - top, size)


def _ring(axis: Any, circle: tuple[float, float, float]) -> None:
    from matplotlib.patches import Circle

    x, y, diameter = circle
    # imshow puts pixel centres on whole numbers; ours are at halves.
    axis.add_patch(Circle((x - 0.5, y - 0.5), diameter / 2, fill=False, color="tab:orange"))
