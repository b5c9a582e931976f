"""Training: crops, one schedule run to its end, resumable, seeded.

The recipe is fixed here and written into the model card. Weights start at random or from one of our
own models, named in the card, never from weights of unknown origin. A schedule
stopped early leaves a detector that fills tiles with false boxes, so a run is resumed, not cut.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cda_db.errors import ModelError, StateError
from ingest.detector_files import ModelFiles
from ingest.training.dataset import DataRequest, build
from ingest.training.export import load_checkpoint
from ingest.training.ultra import load_ultralytics

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run; names and meanings are ultralytics' own.

    Rotation, shear and stretch are made when crops are cut (``ingest.training.crops``), where boxes
    can be kept tight; flips, scale, translation and brightness are drawn anew in each epoch.
    ``parent`` is the model whose checkpoint the weights start from, None for random weights;
    ``parent_share`` is its part in the mean of both that is written at the end. ``precision``
    is that of the convolutions: bf16 takes 0.6 of the time on a CPU that has it; weights, losses
    and validation stay in f32.
    """

    architecture: str = "yolo11n.yaml"
    parent: str | None = None
    parent_pt_sha256: str | None = None
    parent_share: float = 0.0
    epochs: int = 14
    imgsz: int = 224
    batch: int = 16
    optimizer: str = "AdamW"
    lr0: float = 0.002
    lrf: float = 0.02
    nbs: int = 32
    warmup_epochs: float = 1.0
    warmup_bias_lr: float = 0.0
    close_mosaic: int = 2
    fliplr: float = 0.5
    flipud: float = 0.5
    scale: float = 0.3
    translate: float = 0.1
    hsv_h: float = 0.0
    hsv_s: float = 0.0
    hsv_v: float = 0.3
    precision: str = "f32"
    seed: int = 0

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``YOLO.train``."""
        values = asdict(self)
        for name in ("architecture", "parent", "parent_pt_sha256", "parent_share", "precision"):
            values.pop(name)
        return values | {"deterministic": True, "amp": False, "erasing": 0.0, "auto_augment": None}


def environment() -> dict[str, str]:
    """Versions and machine kind, as the model card states them."""
    names = ("torch", "torchvision", "ultralytics-opencv-headless", "openvino", "numpy")
    found = {name: version(name) for name in names}
    return found | {"python": platform.python_version(), "machine": platform.machine()}


def train(
    data: DataRequest,
    recipe: Recipe,
    work: Path,
    threads: int,
    progress: Progress | None = None,
    hours: float | None = None,
    parent: ModelFiles | None = None,
) -> Path:
    """Train to the end of the schedule; return the folder that holds ``weights/last.pt``.

    Run again after an interruption it continues from the last finished epoch; run again after
    the end it returns at once.

    Args:
        data: what to train on; cut into crops under ``work/data`` on the first call.
        recipe: fixed settings.
        work: the run's folder; one run, one folder.
        threads: torch threads on CPU. On a machine that others use too, 1 is faster than 2: two
            threads wait for each other at every layer (measured 22 against 2 images/s).
        progress: called after every epoch with (epoch from 1, epochs, training loss).
        parent: the model named by ``recipe.parent``; its checkpoint is opened by its sha256.
        hours: shorten the schedule, never below one more epoch, so that it ends about then; the
            learning rate still falls to its end. The epochs run are in ``run/results.csv``.

    Raises:
        StateError: ``work`` holds a run of another recipe or of other data.
    """
    ultralytics = load_ultralytics(threads)
    run, last = work / "run", work / "run" / "weights" / "last.pt"
    finished = work / "finished"
    # the mean with the parent is made afterwards: it changes nothing here
    _same_request(work, repr((data, replace(recipe, parent_share=0.0))))
    if finished.exists():
        return run
    device = _device()
    if last.exists():
        model = ultralytics.YOLO(str(last))
        _watch(model, progress, recipe.epochs, hours)
        _set_precision(model, recipe.precision)
        model.train(resume=True, device=device)
    else:
        build(data, work / "data")
        model = _start(ultralytics, recipe, parent, threads)
        _watch(model, progress, recipe.epochs, hours)
        _set_precision(model, recipe.precision)
        model.train(
            data=str((work / "data" / "data.yaml").resolve()),
            project=str(work.resolve()),
            name=run.name,
            exist_ok=True,
            pretrained=parent is not None,
            device=device,
            workers=1,
            cache="ram",
            plots=False,
            val=True,
            save=True,
            patience=0,
            **recipe.arguments(),
        )
    finished.write_text("the schedule ran to its end\n")
    return run


def _start(ultralytics: Any, recipe: Recipe, parent: ModelFiles | None, threads: int) -> Any:
    """Random weights, or those of the parent's checkpoint."""
    if recipe.parent is None:
        return ultralytics.YOLO(recipe.architecture, task="detect")
    if parent is None or parent.pt is None or recipe.parent_pt_sha256 is None:
        raise ModelError(
            f"There is no checkpoint of the parent {recipe.parent}.", "Name one that has model.pt."
        )
    return load_checkpoint(parent.pt, recipe.parent_pt_sha256, threads)


def _set_precision(model: Any, precision: str) -> None:
    """Convolutions in bf16 where asked for: ultralytics' own setting refuses it on a CPU."""
    if precision == "f32":
        return
    import torch

    def enter(trainer: Any) -> None:
        network = trainer.model
        plain = network.forward

        def forward(*given: Any, **named: Any) -> Any:
            with torch.autocast(trainer.device.type, torch.bfloat16):
                return plain(*given, **named)

        network.forward = forward

    model.add_callback("on_train_start", enter)


def _device() -> str:
    import torch

    return "0" if torch.cuda.is_available() else "cpu"


def _same_request(work: Path, wanted: str) -> None:
    """Refuse to mix two requests in one folder."""
    note = work / "request.txt"
    if note.exists() and note.read_text() != wanted:
        raise StateError(
            f"{work} holds a run of another recipe or other data.",
            "Use another --work folder, or delete that one.",
        )
    work.mkdir(parents=True, exist_ok=True)
    note.write_text(wanted)


def _watch(model: Any, progress: Progress | None, epochs: int, hours: float | None) -> None:
    """Report after every epoch, and keep the schedule within ``hours``."""

    def tell(trainer: Any) -> None:
        if progress is not None:
            loss = sum(float(value) for value in trainer.tloss.values())
            progress(trainer.epoch + 1, trainer.epochs, loss)

    ticks: list[float] = []

    def fit(trainer: Any) -> None:
        if hours is None or trainer.epoch + 1 >= trainer.epochs:
            return
        spent = time.time() - trainer.train_time_start
        # The median batch: while the machine was suspended there was none.
        pace = float(np.median(np.diff(ticks))) * len(trainer.train_loader)
        more = max(1, int((hours * 3600 - spent) / pace))
        trainer.epochs = trainer.args.epochs = min(epochs, trainer.epoch + 1 + more)
        trainer._setup_scheduler()
        trainer.scheduler.last_epoch = trainer.epoch

    model.add_callback("on_train_batch_end", lambda _: ticks.append(time.monotonic()))
    model.add_callback("on_train_epoch_end", tell)
    model.add_callback("on_fit_epoch_end", fit)
