"""Kill anything at any time and run again: the same catalogue, by the checksum of its content.

Real processes of ``cda ingest work``, the shipped detector on real rasters, real signals.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cratered import write_scenes

from cda_db import embedded
from cda_db.bodies import get_body
from cda_db.check import audit, checksum
from cda_db.connection import Connection, connect, engine
from cda_db.create import create_database
from cda_db.migrate import migrate
from cda_db.models import register_model
from cda_db.runs import add_scenes, create_run, get_run, run_status
from cda_db.server_process import server_pid
from cda_db.settings import Target, find_cluster
from cda_db.settings import embedded as target_of
from ingest.detector import default_model_name, find_model
from ingest.plan import RunRequest, configuration
from ingest.register import SceneSettings, register_files

PATIENCE_S = 120.0
CDA = Path(sys.executable).with_name("cda")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_scenes(tmp_path_factory.mktemp("pictures"))


def make_run(
    conn: Connection, name: str, pictures: list[Path], *, tiles_per_batch: int = 3,
    backwards: bool = False,
) -> None:  # fmt: skip
    """A run over the pictures, 9 tiles each; three to a batch unless told otherwise."""
    outcomes = register_files(conn, [str(path) for path in pictures], SceneSettings())
    ids = [outcome.scene_id for outcome in outcomes if outcome.scene_id is not None]
    assert len(ids) == len(pictures)
    files = find_model(default_model_name())
    config = configuration(RunRequest(name, "mars", "1"), files)
    model = register_model(conn, files.name, files.sha256, files.card)
    run = create_run(conn, name, get_body("mars"), model, config)
    for scene_id in ids[::-1] if backwards else ids:
        add_scenes(conn, run, [scene_id], tiles_per_batch)
    conn.commit()


def start_worker(target: Target, name: str, *words: str) -> subprocess.Popen[str]:
    """``cda ingest work`` in a process group of its own, with a short lease."""
    return subprocess.Popen(
        [CDA, "ingest", "work", "--run", name, "--lease", "2", "--format", "json", *words],
        env=os.environ | {"CDA_DATABASE_URL": target.url},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(worker: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a worker that must succeed; the figures that it printed."""
    out, err = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 0, err
    figures: dict[str, Any] = json.loads(out)
    return figures


def wait_until(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def states(target: Target, name: str) -> dict[str, int]:
    with connect(target) as conn:
        counts: dict[str, int] = run_status(conn, get_run(conn, name))["batches"]
        return counts


def result(target: Target, name: str) -> str:
    """Checksum of a run that must be whole and sound."""
    with connect(target) as conn:
        run = get_run(conn, name)
        status = run_status(conn, run)
        assert status["batches"]["done"] == sum(status["batches"].values())
        assert status["tiles"] + status["empty"] == 36
        assert status["undecided"] == 0
        assert set(audit(conn, run).values()) == {0}
        return checksum(conn, run)


@pytest.fixture(scope="module")
def reference(module_database: Target, pictures: list[Path]) -> str:
    """Checksum of an uninterrupted run by one worker."""
    with connect(module_database) as conn:
        make_run(conn, "reference", pictures)
    figures = finish(start_worker(module_database, "reference"))
    assert figures["done"] == 12 and figures["failed"] == figures["lost"] == 0
    # the pictures overlap, so suppression across scenes has work to do
    assert figures["craters"] >= 40 and figures["suppressed"] >= 40
    return result(module_database, "reference")


def kill_in_mid_batch(target: Target, name: str) -> None:
    """SIGKILL a worker that holds a batch after having finished some others."""

    def holds_one() -> bool:
        counts = states(target, name)
        return counts["claimed"] == 1 and counts["done"] >= 2

    while True:
        worker = start_worker(target, name)
        wait_until(holds_one)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()
        time.sleep(0.3)  # a commit that was on its way
        if states(target, name)["claimed"]:
            return


def test_a_killed_worker_leaves_no_trace(
    module_database: Target, pictures: list[Path], reference: str
) -> None:
    """kill -9 in mid-batch, then work again: the lost batch is taken over, the checksum equal."""
    with connect(module_database) as conn:
        make_run(conn, "killed", pictures)
    kill_in_mid_batch(module_database, "killed")
    finish(start_worker(module_database, "killed"))
    assert result(module_database, "killed") == reference
    with connect(module_database) as conn:
        lost = conn.execute(
            "SELECT count(*) FROM cda.attempt JOIN cda.batch b USING (batch_id)"
            " JOIN cda.run USING (run_id) WHERE name = 'killed' AND outcome IS NULL"
        ).fetchone()
    assert lost is not None and lost[0] >= 1


def test_two_crews_at_once_with_other_batches_and_order(
    module_database: Target, pictures: list[Path], reference: str
) -> None:
    """Two commands, one of two workers, whole scenes a batch, scenes added backwards."""
    with connect(module_database) as conn:
        make_run(conn, "crews", pictures, tiles_per_batch=6, backwards=True)
    crews = [
        start_worker(module_database, "crews", "--workers", "2"),
        start_worker(module_database, "crews", "--no-suppress"),
    ]
    figures = [finish(crew) for crew in crews]
    assert sum(part["done"] for part in figures) == 8
    assert result(module_database, "crews") == reference


def test_a_crew_that_loses_a_member_and_one_that_loses_its_head(
    module_database: Target, pictures: list[Path], reference: str
) -> None:
    """A killed member's batch goes to the other one; a killed command takes its members along."""
    with connect(module_database) as conn:
        make_run(conn, "crew", pictures)
    head = start_worker(module_database, "crew", "--workers", "2")
    pids = two_workers(module_database)
    os.kill(head.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in pids))
    head.communicate()

    head = start_worker(module_database, "crew", "--workers", "2")
    victim = two_workers(module_database, but=pids).pop()
    os.kill(victim, signal.SIGKILL)
    _, err = head.communicate(timeout=PATIENCE_S)
    assert head.returncode == 0, err
    assert f"Worker {victim} ended with status -9" in err
    assert result(module_database, "crew") == reference


def two_workers(target: Target, but: set[int] = frozenset()) -> set[int]:  # type: ignore[assignment]
    """Process numbers of two workers that hold batches of run ``crew`` just now."""
    found: set[int] = set()

    def both() -> bool:
        with connect(target) as conn:
            rows = conn.execute(
                "SELECT pid FROM cda.attempt t JOIN cda.batch b USING (batch_id, attempt)"
                " JOIN cda.run USING (run_id) WHERE name = 'crew' AND state = 'claimed'"
            ).fetchall()
        found.clear()
        found.update({row[0] for row in rows} - but)
        return len(found) == 2

    wait_until(both)
    return found


def is_running(pid: int) -> bool:
    """Whether it is a process and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Target]:
    """A database on a server of its own, which may be stopped and killed."""
    cluster = find_cluster("crash", tmp_path)
    embedded.start(cluster)
    try:
        target = target_of(cluster)
        create_database(target)
        migrate(engine(target))
        yield target
    finally:
        embedded.remove(cluster)


def test_the_server_may_go_away_and_come_back(
    own_server: Target, pictures: list[Path], reference: str
) -> None:
    """Stopped and started, then killed -9 and started, under a working worker that stays."""
    cluster = own_server.cluster
    assert cluster is not None
    with connect(own_server) as conn:
        make_run(conn, "server", pictures)
    worker = start_worker(own_server, "server")

    def n_done() -> int:
        return states(own_server, "server")["done"]

    wait_until(lambda: n_done() >= 2)
    embedded.stop(cluster)
    time.sleep(1)
    embedded.start(cluster)
    before = n_done()
    assert before < 12
    wait_until(lambda: n_done() > before)
    pid = server_pid(cluster)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    embedded.start(cluster)
    finish(worker)
    assert result(own_server, "server") == reference
