"""Groups of scenes by name, and the trace of a run: claims, repetition, timeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from batch_steps import boxes, claim, expire, finish
from click.testing import Result
from rows import batch_ids, make_run

from cda_db.batches import claim_batch, fail_batch, open_batches
from cda_db.connection import Connection
from cda_db.errors import NotFoundError


def test_a_group_of_scenes_is_worked_and_repeated_by_itself(
    conn: Connection, cda: Callable[..., Result], tmp_path: Path
) -> None:
    """Groups can be named: claims, waiting and repetition keep to the scenes of a list."""
    run = make_run(conn, "run", 4)
    group = ["run-1", "run-3"]
    mine = [batch_ids(conn, run)[i] for i in (1, 3)]
    for expected in mine:
        batch = claim(conn, scenes=group)
        assert batch.batch_id == expected
        finish(conn, batch, boxes())
    assert claim_batch(conn, "run", threads=1, scenes=group) is None
    assert open_batches(conn, "run", group) == 0
    assert open_batches(conn, "run") == 2
    with pytest.raises(NotFoundError, match="has no scene 'run-9'"):
        open_batches(conn, "run", ["run-1", "run-9"])
    names = tmp_path / "group.txt"
    names.write_text("run-3\n\n")
    result = cda("ingest", "repeat", "--run", "run", "--scenes", f"@{names}", "--format", "json")
    assert json.loads(result.stdout) == {"batches": 1, "detections_deleted": 3}
    assert open_batches(conn, "run", group) == 1
    fail_batch(conn, claim(conn, batch_id=mine[1]), "broken")
    result = cda("ingest", "repeat", "--run", "run", "--failed", "--format", "json")
    assert json.loads(result.stdout)["batches"] == 1
    for wrong in (
        ["--run", "run"],
        [],
        ["--batch", "1", "--failed"],
        ["--run", "run", "--batch", 1],
    ):
        assert cda("ingest", "repeat", *wrong).exit_code == 2
    unknown = cda("ingest", "repeat", "--run", "run", "--scenes", "nothing")
    assert unknown.exit_code == 2 and "no scene 'nothing'" in unknown.stderr


def test_the_trace_of_a_run(conn: Connection, cda: Callable[..., Result], tmp_path: Path) -> None:
    """Every attempt with its outcome: done, failed, lost, running; as rows, figures, a picture."""
    make_run(conn, "run", 4)
    assert "No batch" in cda("ingest", "timeline", "--run", "run", "--out",
                             tmp_path / "early.png").stderr  # fmt: skip
    finish(conn, claim(conn), boxes())
    fail_batch(conn, claim(conn), "broken")
    expire(conn, claim(conn))
    finish(conn, claim(conn), boxes())  # takes the lost one over
    claim(conn)
    csv, png = tmp_path / "trace.csv", tmp_path / "trace.png"
    result = cda("ingest", "timeline", "--run", "run", "--out", csv, "--out", png, "--format",
                 "json")  # fmt: skip
    (row,) = json.loads(result.stdout)
    assert (row["batches"], row["failed"], row["lost"]) == (2, 1, 1)
    assert (row["tiles"], row["detections"]) == (2, 6)
    trace = pd.read_csv(csv)
    assert list(trace["outcome"]) == ["done", "failed", "lost", "done", "running"]
    assert list(trace["attempt"]) == [1, 1, 1, 2, 1]
    assert trace["scene"].tolist()[2] == trace["scene"].tolist()[3] == "run-2"
    # the lost attempt ends where the next one begins
    assert trace["ended_at"][2] == trace["claimed_at"][3]
    assert png.read_bytes().startswith(b"\x89PNG")
    bad = cda("ingest", "timeline", "--run", "run", "--out", tmp_path / "trace.xyz")
    assert bad.exit_code == 2
