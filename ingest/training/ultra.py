"""The one door to ultralytics and torch: quiet, offline, safe loading, our thread count.

``import ultralytics`` looks names up on the network, may install packages and unpickles weights
(a crafted .pt can run a command). All of that is switched off by environment variables that are
read while it is imported, so nothing else in this project imports it directly. It also patches
``PIL.Image.open`` and sets OMP_NUM_THREADS: keep it out of processes that do other work.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from cda_db.errors import ModelError

_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",
    "YOLO_VERBOSE": "false",
}


def load_ultralytics(threads: int) -> Any:
    """Import ultralytics safely and return the module.

    Args:
        threads: torch threads; ultralytics takes all cores but one unless told otherwise.

    Raises:
        ModelError: the extra ``train`` is not installed, or ultralytics was imported before
            without these settings.
    """
    if "ultralytics" in sys.modules and os.environ.get("ULTRALYTICS_SAFE_LOAD") != "true":
        raise ModelError(
            "ultralytics was imported before its safe settings were made.",
            "Start a fresh process and call cda's functions first.",
        )
    os.environ.update(_ENVIRONMENT)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["YOLO_CONFIG_DIR"] = str(_scratch_settings())
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModelError(
            f"The package {error.name} is missing.",
            "Install the extra: pip install 'crater-db[train]' (see docs/detector.md).",
        ) from error
    _define_nms(torch)
    import ultralytics
    from ultralytics.utils import torch_utils

    torch_utils.NUM_THREADS = threads
    torch.set_num_threads(threads)
    return ultralytics


def _scratch_settings() -> Path:
    """A settings folder of this process with a font in it (a missing font would be fetched)."""
    import matplotlib

    folder = Path(tempfile.gettempdir()) / f"cda-ultralytics-{os.getuid()}"
    inner = folder / "Ultralytics"
    inner.mkdir(parents=True, exist_ok=True)
    font = inner / "Arial.ttf"
    if not font.exists():
        source = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        shutil.copyfile(source, font)
    return folder


def _define_nms(torch: Any) -> None:
    """Give CPU torch the two operators that torchvision's CUDA build fails to bring.

    The published torchvision does not import beside a CPU build of torch (``operator
    torchvision::nms does not exist``). Where its own library loads, that one is used.
    """
    if _KEEP_ALIVE:
        return
    found = importlib.util.find_spec("torchvision")
    for place in found.submodule_search_locations or () if found else ():
        for path in sorted(Path(place).glob("_C*.so")):
            try:
                torch.ops.load_library(str(path))
            except OSError:
                continue
            return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl(name, _nms, "CPU")
    _KEEP_ALIVE.append(library)
    extension: Any = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True


_KEEP_ALIVE: list[Any] = []


def _nms(dets: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy box NMS through OpenCV: indices kept, best score first. dets is (n, 4) xyxy."""
    import cv2
    import torch

    if dets.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    xyxy = dets.detach().double().numpy()
    boxes = xyxy.copy()
    boxes[:, 2:] -= xyxy[:, :2]
    kept = cv2.dnn.NMSBoxes(
        boxes.tolist(), scores.detach().double().tolist(), 0.0, float(iou_threshold)
    )
    return torch.as_tensor(kept, dtype=torch.int64).flatten()
