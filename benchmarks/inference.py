"""Tiles per second on the CPU: ours, ultralytics predict, SAHI; same weights, image and tiles.

Ours also in int8 where the model has a quantised sibling (``cda model export --to openvino-int8``),
and in bf16 where the CPU has it.

    .venv-train/bin/python -m benchmarks.inference --format json

Needs the extra 'train' for ultralytics, and SAHI (pip install --no-deps sahi fire termcolor tqdm).
Rounds are interleaved, so that a busy machine slows all engines alike; processor seconds a tile
are beside the wall's, and the boxes of ours and ultralytics are compared one to one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cda_db.output import show_figures, show_rows
from ingest.detector import Detector, ModelFiles, default_model_name, find_model
from ingest.tiling import TileGrid
from ingest.training.export import load_checkpoint
from ingest.training.matching import box_pairs, match

Tiles = NDArray[np.uint8]
SIDE, TILE, OVERLAP = 4000, 416, 96
THRESHOLD, NMS_IOU, MOST = 0.25, 0.5, 3000


@dataclass(frozen=True)
class Setting:
    """What every engine gets."""

    model: ModelFiles
    picture: Tiles
    tiles: Tiles
    threads: int


def picture_of(paths: list[Path], side: int) -> Tiles:
    """A square of real pixels: pictures side by side, repeated where they do not reach."""
    parts = []
    for path in paths:
        with Image.open(path) as image:
            parts.append(np.asarray(image.convert("L"), dtype=np.uint8))
    height = min(part.shape[0] for part in parts)
    strip = np.hstack([part[:height] for part in parts])
    repeat = -(-side // strip.shape[0]), -(-side // strip.shape[1])
    return np.ascontiguousarray(np.tile(strip, repeat)[:side, :side])


def cut_tiles(picture: Tiles) -> Tiles:
    """The tiles of a run's grid, shape (n, TILE, TILE)."""
    grid = TileGrid(picture.shape[1], picture.shape[0], 1.0, TILE, OVERLAP)
    corners = [grid.origin(r, c) for r in range(grid.n_rows) for c in range(grid.n_columns)]
    return np.stack([picture[y : y + TILE, x : x + TILE] for x, y in corners])


def ours(given: Setting, precision: Any, model: ModelFiles | None = None) -> Callable[[], Any]:
    """Our detector, one inference request a thread; ``model``: another one than the others'."""
    detector = Detector(
        model or given.model,
        threads=given.threads,
        precision=precision,
        batch=1,
        threshold=THRESHOLD,
        nms_iou=NMS_IOU,
    )
    return lambda: detector.detect(given.tiles)


def ultralytics_predict(given: Setting) -> Callable[[], Any]:
    """``YOLO.predict`` on the same tiles, one by one as it comes (batches are slower on CPU)."""
    assert given.model.pt is not None
    network = load_checkpoint(given.model.pt, given.model.card["pt_sha256"], given.threads)
    coloured = [np.ascontiguousarray(np.repeat(t[..., None], 3, axis=2)) for t in given.tiles]

    def run() -> list[NDArray[np.float64]]:
        found = []
        for tile in coloured:
            (result,) = network.predict(
                tile, imgsz=TILE, conf=THRESHOLD, iou=NMS_IOU, max_det=MOST, verbose=False
            )
            found.append(result.boxes.data.double().numpy()[:, :5])
        return found

    return run


def sahi(given: Setting) -> Callable[[], Any]:
    """SAHI's sliced prediction with NMS at IoU 0.3 over the whole picture."""
    from sahi import AutoDetectionModel
    from sahi.predict import get_sliced_prediction

    network = AutoDetectionModel.from_pretrained(
        model_type="ultralytics",
        model_path=str(given.model.pt),
        confidence_threshold=THRESHOLD,
        device="cpu",
        image_size=TILE,
    )
    coloured = np.repeat(given.picture[..., None], 3, axis=2)
    return lambda: get_sliced_prediction(
        coloured,
        network,
        slice_height=TILE,
        slice_width=TILE,
        overlap_height_ratio=OVERLAP / TILE,
        overlap_width_ratio=OVERLAP / TILE,
        perform_standard_pred=False,
        postprocess_type="NMS",
        postprocess_match_metric="IOU",
        postprocess_match_threshold=0.3,
        verbose=0,
    )


def measure(engines: dict[str, Callable[[], Any]], tiles: int, rounds: int) -> list[dict[str, Any]]:
    """Median tiles a second of interleaved rounds, after one round that does not count."""
    wall: dict[str, list[float]] = {name: [] for name in engines}
    processor: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(rounds + 1):
        for name, run in engines.items():
            start, start_processor = time.perf_counter(), time.process_time()
            run()
            if turn:
                wall[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - start_processor)
    return [
        {
            "engine": name,
            "tiles_per_s": round(tiles / statistics.median(wall[name]), 2),
            "best_tiles_per_s": round(tiles / min(wall[name]), 2),
            "processor_ms_per_tile": round(1000 * statistics.median(processor[name]) / tiles, 2),
        }
        for name in engines
    ]


def agreement(a: list[Any], b: list[Any]) -> float:
    """F1 between two lists of boxes a tile, matched one to one at box IoU 0.5."""
    both = total = 0
    for first, second in zip(a, b, strict=True):
        one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
        rows, _, _ = match(box_pairs(one, two, 0.5), len(one), len(two))
        both += 2 * len(rows)
        total += len(one) + len(two)
    return both / total if total else 1.0


def _quantised(model: ModelFiles, folder: str | None) -> ModelFiles | None:
    """The model in int8: the one that was named, else the sibling, if there is one."""
    sibling = model.xml.parent.with_name(f"{model.xml.parent.name}_int8")
    if folder is None and not (sibling / "card.json").is_file():
        return None
    return find_model(folder or sibling)


@click.command()
@click.option("--images", default="../shared/data/mars_ctx_mc11e/images", show_default=True)
@click.option("--model", "name", default=None, help="Name or folder; the default model otherwise.")
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--side", default=SIDE, show_default=True, help="Pixels of the picture's side.")
@click.option("--int8", default=None, help="Folder of the quantised model; NAME_int8 otherwise.")
@click.option("--without-sahi", is_flag=True)
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table")
def main(
    images: str,
    name: str | None,
    threads: int,
    rounds: int,
    side: int,
    int8: str | None,
    without_sahi: bool,
    output_format: str,
) -> None:
    """Measure the engines side by side.

    \b
    python -m benchmarks.inference --threads 2 --format json
    """
    import openvino

    model = find_model(name or default_model_name())
    picture = picture_of(sorted(Path(images).glob("*.png"))[:2], side)
    given = Setting(model, picture, cut_tiles(picture), threads)
    engines = {"ours f32": ours(given, "f32"), "ultralytics predict": ultralytics_predict(given)}
    if (quantised := _quantised(model, int8)) is not None:
        engines["ours int8"] = ours(given, "int8", quantised)
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        engines["ours bf16"] = ours(given, "bf16")
    if not without_sahi:
        engines["sahi"] = sahi(given)
    rows = measure(engines, len(given.tiles), rounds)
    same = agreement(engines["ours f32"](), engines["ultralytics predict"]())
    figures = {
        "model": model.name,
        "cpu": openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"),
        "threads": threads,
        "picture_px": side,
        "tiles": len(given.tiles),
        "f1_ours_f32_to_ultralytics": round(same, 4),
    }
    if quantised is not None:
        alike = agreement(engines["ours f32"](), engines["ours int8"]())
        figures["f1_int8_to_f32"] = round(alike, 4)
    if output_format == "json":
        show_figures(figures | {"engines": rows}, "json")
    else:
        show_figures(figures)
        show_rows(rows)


if __name__ == "__main__":
    main()
