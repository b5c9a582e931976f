"""The stages of the planet benchmark: server, run and scenes, push, suppression, roll-up."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.planet_boxes import SCORE_THRESHOLD
from benchmarks.planet_scenes import BODY, LEVELS, TILE_PX, Window
from benchmarks.probe import Probe, Reading
from cda_db.connection import Connection, connect, engine
from cda_db.create import create_database
from cda_db.embedded import lease
from cda_db.migrate import migrate
from cda_db.models import register_model
from cda_db.runs import Run, RunConfig, add_scenes, create_run
from cda_db.scenes import register_scene
from cda_db.settings import Target, embedded, find_cluster

# A scene's level is one batch: 22,000 tiles of 45 ms are a quarter of an hour of a worker's work.
TILES_PER_BATCH = 100_000


@contextmanager
def bench_database(name: str, *, keep: bool = False) -> Iterator[Target]:
    """A fresh database of the embedded cluster ``bench``, dropped at the end."""
    cluster = find_cluster("bench")
    with lease(cluster):
        target = embedded(cluster, name)
        with connect(target.admin_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        create_database(target)
        migrate(engine(target))
        try:
            yield target
        finally:
            if not keep:
                with connect(target.admin_url, autocommit=True) as admin:
                    admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def make_planet_run(
    conn: Connection, name: str, windows: Sequence[Window], tiles_per_batch: int = TILES_PER_BATCH
) -> Run:
    """A run over the planet's scenes, as `cda ingest run create` makes one."""
    card = {"architecture": "generator", "diameter_factor": 1.0}
    model = register_model(conn, "planet", hashlib.sha256(b"planet").digest(), card)
    run = create_run(conn, name, BODY, model, RunConfig(TILE_PX, LEVELS, SCORE_THRESHOLD))
    ids = [register_scene(conn, window.scene())[0] for window in windows]
    add_scenes(conn, run, ids, tiles_per_batch)
    conn.commit()
    return run


@dataclass
class Stage:
    """One stage: wall clock, processor seconds of server and clients, log and spilled bytes."""

    name: str
    seconds: float
    server_cpu_s: float
    client_cpu_s: float
    wal_bytes: int
    temp_bytes: int


@dataclass
class Log:
    """Stages as they end; ``conn`` must be idle between statements."""

    probe: Probe
    conn: Connection
    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a block."""
        before, started, cpu = self.probe.read(self.conn), time.perf_counter(), _client_cpu_s()
        yield
        after: Reading = self.probe.read(self.conn)
        self.stages.append(
            Stage(
                name,
                round(time.perf_counter() - started, 2),
                round(after.server_cpu_s - before.server_cpu_s, 2),
                round(_client_cpu_s() - cpu, 2),
                after.wal_bytes - before.wal_bytes,
                after.temp_bytes - before.temp_bytes,
            )
        )

    def as_json(self) -> list[dict[str, Any]]:
        """Plain values."""
        return [asdict(stage) for stage in self.stages]


def _client_cpu_s() -> float:
    """Processor seconds of this process and the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def own_peak_bytes() -> int:
    """Largest resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def shares(conn: Connection, run: Run) -> dict[str, float]:
    """What became of the rows: shares of all, and how many were decided across scenes or levels."""
    row = conn.execute(
        "SELECT k.n_craters, k.n_suppressed, k.n_cut,"
        " (SELECT count(*) FROM cda.suppression s JOIN cda.batch l ON l.batch_id = s.detection_id"
        " >> 22 JOIN cda.batch w ON w.batch_id = s.crater_id >> 22 WHERE s.run_id = k.run_id"
        " AND l.scene_id <> w.scene_id),"
        " (SELECT count(*) FROM cda.suppression s JOIN cda.batch l ON l.batch_id = s.detection_id"
        " >> 22 JOIN cda.batch w ON w.batch_id = s.crater_id >> 22 WHERE s.run_id = k.run_id"
        " AND l.scene_id = w.scene_id AND l.factor <> w.factor)"
        " FROM cda.catalogue k WHERE k.run_id = %s",
        [run.run_id],
    ).fetchone()
    assert row is not None  # suppression wrote it
    kept, suppressed, cut, scenes, levels = (int(value) for value in row)
    total, lost = kept + suppressed + cut, max(suppressed + cut, 1)
    return {
        "detections": total, "craters": kept, "suppressed": suppressed, "cut": cut,
        "suppressed_share": round(suppressed / total, 4), "cut_share": round(cut / total, 4),
        "lost_share": round((suppressed + cut) / total, 4),
        "across_scenes_share_of_lost": round(scenes / lost, 4),
        "across_levels_share_of_lost": round(levels / lost, 4),
    }  # fmt: skip


def table_sizes(conn: Connection, run: Run) -> dict[str, int]:
    """Bytes of the run's partitions and their indexes."""
    rows = conn.execute(
        "SELECT relname, pg_relation_size(oid) FROM pg_class"
        " WHERE relnamespace = 'cda'::regnamespace AND relkind IN ('r', 'i')"
        " AND (relname LIKE %s OR relname LIKE 'crater_count%%')"
        " AND pg_relation_size(oid) > 0 ORDER BY relname",
        [f"%\\_r{run.run_id}%"],
    ).fetchall()
    return {name: int(size) for name, size in rows}
