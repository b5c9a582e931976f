"""Craters in tiles by torch, for machines with a GPU: the same boxes behind the same interface.

Convolutions in half precision and channels-last layout where the run says ``f16``; boxes are put
together in float (half precision knows a quarter of a pixel at 400). Tiles go to the device from
pinned memory in large batches, and the boxes of one batch are taken out while the device works on
the next. The checkpoint is opened as everywhere: by its registered sha256, weights only. Needs the
extra 'train'.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError, ModelError
from ingest.detector_boxes import Rows, decode, suppress
from ingest.detector_files import ModelFiles

Tiles = NDArray[np.uint8]
PRECISIONS = ("f32", "f16")


class TorchDetector:
    """A crater detector on a torch device; see ``ingest.detector.Detector`` for ``detect``.

    Args:
        model: from ``find_model``; it must have its checkpoint.
        device: ``cuda``, ``cuda:1``, or ``cpu`` (float32; slower there than OpenVINO).
        precision: ``f32``, or ``f16`` on a GPU.
        batch: tiles a forward pass.
        threshold: smallest score of a detection.
        nms_iou: box IoU above which the lesser of two boxes of one tile goes.

    Raises:
        ModelError: no checkpoint, no such device, or a precision that it has not.
    """

    at_once = 256  # tiles that it wants in one call: some batches to overlap

    def __init__(
        self,
        model: ModelFiles,
        *,
        device: str,
        precision: str = "f32",
        batch: int = 64,
        threshold: float,
        nms_iou: float,
    ) -> None:
        if model.pt is None or "pt_sha256" not in model.card:
            raise ModelError(f"Model {model.name} has no checkpoint.", "Use --device cpu.")
        if precision not in PRECISIONS or (precision == "f16" and device == "cpu"):
            raise ModelError(
                f"Precision {precision} is not for device {device}.",
                "Use f32 anywhere, f16 on a GPU; int8 and bf16 are OpenVINO's (--device cpu).",
            )
        self.model, self.device, self.precision = model, device, precision
        self.batch, self.threshold, self.nms_iou = batch, threshold, nms_iou
        self._torch, self._network = _load(model, device)
        self._pinned = device != "cpu"

    @property
    def settings(self) -> dict[str, Any]:
        """What the boxes may depend on, for the run's record."""
        on_gpu = self.device != "cpu"
        return {
            "model": self.model.name,
            "weights_sha256": self.model.sha256.hex(),
            "device": self._torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            "precision": self.precision,
            "batch": self.batch,
            "threshold": self.threshold,
            "nms_iou": self.nms_iou,
            "torch": str(self._torch.__version__),
        }

    def detect(self, tiles: Tiles) -> list[Rows]:
        """Craters of each tile: x0, y0, x1, y1 in tile pixels and score, (k, 5), best first."""
        if tiles.ndim != 3 or tiles.shape[1] != tiles.shape[2] or tiles.shape[1] % 32:
            raise InputError(
                f"Tiles of shape {tiles.shape}.", "Give (n, side, side), side a multiple of 32."
            )
        if tiles.dtype != np.uint8:
            raise InputError(f"Tiles of type {tiles.dtype}.", "Stretch them to uint8 first.")
        found: list[Rows] = []
        half = self._torch.autocast("cuda", self._torch.float16, enabled=self.precision == "f16")
        with self._torch.inference_mode(), half:
            before = None
            for raw in self._passes(tiles):  # launched; the device works on while we decode
                if before is not None:
                    found += self._boxes(before, tiles.shape[1])
                before = raw
            if before is not None:
                found += self._boxes(before, tiles.shape[1])
        return found

    def _passes(self, tiles: Tiles) -> Iterator[Any]:
        """Raw output (n, 5, anchors) of each batch, on the device."""
        torch = self._torch
        for start in range(0, len(tiles), self.batch):
            part = torch.from_numpy(np.ascontiguousarray(tiles[start : start + self.batch]))
            if self._pinned:
                part = part.pin_memory().to(self.device, non_blocking=True)
            grey = part.float().div_(255.0)[:, None].expand(-1, 3, -1, -1)
            output = self._network(grey.contiguous(memory_format=torch.channels_last))
            yield output[0] if isinstance(output, tuple) else output

    def _boxes(self, raw: Any, side: int) -> list[Rows]:
        """Boxes of each tile of a batch; only candidates cross to the host."""
        keep = raw[:, 4] >= self.threshold
        tile, _ = keep.nonzero(as_tuple=True)
        candidates = raw.transpose(1, 2)[keep].float().cpu().numpy()
        counts = np.bincount(tile.cpu().numpy(), minlength=len(raw))
        split = np.split(candidates, np.cumsum(counts)[:-1])
        return [suppress(decode(rows.T, side, self.threshold), self.nms_iou) for rows in split]


def _load(model: ModelFiles, device: str) -> tuple[Any, Any]:
    """Torch and the network on the device, with batch norms folded into the convolutions."""
    from ingest.training.export import load_checkpoint

    assert model.pt is not None  # the caller looked
    loaded = load_checkpoint(model.pt, model.card["pt_sha256"], 1)
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        raise ModelError(f"Torch sees no device {device}.", "Use --device cpu.")
    network = loaded.model.float().fuse(verbose=False).eval()
    torch.backends.cudnn.benchmark = True  # one shape of tile: the search pays once
    return torch, network.to(device, memory_format=torch.channels_last)
