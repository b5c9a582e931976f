"""The embedded server survives what laptops and clusters do to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cda_db import embedded
from cda_db.connection import connect
from cda_db.errors import ServerError
from cda_db.server_files import make_directories, make_private
from cda_db.server_process import server_pid
from cda_db.settings import Cluster, find_cluster, save_cluster
from cda_db.settings import embedded as target_of

START = """
import sys
from pathlib import Path
from cda_db import embedded
from cda_db.settings import find_cluster
print(embedded.start(find_cluster("own", Path(sys.argv[1]))).pid)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own, for a checkout that does not exist otherwise."""
    made = find_cluster("own", tmp_path_factory.mktemp("checkout"))
    yield made
    embedded.remove(made)
    assert not made.data_dir.exists()


def _ask(cluster: Cluster, question: str) -> object:
    with connect(cluster.url("postgres", "postgres")) as conn:
        row = conn.execute(question).fetchone()
        return row[0] if row else None


def test_two_processes_start_one_server(cluster: Cluster) -> None:
    command = [sys.executable, "-c", START, str(cluster.home)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {process.communicate(timeout=60)[0] for process in both}
    assert pids == {f"{server_pid(cluster)}\n"}


def test_an_interrupted_initdb_is_begun_again(tmp_path: Path) -> None:
    made = find_cluster("test", tmp_path)
    half = made.data_dir.with_name("data.new")
    make_directories(made)
    make_private(half)
    (half / "PG_VERSION").write_text("15\n")
    try:
        assert not embedded.status(made).initialised
        assert embedded.start(made).running
        assert not half.exists()
    finally:
        embedded.remove(made)


def test_a_strict_umask_does_not_lock_the_server_out(tmp_path: Path) -> None:
    made = find_cluster("test", tmp_path)
    command = [sys.executable, "-c", START.replace('"own"', '"test"'), str(tmp_path)]
    try:
        subprocess.run(command, check=True, stdout=subprocess.PIPE, umask=0o077)
        assert embedded.status(made).running
    finally:
        embedded.remove(made)
    assert not made.data_dir.parent.exists()
    assert not made.socket_dir.exists()


def test_is_safe_and_listens_to_no_network(cluster: Cluster) -> None:
    embedded.start(cluster)
    assert _ask(cluster, "SHOW data_checksums") == "on"
    assert _ask(cluster, "SHOW fsync") == "on"
    assert _ask(cluster, "SHOW full_page_writes") == "on"
    assert _ask(cluster, "SHOW listen_addresses") == ""
    assert _ask(cluster, "SHOW server_encoding") == "UTF8"
    assert _ask(cluster, "SHOW jit") == "off"
    assert cluster.socket_dir.stat().st_mode & 0o777 == 0o700


def test_the_server_is_nobody_but_its_user(cluster: Cluster) -> None:
    pid = embedded.start(cluster).pid
    owner = Path(f"/proc/{pid}").stat().st_uid
    assert owner == cluster.data_dir.stat().st_uid != 0


def test_comes_back_after_a_kill(cluster: Cluster) -> None:
    first = embedded.start(cluster).pid
    assert first is not None
    with connect(cluster.url("postgres", "postgres"), autocommit=True) as conn:
        conn.execute("CREATE TABLE public.kept AS SELECT 42 AS answer")
    # A backend in a long calculation, which outlives its server and holds its memory.
    slow = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"
    url = cluster.url("postgres", "postgres")
    busy = subprocess.Popen(
        [sys.executable, "-c", f"import psycopg; psycopg.connect({url!r}).execute({slow!r})"],
        stderr=subprocess.DEVNULL,
    )
    while not _ask(cluster, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%series%b'"):
        assert busy.poll() is None
    os.kill(first, signal.SIGKILL)
    try:
        second = embedded.start(cluster).pid
        assert second not in (None, first)
        assert _ask(cluster, "SELECT answer FROM public.kept") == 42
    finally:
        busy.kill()
        busy.wait()


def test_a_lock_file_with_a_number_that_came_again(cluster: Cluster) -> None:
    """After a reboot the recorded process number may be another program's: here, this one's."""
    embedded.start(cluster)
    lock = cluster.data_dir / "postmaster.pid"
    text = lock.read_text()
    embedded.stop(cluster)
    owner = cluster.data_dir.stat()
    sleeper = subprocess.Popen(["sleep", "60"], user=owner.st_uid, cwd="/")
    try:
        lock.write_text("\n".join([str(sleeper.pid), *text.split("\n")[1:]]))
        os.chown(lock, owner.st_uid, owner.st_gid)
        assert not embedded.status(cluster).running
        assert embedded.start(cluster).running
    finally:
        sleeper.kill()
        sleeper.wait()


def test_stop_and_restart(cluster: Cluster) -> None:
    first = embedded.start(cluster).pid
    second = embedded.restart(cluster).pid
    assert first != second
    assert embedded.stop(cluster)
    assert not embedded.stop(cluster)
    assert not embedded.status(cluster).running
    with pytest.raises(ServerError, match=r"not running.*cda db start"):
        connect(target_of(cluster))


def test_a_lease_stops_only_what_it_started(cluster: Cluster) -> None:
    embedded.stop(cluster)
    with embedded.lease(cluster) as outer:
        with embedded.lease(cluster) as inner:
            assert inner == outer
        assert embedded.status(cluster).running
    assert not embedded.status(cluster).running
    embedded.start(cluster)
    with embedded.lease(cluster):
        pass
    assert embedded.status(cluster).running


def test_a_broken_setting_is_told_with_the_log(cluster: Cluster) -> None:
    embedded.stop(cluster)
    automatic = cluster.data_dir / "postgresql.auto.conf"
    before = automatic.read_text()
    automatic.write_text("no_such_setting = 1\n")
    try:
        with pytest.raises(ServerError, match="no_such_setting"):
            embedded.start(cluster)
    finally:
        automatic.write_text(before)
    assert embedded.start(cluster).running


def test_stray_libpq_variables_do_not_reach_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "production.invalid")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATABASE", "precious")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    assert embedded.restart(cluster).running
    assert _ask(cluster, "SELECT current_database()") == "postgres"


def test_a_moved_checkout_keeps_its_cluster_a_copied_one_does_not(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    original = find_cluster("main", here)
    save_cluster(original)
    subprocess.run(["cp", "-r", here, there], check=True)
    assert find_cluster("main", there).data_dir != original.data_dir
    subprocess.run(["rm", "-r", here], check=True)
    assert find_cluster("main", there).data_dir == original.data_dir


def test_a_long_path_gets_a_short_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / ("long" * 40)))
    found = find_cluster("main", tmp_path)
    assert found.data_dir.is_relative_to(tmp_path)
    assert len(str(found.socket_dir / ".s.PGSQL.5432")) <= 107


def test_login_needs_a_server(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="No connection"):
        connect(f"postgresql://nobody@/none?host={tmp_path}")
