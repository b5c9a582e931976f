"""What follows the last batch: suppression and the roll-up."""

from __future__ import annotations

from typing import Any

from cda_db.batches import open_batches
from cda_db.connection import Connection, connect
from cda_db.output import progress
from cda_db.rollup import roll_up
from cda_db.runs import get_run
from cda_db.settings import target
from cda_db.suppression import suppress
from ingest.worker import Work


def n_open(conn: Connection, task: Work) -> int:
    """Batches that a crew has before it. Raises NotFoundError for a scene that the run lacks."""
    if task.batch_id is not None:
        return 1
    return open_batches(conn, task.run, task.scenes)


def may_own() -> bool:
    """Whether this login is a member of the owner role."""
    with connect() as conn:
        row = conn.execute("SELECT pg_has_role(session_user, 'cda_owner', 'MEMBER')").fetchone()
    return bool(row and row[0])


def make_catalogue(run_name: str, *, workers: int, rebuild: bool = False) -> dict[str, Any]:
    """Bring a run's catalogue and roll-up up to date.

    Returns:
        mode, craters, suppressed, cut, seconds by stage.

    Raises:
        NotFoundError: there is no such run.
        StateError: another process is at it.
    """
    with connect(role="cda_owner") as conn:
        run = get_run(conn, run_name)
        conn.commit()
        with progress("Suppression") as advance:
            summary = suppress(
                target(), run, workers=workers, rebuild=rebuild,
                progress=lambda _done, _total: advance(),
            )  # fmt: skip
        roll_up(conn, run, target=target(), workers=workers)
    return {
        "catalogue": summary.mode,
        "craters": summary.n_craters,
        "suppressed": summary.n_suppressed,
        "cut": summary.n_cut,
        "seconds": summary.seconds,
    }
