"""A run in int8: the quantised sibling is taken, and its craters are much like those in f32."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result
from cratered import write_scenes


def test_an_int8_run_through_the_database(cda: Callable[..., Result], tmp_path: Path) -> None:
    path = write_scenes(tmp_path)[0]
    assert cda("ingest", "scenes", path, "--body", "mars").exit_code == 0
    for precision in ("f32", "int8"):
        words = ("--body", "mars", "--all-scenes", "--levels", "1", "--precision", precision,
                 "--threshold", "0.4")  # fmt: skip
        assert cda("ingest", "run", "create", precision, *words).exit_code == 0
        done = cda("ingest", "work", "--run", precision, "--format", "json")
        assert done.exit_code == 0, done.stderr
    rows = json.loads(cda("model", "evaluations", "--format", "json").stdout)
    assert {row["model"] for row in rows} >= {"crater_yolo11n_int8"}
    done = cda("model", "evaluate", "--run", "int8", "--against", "run:f32", "--complete",
               "--format", "json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["figures"]["f1"] > 0.85
