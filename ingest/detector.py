"""Craters in tiles by OpenVINO on the CPU: fixed settings, the same boxes for the same tiles.

Each inference request runs on one thread, and as many run side by side as there are threads, so a
tile's boxes do not depend on the number of threads. They may depend on precision, batch shape and
the kind of CPU, which is why a run records ``Detector.settings``.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError, ModelError
from ingest.detector_boxes import Rows, decode, suppress
from ingest.detector_files import ModelFiles, default_model_name, find_model, own_precision

__all__ = [
    "Detector",
    "ModelFiles",
    "Precision",
    "default_model_name",
    "find_model",
    "own_precision",
]

Precision = Literal["f32", "bf16", "int8", "f16"]
Tiles = NDArray[np.uint8]


class Detector:
    """A crater detector with its settings.

    Args:
        model: from ``find_model``.
        threads: CPU threads, each with its own inference request.
        precision: ``f32``; ``bf16`` where the CPU has it; ``int8`` of a model that was quantised.
        batch: tiles a request; the last one is filled up with empty tiles.
        threshold: smallest score of a detection.
        nms_iou: box IoU above which the lesser of two boxes of one tile goes.

    Raises:
        InputError: a setting out of its range.
        ModelError: the network cannot be read, or the CPU lacks the precision.
    """

    at_once = 64  # tiles that it wants in one call: 11 MB

    def __init__(
        self,
        model: ModelFiles,
        *,
        threads: int,
        precision: Precision = "f32",
        batch: int,
        threshold: float,
        nms_iou: float,
    ) -> None:
        _check_ranges(threads, batch, threshold, nms_iou)
        self.model, self.threads, self.precision = model, threads, precision
        self.batch, self.threshold, self.nms_iou = batch, threshold, nms_iou
        self._compiled: dict[int, Any] = {}
        self._core, self._network = _read(model, precision)

    @property
    def settings(self) -> dict[str, Any]:
        """What the boxes may depend on, for the run's record."""
        import openvino

        return {
            "model": self.model.name,
            "weights_sha256": self.model.sha256.hex(),
            "threads": self.threads,
            "precision": self.precision,
            "batch": self.batch,
            "threshold": self.threshold,
            "nms_iou": self.nms_iou,
            "openvino": openvino.get_version(),
            "cpu": str(self._core.get_property("CPU", "FULL_DEVICE_NAME")),
        }

    def detect(self, tiles: Tiles) -> list[Rows]:
        """Craters of each tile.

        Args:
            tiles: uint8 grey values, shape (n, side, side); side a multiple of 32.

        Returns:
            n arrays (k, 5) float32: x0, y0, x1, y1 in tile pixels, clipped to the tile, and score;
            best first, ties by box.
        """
        if tiles.ndim != 3 or tiles.shape[1] != tiles.shape[2] or tiles.shape[1] % 32:
            raise InputError(
                f"Tiles of shape {tiles.shape}.", "Give (n, side, side), side a multiple of 32."
            )
        if tiles.dtype != np.uint8:
            raise InputError(f"Tiles of type {tiles.dtype}.", "Stretch them to uint8 first.")
        side = tiles.shape[1]
        found: list[Rows] = [np.empty((0, 5), np.float32)] * len(tiles)

        def collect(request: Any, start: int) -> None:
            raw = request.get_output_tensor(0).data
            for k in range(min(self.batch, len(tiles) - start)):
                rows = decode(raw[k], side, self.threshold)
                found[start + k] = suppress(rows, self.nms_iou)

        queue = self._queue(side)
        queue.set_callback(collect)
        for start in range(0, len(tiles), self.batch):
            queue.start_async({0: self._input(tiles[start : start + self.batch])}, start)
        queue.wait_all()
        return found

    def _input(self, part: Tiles) -> Tiles:
        """The three equal channels that the network was trained with, filled up to the batch."""
        full = np.zeros((self.batch, 3, *part.shape[1:]), np.uint8)
        full[: len(part)] = part[:, None]
        return full

    def _queue(self, side: int) -> Any:
        """One asynchronous queue a tile side, compiled on first use."""
        import openvino as ov

        if side not in self._compiled:
            network = self._network.clone()
            network.reshape([self.batch, 3, side, side])
            compiled = self._core.compile_model(
                network,
                "CPU",
                {
                    # a quantised network holds its int8 layers itself; the rest stays f32
                    "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
                    "INFERENCE_NUM_THREADS": self.threads,
                    "NUM_STREAMS": self.threads,
                    "ENABLE_CPU_PINNING": False,
                },
            )
            self._compiled[side] = ov.AsyncInferQueue(compiled, self.threads)
        return self._compiled[side]


def _read(model: ModelFiles, precision: Precision) -> tuple[Any, Any]:
    """OpenVINO's core and the network with uint8 input in it."""
    import openvino as ov

    if precision == "f16":
        raise ModelError("Precision f16 is for GPUs.", "Use --device cuda, or another precision.")
    core = ov.Core()
    abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in abilities:
        raise ModelError("This CPU has no bfloat16 arithmetic.", "Use precision f32.")
    if (precision == "int8") != (own_precision(model) == "int8"):
        raise ModelError(
            f"Model {model.name} is {own_precision(model)}, not {precision}.",
            "Use its own precision; `cda model export --to openvino-int8` makes int8 models.",
        )
    try:
        network = core.read_model(str(model.xml), str(model.bin))
    except RuntimeError as error:
        raise ModelError(
            f"OpenVINO cannot read {model.xml} ({error}).", "Restore or export the model."
        ) from error
    prepare = ov.preprocess.PrePostProcessor(network)
    prepare.input().tensor().set_element_type(ov.Type.u8)
    prepare.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return core, prepare.build()


def _check_ranges(threads: int, batch: int, threshold: float, nms_iou: float) -> None:
    if threads < 1 or batch < 1:
        raise InputError(f"{threads} threads, batch {batch}.", "Both must be at least 1.")
    if not 0 < threshold < 1 or not 0 < nms_iou <= 1:
        raise InputError(
            f"Threshold {threshold}, NMS IoU {nms_iou}.", "Use 0 < threshold < 1, 0 < IoU <= 1."
        )
