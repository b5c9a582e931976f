"""The cluster workflow by real Snakemake: pictures to catalogue, killed, resumed, extended."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
from cratered import write_scenes

from cda_db.check import checksum
from cda_db.connection import connect
from cda_db.runs import get_run, run_status
from cda_db.settings import Target
from workflow.groups import group_names, picture_files, split

CHECKOUT = Path(__file__).resolve().parents[2]
SNAKEMAKE = CHECKOUT / ".venv-workflow" / "bin" / "snakemake"
MADE = ["craters.gpkg", "density.tif", "density.png", "timeline.png", "trace.csv", "summary.json"]


class Flow:
    """A workflow of its own folder on a database of its own."""

    def __init__(self, folder: Path, target: Target) -> None:
        # `make test` installs it; without it this must fail, not pass by
        assert SNAKEMAKE.exists(), "make setup-workflow"
        self.folder, self.target = folder, target
        self.out = folder / "out"
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        config = {
            "run": "flow", "body": "mars", "pictures": str(self.pictures), "out": str(self.out),
            "group_size": 2, "levels": "1", "light": 270,
            "workers": 1, "suppress_workers": 1, "lease": 3,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config))

    def start(self, *words: str) -> subprocess.Popen[str]:
        profile = CHECKOUT / "workflow" / "profiles" / "local"
        return subprocess.Popen(
            [SNAKEMAKE, "-s", CHECKOUT / "workflow" / "Snakefile", "--profile", profile,
             "--cores", "2", "--configfile", self.folder / "config.json", *words],
            cwd=self.folder, env=os.environ | {"CDA_DATABASE_URL": self.target.url},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def go(self, *words: str) -> str:
        """Run to the end; what Snakemake said."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said

    def status(self) -> dict[str, Any]:
        with connect(self.target) as conn:
            return run_status(conn, get_run(conn, "flow"))


def wait_until(question: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_killed_resumed_extended(database: Target, tmp_path: Path) -> None:
    """kill -9 of the whole workflow while groups work; the same command again; a new picture."""
    flow = Flow(tmp_path, database)
    pictures = write_scenes(tmp_path)
    for path in pictures[:3]:
        shutil.copy(path, flow.pictures)
    killed = flow.start()
    wait_until(lambda: any(flow.out.glob("work/*.json")) or killed.poll() is not None)
    wait_until(lambda: flow.status()["batches"]["open"] < 3)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()

    flow.go()
    for name in MADE:
        assert (flow.out / name).stat().st_size > 0, name
    summary = json.loads((flow.out / "summary.json").read_text())
    status = flow.status()
    assert status["batches"] == {"open": 0, "claimed": 0, "done": 3, "failed": 0}
    assert summary["catalogue"]["craters"] == status["craters"] > 20
    assert {row["n"] for row in summary["check"]} == {0}
    with rasterio.open(flow.out / "density.tif") as density:
        assert density.crs is not None and "Mars" in density.crs.to_wkt()
    with (flow.out / "trace.csv").open() as file:
        trace = list(csv.DictReader(file))
    assert {row["scene"] for row in trace} == {path.stem for path in pictures[:3]}
    assert (flow.out / "groups" / "0002.txt").read_text().split() == ["ground_10"]

    assert "Nothing to be done" in flow.go()
    (flow.out / "density.png").unlink()
    said = flow.go()
    assert "rule density" in said and "rule work" not in said

    shutil.copy(pictures[3], flow.pictures)
    flow.go("--until", "suppress")
    assert flow.status()["batches"]["done"] == 4
    with connect(database) as conn:
        together = checksum(conn, get_run(conn, "flow"))
        lights = conn.execute("SELECT DISTINCT view -> 'options' FROM cda.scene").fetchall()
    assert lights == [({"light_deg": 270.0},)]
    assert together.split("-")[0] == str(flow.status()["detections"])

    # one group by itself, as a person repeats it: the same content again
    cda = SNAKEMAKE.parents[2] / ".venv" / "bin" / "cda"
    subprocess.run(
        [cda, "ingest", "repeat", "--run", "flow", "--scenes", f"@{flow.out}/groups/0001.txt"],
        env=os.environ | {"CDA_DATABASE_URL": database.url}, check=True, capture_output=True,
    )  # fmt: skip
    flow.go("--forcerun", "work", "--until", "suppress")
    with connect(database) as conn:
        assert checksum(conn, get_run(conn, "flow")) == together

    report = flow.folder / "report.html"
    flow.go("--report", str(report))
    assert "timeline" in report.read_text()
    graph = flow.start("--rulegraph", "--quiet").communicate(timeout=60)[0]
    assert all(f'label = "{rule}"' in graph for rule in ("register", "work", "suppress"))


def test_a_failed_batch_stops_the_workflow_in_words(database: Target, tmp_path: Path) -> None:
    """A picture that vanishes after registration: no catalogue is made as if all were well."""
    flow = Flow(tmp_path, database)
    for path in write_scenes(tmp_path)[:2]:
        shutil.copy(path, flow.pictures)
    flow.go("--until", "run")
    (flow.pictures / "ground_00.tif").rename(tmp_path / "away.tif")
    (flow.pictures / "ground_00.tif").write_bytes(b"no picture any more")
    os.utime(flow.pictures / "ground_00.tif", (1, 1))  # as Snakemake sees it, nothing changed
    failed = flow.start("--rerun-triggers", "mtime")
    said, _ = failed.communicate(timeout=300)
    assert failed.returncode != 0
    assert "Batches are not done: {'failed': 1}" in said
    assert not (flow.out / "catalogue.json").exists()
    shutil.move(tmp_path / "away.tif", flow.pictures / "ground_00.tif")
    os.utime(flow.pictures / "ground_00.tif", (1, 1))
    cda = CHECKOUT / ".venv" / "bin" / "cda"
    subprocess.run(
        [cda, "ingest", "repeat", "--run", "flow", "--failed"],
        env=os.environ | {"CDA_DATABASE_URL": database.url}, check=True, capture_output=True,
    )  # fmt: skip
    flow.go("--rerun-triggers", "mtime", "--forcerun", "work", "--until", "suppress")
    assert (flow.out / "catalogue.json").exists()


def test_groups_are_known_before_anything_is_registered(tmp_path: Path) -> None:
    for name in ("b.tif", "a.TIF", "note.txt"):
        (tmp_path / name).touch()
    assert [Path(path).name for path in picture_files(str(tmp_path))] == ["a.TIF", "b.tif"]
    (tmp_path / "list.txt").write_text("b.tif  # first\n\n")
    assert picture_files(f"@{tmp_path}/list.txt") == [str(tmp_path / "b.tif")]
    with pytest.raises(SystemExit, match="names no picture"):
        picture_files(str(tmp_path / "*.jp2"))
    assert group_names(0, 100) == ["0001"]
    assert group_names(201, 100) == ["0001", "0002", "0003"]


@pytest.mark.parametrize(("n", "k"), [(0, 1), (3, 2), (15_001, 151), (2, 5)])
def test_every_scene_is_in_one_group(n: int, k: int) -> None:
    names = [f"s{i}" for i in range(n)]
    groups = split(names, group_names(k, 1))
    assert [name for members in groups.values() for name in members] == names
    assert len(groups) == k
    assert max(map(len, groups.values())) - min(map(len, groups.values())) <= 1
