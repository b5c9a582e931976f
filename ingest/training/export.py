"""From a training checkpoint to files that can be shipped: stripped .pt, OpenVINO IR, ONNX.

A .pt file is code to Python's pickle. Checkpoints are opened only when their sha256 is the one
that is written in a card (or, right after training, that of the file just made), and then with
torch's weights-only unpickler, which refuses anything that is not a known network.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cda_db.errors import ModelError
from ingest.training.ultra import load_ultralytics

_KEPT_ARGUMENTS = ("task", "imgsz", "epochs", "batch", "seed")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_checkpoint(path: Path, sha256: str, threads: int) -> Any:
    """The ultralytics model of a checkpoint whose hash is known.

    Raises:
        ModelError: the file is another one, or it holds more than a network.
    """
    if not path.is_file():
        raise ModelError(f"There is no {path}.", "Train a model, or name another one.")
    if file_sha256(path) != sha256:
        raise ModelError(
            f"{path} is not the file with sha256 {sha256[:12]}...", "Restore the file it was."
        )
    ultralytics = load_ultralytics(threads)
    from pickle import UnpicklingError

    try:
        return ultralytics.YOLO(str(path), task="detect")
    except (UnpicklingError, ModuleNotFoundError, TypeError, KeyError, EOFError) as error:
        raise ModelError(
            f"{path} is no network that may be opened ({type(error).__name__}: {error}).",
            "Use weights from a source you trust, registered by their sha256.",
        ) from error


def strip(checkpoint: Path, out: Path, threads: int) -> None:
    """Write the final weights in half precision without paths, optimizer or dates.

    Args:
        checkpoint: ``last.pt`` or ``best.pt`` of a finished run.
        out: file to write.
        threads: torch threads.
    """
    _save(load_checkpoint(checkpoint, file_sha256(checkpoint), threads), out)


def _save(model: Any, out: Path) -> None:
    """Write an ultralytics model's network in half precision, without what tells of its making."""
    import torch

    network = model.model.half().eval()
    for parameter in network.parameters():
        parameter.requires_grad = False
    arguments = {k: v for k, v in dict(model.ckpt["train_args"]).items() if k in _KEPT_ARGUMENTS}
    network.args = arguments
    network.pt_path = None
    network.yaml = {k: v for k, v in network.yaml.items() if k != "yaml_file"}
    saved = {
        "model": network,
        "ema": None,
        "optimizer": None,
        "epoch": -1,
        "train_args": arguments,
        "license": "AGPL-3.0",
        "version": model.ckpt["version"],
        "date": None,
    }
    torch.save(saved, out)
    refuse_paths(out)


def average(checkpoint: Path, parent: Path, parent_sha256: str, share: float, threads: int) -> None:
    """Replace a stripped checkpoint's weights by a weighted mean with those of its parent.

    Networks that went on from the same weights lie in one valley of the loss: between them it is
    often lower than at either (Wortsman et al. 2022, robust fine-tuning).

    Args:
        checkpoint: from ``strip``; rewritten.
        parent, parent_sha256: the checkpoint that training started from, and its hash.
        share: weight of the parent, 0 to 1.
        threads: torch threads.
    """
    model = load_checkpoint(checkpoint, file_sha256(checkpoint), threads)
    import torch

    old = load_checkpoint(parent, parent_sha256, threads).model.float().state_dict()
    network = model.model.float()
    mixed = {
        name: torch.lerp(values, old[name], share) if values.is_floating_point() else values
        for name, values in network.state_dict().items()
    }
    network.load_state_dict(mixed)
    _save(model, checkpoint)


def refuse_paths(path: Path) -> None:
    """A shipped file must not tell where it was made."""
    content = path.read_bytes()
    for place in (str(Path.home()), str(Path.cwd()), tempfile.gettempdir() + "/"):
        if len(place) > 1 and place.encode() in content:
            raise ModelError(f"{path} holds the local path {place}.", "Strip it before shipping.")


def export_openvino(checkpoint: Path, sha256: str, out: Path, threads: int) -> None:
    """Write ``model.xml`` and ``model.bin`` (fp16, any batch and side) under ``out``."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copyfile(checkpoint, Path(scratch) / "model.pt"))
        model = load_checkpoint(copy, sha256, threads)
        made = Path(model.export(format="openvino", half=True, dynamic=True, device="cpu"))
        out.mkdir(parents=True, exist_ok=True)
        for suffix in (".xml", ".bin"):
            (source,) = made.glob(f"*{suffix}")
            shutil.copyfile(source, out / f"model{suffix}")
            refuse_paths(out / f"model{suffix}")


def export_onnx(checkpoint: Path, sha256: str, out: Path, threads: int) -> None:
    """Write ``model.onnx`` (fp32, any batch and tile side) under ``out``."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copyfile(checkpoint, Path(scratch) / "model.pt"))
        model = load_checkpoint(copy, sha256, threads)
        made = model.export(format="onnx", dynamic=True, simplify=False, device="cpu")
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, out / "model.onnx")
