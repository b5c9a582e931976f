"""What a server spends: processor seconds, memory of its backends, disk, log; and its settings."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from cda_db.connection import Connection
from cda_db.embedded import status
from cda_db.settings import Cluster

_TICKS = os.sysconf("SC_CLK_TCK")
SETTINGS = (
    "fsync", "full_page_writes", "synchronous_commit", "wal_level", "shared_buffers", "work_mem",
    "maintenance_work_mem", "max_wal_size", "checkpoint_timeout", "data_checksums",
)  # fmt: skip


def server_settings(conn: Connection) -> dict[str, str]:
    """The settings that durability and speed hang on, with the server's version."""
    found = {"version": conn.info.parameter_status("server_version") or "unknown"}
    for name in SETTINGS:
        row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
        found[name] = str(row[0]) if row else ""
    return found


def machine() -> dict[str, Any]:
    """Processor, number of cores, memory and load of this machine."""
    words = Path("/proc/cpuinfo").read_text()
    models = {line.split(":")[1].strip() for line in words.splitlines() if "model name" in line}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": ", ".join(sorted(models)), "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1), "load": [round(x, 2) for x in os.getloadavg()],
    }  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """Counters at one moment."""

    server_cpu_s: float
    wal_bytes: int
    temp_bytes: int


class Probe:
    """Samples a server's memory and disk from a thread; counters on request.

    Attributes:
        peak_backend_bytes: largest private memory of one backend.
        peak_backends_bytes: largest sum over all backends.
        peak_disk_bytes: largest size of the data directory.
    """

    def __init__(self, cluster: Cluster, every_s: float = 2.0) -> None:
        pid = status(cluster).pid
        if pid is None:
            raise RuntimeError(f"the server {cluster.name} does not run")
        self.peak_backend_bytes = 0
        self.peak_backends_bytes = 0
        self.peak_disk_bytes = 0
        self._pid, self._data, self._every_s = pid, cluster.data_dir, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def read(self, conn: Connection) -> Reading:
        """Counters now: processor seconds of the whole server, log bytes, spilled bytes."""
        row = conn.execute(
            "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn,"
            " (SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database())"
        ).fetchone()
        conn.commit()
        assert row is not None  # one row without FROM
        return Reading(self._cpu_s(), int(row[0]), int(row[1]))

    def _cpu_s(self) -> float:
        # the postmaster counts the children that it has buried; the living are added
        own = _stat(self._pid)
        living = (_stat(pid) for pid in _children(self._pid))
        ticks = sum(own[:4]) + sum(sum(values[:2]) for values in living)
        return ticks / _TICKS

    def _work(self) -> None:
        while not self._stop.wait(self._every_s):
            sizes = [_private_bytes(pid) for pid in _children(self._pid)]
            self.peak_backend_bytes = max([self.peak_backend_bytes, *sizes])
            self.peak_backends_bytes = max(self.peak_backends_bytes, sum(sizes))
            self.peak_disk_bytes = max(self.peak_disk_bytes, disk_bytes(self._data))


def _children(pid: int) -> list[int]:
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _stat(pid: int) -> tuple[int, int, int, int]:
    """utime, stime, cutime, cstime in ticks; zeros for a process that has just ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return (0, 0, 0, 0)
    return (int(fields[11]), int(fields[12]), int(fields[13]), int(fields[14]))


def _private_bytes(pid: int) -> int:
    """Anonymous resident memory: work memory and temporary buffers, not the shared buffers."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def disk_bytes(folder: Path) -> int:
    """Bytes of disk that a folder's files take; files that vanish meanwhile count nothing."""
    total = 0
    for base, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
