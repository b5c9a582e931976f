"""Weights are code to pickle: nothing in them runs; and nothing here talks to a network."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.train

_LOAD = """
import sys
from pathlib import Path
from cda_db.errors import ModelError
from ingest.training.export import file_sha256, load_checkpoint
path = Path(sys.argv[1])
try:
    load_checkpoint(path, file_sha256(path), 1)
except ModelError as error:
    print("refused:", error.problem)
"""

# Every way out of the process for names and bytes is cut and written down.
_NO_NETWORK = """
import socket, sys
calls = []
def cut(*args, **kwargs):
    calls.append(args)
    raise OSError("no network in this test")
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection"):
    setattr(socket, name, cut)
socket.socket.connect = cut
socket.socket.connect_ex = cut
socket.socket.sendto = cut
"""


class Evil:
    """Runs a shell command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def run(code: str, *arguments: object) -> str:
    """Run Python code in a fresh process; its standard output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_crafted_pickle_does_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"model": Evil(mark)}, protocol=protocol))
    assert "refused" in run(_LOAD, path)
    assert not mark.exists()


def test_a_crafted_checkpoint_does_not_run(tmp_path: Path) -> None:
    import torch

    mark = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    torch.save({"model": Evil(mark), "train_args": {}}, path)
    assert "refused" in run(_LOAD, path)
    assert not mark.exists()


def test_the_mark_would_have_shown_it(tmp_path: Path) -> None:
    """The crafted object does what it should when it is unpickled carelessly."""
    mark = tmp_path / "ran"
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists()


def test_a_file_of_another_hash_is_not_even_opened(tmp_path: Path) -> None:
    from cda_db.errors import ModelError
    from ingest.training.export import load_checkpoint

    path = tmp_path / "other.pt"
    path.write_bytes(b"anything")
    with pytest.raises(ModelError, match="is not the file"):
        load_checkpoint(path, "0" * 64, 1)


def test_importing_training_and_exporting_ask_the_network_for_nothing(tmp_path: Path) -> None:
    code = (
        _NO_NETWORK
        + """
from pathlib import Path
from ingest.training.export import export_onnx, export_openvino, file_sha256
from ingest.training.ultra import load_ultralytics
out = Path(sys.argv[1])
ultralytics = load_ultralytics(1)
network = ultralytics.YOLO("yolo11n.yaml", task="detect")
network.save(out / "fresh.pt")
digest = file_sha256(out / "fresh.pt")
export_openvino(out / "fresh.pt", digest, out, 1)
export_onnx(out / "fresh.pt", digest, out, 1)
print("calls", calls)
"""
    )
    assert run(code, tmp_path).strip().splitlines()[-1] == "calls []"
    assert (tmp_path / "model.xml").is_file() and (tmp_path / "model.onnx").is_file()


def test_detecting_asks_the_network_for_nothing() -> None:
    code = (
        _NO_NETWORK
        + """
import numpy as np
from ingest.detector import Detector, default_model_name, find_model
model = find_model(default_model_name())
detector = Detector(model, threads=1, batch=1, threshold=0.3, nms_iou=0.5)
detector.detect(np.zeros((1, 416, 416), np.uint8))
print("calls", calls)
"""
    )
    assert run(code).strip() == "calls []"
