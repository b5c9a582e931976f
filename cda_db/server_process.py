"""What is left of a server: its process, its lock files, its orphans.

A process number alone proves nothing after a reboot or in a container, where small numbers come
again: a server is recognised by its command line, which every user may read in ``/proc``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from cda_db.settings import Cluster

_PROC = Path("/proc")


def server_pid(cluster: Cluster) -> int | None:
    """Process number of the cluster's running server, or None."""
    pid = _recorded_pid(cluster)
    if pid is None:
        return None
    words = _command_line(pid)
    ours = str(cluster.data_dir) in words and Path(words[0]).name in ("postgres", "postmaster")
    return pid if ours else None


def clear_stale_locks(cluster: Cluster) -> None:
    """Remove the lock files of a server that is gone (call under the cluster's own lock).

    PostgreSQL does so itself, except where the number in the file belongs to another process by
    now.
    """
    if server_pid(cluster) is None:
        socket = cluster.socket_dir / f".s.PGSQL.{cluster.port}"
        for path in (cluster.data_dir / "postmaster.pid", socket, Path(f"{socket}.lock")):
            path.unlink(missing_ok=True)


def end_orphans(cluster: Cluster) -> list[int]:
    """Ask the backends that outlived a killed server to quit; returns their process numbers.

    They hold the shared memory that a new server needs, and a backend in a long calculation
    notices the death of its server late. Only processes that carry this cluster's name count.
    """
    orphans = [] if server_pid(cluster) else _backends(cluster)
    for pid in orphans:
        try:
            os.kill(pid, signal.SIGQUIT)
        except ProcessLookupError:
            continue  # it went by itself
    return orphans


def _backends(cluster: Cluster) -> list[int]:
    title = f"postgres: {cluster.label}:"
    numbers = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [pid for pid in numbers if " ".join(_command_line(pid)).startswith(title)]


def _recorded_pid(cluster: Cluster) -> int | None:
    try:
        first = (cluster.data_dir / "postmaster.pid").read_text().split("\n")[0]
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else None


def _command_line(pid: int) -> list[str]:
    """Words of a process's command line; one empty word for a process that is gone."""
    try:
        return (_PROC / str(pid) / "cmdline").read_text(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]
