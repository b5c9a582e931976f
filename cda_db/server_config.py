"""Settings of an embedded server, sized for the machine it runs on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cda_db.settings import Cluster

MIB = 1 << 20
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SHARED_MEMORY = Path("/dev/shm")


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or the container's where that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else "max"
    return min(machine, int(limit)) if limit.isdigit() else machine


def configuration(cluster: Cluster, memory: int) -> str:
    """Text of ``cda.conf``, which the cluster's ``postgresql.conf`` includes.

    Args:
        cluster: whose settings.
        memory: bytes of memory of the machine.
    """
    values = {
        "cluster_name": cluster.label,
        "listen_addresses": "",
        "port": cluster.port,
        "unix_socket_directories": str(cluster.socket_dir),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d %a ",
        "shared_buffers": _mb(memory // 8, 16, 256 if cluster.scratch else 2048),
        "effective_cache_size": _mb(memory // 2, 64, 1 << 20),
        "work_mem": "64MB",
        "maintenance_work_mem": _mb(memory // 16, 64, 1024),
        "max_wal_size": "4GB",
        "wal_buffers": "64MB",
        "wal_level": "minimal",  # nobody replicates it: CREATE TABLE AS writes no log
        "max_wal_senders": 0,
        "checkpoint_timeout": "15min",
        "random_page_cost": 1.1,
        "jit": "off",
        "max_locks_per_transaction": 256,  # a run has partitions of its own
        "fsync": "off" if cluster.scratch else "on",
        "full_page_writes": "off" if cluster.scratch else "on",
        "synchronous_commit": "off" if cluster.scratch else "on",
    }
    if _shared_memory_is_small():
        values["dynamic_shared_memory_type"] = "mmap"  # containers give /dev/shm 64 MB
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items()]
    return "\n".join(["# Written anew by cda at every start.", *lines, ""])


def _mb(amount: int, least: int, most: int) -> str:
    return f"{max(least, min(amount // MIB, most))}MB"


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _shared_memory_is_small() -> bool:
    return not _SHARED_MEMORY.is_dir() or shutil.disk_usage(_SHARED_MEMORY).total < 1024 * MIB
