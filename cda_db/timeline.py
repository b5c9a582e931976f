"""The trace of a run: every claim of its batches, for reports and for finding what was slow."""

from __future__ import annotations

import pandas as pd

from cda_db.catalogue import frame
from cda_db.connection import Connection
from cda_db.runs import Run

_QUERY = """
    SELECT t.batch_id, t.attempt, s.name AS scene, b.factor AS level, b.row_start, b.row_stop,
           t.host, t.pid, t.job_id, t.threads, t.claimed_at,
           coalesce(t.ended_at, lead(t.claimed_at) OVER again,
                    CASE WHEN b.state = 'claimed' THEN clock_timestamp() END) AS ended_at,
           coalesce(t.outcome, CASE WHEN b.state = 'claimed' AND b.attempt = t.attempt
                                    THEN 'running' ELSE 'lost' END) AS outcome,
           CASE WHEN b.attempt = t.attempt AND t.outcome = 'done' THEN b.n_tiles END AS tiles,
           CASE WHEN b.attempt = t.attempt AND t.outcome = 'done' THEN b.n_detections END
               AS detections,
           t.error
    FROM cda.attempt t JOIN cda.batch b USING (batch_id) JOIN cda.scene s USING (scene_id)
    WHERE b.run_id = %s
    WINDOW again AS (PARTITION BY t.batch_id ORDER BY t.attempt)
    ORDER BY t.claimed_at, t.batch_id, t.attempt
"""


def attempts(conn: Connection, run: Run) -> pd.DataFrame:
    """Every attempt of a run's batches in the order of their claims.

    Returns:
        batch_id, attempt, scene, level, row_start, row_stop, host, pid, job_id, threads,
        claimed_at, ended_at (of a lost one: when the batch was claimed again, or missing),
        outcome (done, failed, lost, running), tiles, detections (of the attempt that counts),
        error. Times are the server's.
    """
    found = frame(conn, _QUERY, [run.run_id])
    for name in ("claimed_at", "ended_at"):
        found[name] = pd.to_datetime(found[name], utc=True)
    return found
