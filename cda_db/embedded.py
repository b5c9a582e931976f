"""The embedded server: a private PostgreSQL cluster from the machine's own binaries.

As root the server runs as the user ``postgres`` that the package makes (PostgreSQL refuses root),
with its data in a system directory; as an ordinary user it runs as oneself. It listens on a Unix
socket in a directory of mode 0700 only, which is also its access control: whoever may enter the
directory (root, and the user the server runs as) is trusted.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cda_db.binaries import REMEDY, Binaries, find_binaries
from cda_db.errors import ServerError, StateError
from cda_db.server_config import configuration, memory_bytes
from cda_db.server_files import make_directories, make_private, remove_surroundings, server_user
from cda_db.server_process import clear_stale_locks, end_orphans, server_pid
from cda_db.settings import SUPERUSER, Cluster, save_cluster

START_SECONDS = 60
_ATTEMPTS = 20


@dataclass(frozen=True)
class Status:
    """State of an embedded cluster.

    Attributes:
        initialised: the data directory holds a cluster.
        pid: process number of the running server, or None.
        version: PostgreSQL's major version of the data, or None.
    """

    initialised: bool
    pid: int | None
    version: int | None

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self.pid is not None


def status(cluster: Cluster) -> Status:
    """Look, change nothing."""
    try:
        version = _data_version(cluster)
        return Status(version is not None, server_pid(cluster), version)
    except PermissionError as error:
        raise ServerError(
            f"The cluster in {cluster.data_dir} belongs to another user.",
            "Work as that user, or in a checkout of your own.",
        ) from error


def start(cluster: Cluster) -> Status:
    """Make the cluster where it does not exist, start it where it does not run.

    Safe to call from several processes at once and after a crash.

    Raises:
        ServerError: PostgreSQL is missing or did not start; the message ends with its log.
    """
    with _locked(cluster):
        if not _answers(cluster):
            binaries = find_binaries(_data_version(cluster))
            make_directories(cluster)
            if _data_version(cluster) is None:
                _initialise(cluster, binaries)
            _write_configuration(cluster)
            _start_process(cluster, binaries)
        save_cluster(cluster)
        return status(cluster)


def stop(cluster: Cluster) -> bool:
    """Stop the server (clients are disconnected, nothing is lost); False where none ran."""
    with _locked(cluster):
        return _stop_process(cluster)


def restart(cluster: Cluster) -> Status:
    """Stop and start, with the settings written anew."""
    stop(cluster)
    return start(cluster)


def remove(cluster: Cluster) -> bool:
    """Stop the server and delete the cluster with all its data; False where there was none."""
    with _locked(cluster):
        _stop_process(cluster, "immediate")  # no checkpoint for what is deleted next
        there = _data_version(cluster) is not None
        if there:
            shutil.rmtree(cluster.data_dir)
        remove_surroundings(cluster)
        return there


@contextmanager
def lease(cluster: Cluster) -> Iterator[Status]:
    """The running server for the length of a block.

    Of several processes the last one to leave stops the server, if a lease is what started it.
    """
    started = cluster.home / ".cda" / f"{cluster.name}.leased"
    with _lock_file(cluster, "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        if not status(cluster).running:
            started.touch()
        try:
            yield start(cluster)
        finally:
            if started.exists() and _is_last_user(users.fileno()):
                stop(cluster)
                started.unlink()


def _is_last_user(users: int) -> bool:
    """Turn the shared lock into an exclusive one, so that newcomers wait; False if others share."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(cluster: Cluster) -> bool:
    """Whether a client is let in; waits for a server that is starting, stopping or dying."""
    deadline = time.monotonic() + START_SECONDS
    while status(cluster).running:
        try:
            psycopg.connect(cluster.url("postgres", SUPERUSER)).close()
            return True
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"The server '{cluster.name}' runs but lets nobody in: {error}",
                    f"See its log {cluster.log_file}.",
                ) from error
            time.sleep(0.05)
    return False


def _data_version(cluster: Cluster) -> int | None:
    file = cluster.data_dir / "PG_VERSION"
    return int(file.read_text()) if file.is_file() else None


def _lock_file(cluster: Cluster, what: str) -> Path:
    folder = cluster.home / ".cda"
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        raise ServerError(
            f"Settings cannot be written to {folder} ({error.strerror}).",
            "Work in a directory of your own, or set CDA_DATABASE_URL.",
        ) from error
    return folder / f"{cluster.name}.{what}"


@contextmanager
def _locked(cluster: Cluster) -> Iterator[None]:
    with _lock_file(cluster, "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _initialise(cluster: Cluster, binaries: Binaries) -> None:
    # Made beside its place and moved there whole: an initdb that is killed leaves nothing behind
    # that looks like a cluster.
    fresh = cluster.data_dir.with_name("data.new")
    if fresh.is_dir():
        shutil.rmtree(fresh)
    make_private(fresh)
    _run(
        binaries.program("initdb"),
        f"--pgdata={fresh}",
        f"--username={SUPERUSER}",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
        *(["--no-sync"] if cluster.scratch else []),
    )
    with (fresh / "postgresql.conf").open("a") as file:
        file.write("\ninclude 'cda.conf'\n")
    fresh.rename(cluster.data_dir)


def _write_configuration(cluster: Cluster) -> None:
    path = cluster.data_dir / "cda.conf"
    path.write_text(configuration(cluster, memory_bytes()))
    path.chmod(0o644)


def _start_process(cluster: Cluster, binaries: Binaries) -> None:
    options = ("-D", str(cluster.data_dir), "-w", "-t", str(START_SECONDS))
    clear_stale_locks(cluster)
    for attempt in range(_ATTEMPTS):
        position = cluster.log_file.stat().st_size
        # Without -l the server holds the caller's pipe for as long as it lives.
        done = _pg_ctl(binaries, "start", *options, "-l", str(cluster.log_file))
        if done.returncode == 0:
            return
        words = cluster.log_file.read_bytes()[position:].decode(errors="replace").strip()
        # A killed server's backends hold its shared memory for a moment.
        if "lock file" not in words and "shared memory block" not in words:
            break
        if attempt >= 3:
            end_orphans(cluster)
        time.sleep(0.25)
    raise ServerError(
        f"PostgreSQL {binaries.version} did not start: {words[-1500:] or done.stderr.strip()}",
        f"The whole log is {cluster.log_file}.",
    )


def _stop_process(cluster: Cluster, mode: str = "fast") -> bool:
    state = status(cluster)
    if not state.running:
        return False
    options = ("-D", str(cluster.data_dir), "-m", mode, "-w", "-t", str(START_SECONDS))
    done = _pg_ctl(find_binaries(state.version), "stop", *options)
    if done.returncode != 0 and status(cluster).running:
        raise StateError(
            f"The server {state.pid} did not stop: {done.stderr.strip()}",
            f"See its log {cluster.log_file}.",
        )
    return True


def _pg_ctl(binaries: Binaries, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _execute([binaries.program("pg_ctl"), *arguments])


def _run(*command: str) -> None:
    done = _execute(command)
    if done.returncode != 0:
        raise ServerError(f"{Path(command[0]).name} failed: {done.stderr.strip()}", REMEDY)


def _execute(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs as the user that owns the data, from ``/``."""
    owner = server_user()
    switch = os.geteuid() == 0
    # PG* variables of the caller must not reach a server of ours.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return subprocess.run(
        command,
        user=owner.pw_uid if switch else None,
        group=owner.pw_gid if switch else None,
        extra_groups=[] if switch else None,
        env={**environment, "LC_ALL": "C", "HOME": owner.pw_dir},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
