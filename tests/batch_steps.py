"""Steps of a worker, for tests: claim a batch, finish it, let its lease run out."""

from __future__ import annotations

import numpy as np

from cda_db.batches import Batch, Boxes, claim_batch, finish_batch
from cda_db.connection import Connection


def boxes(n: int = 3, score: float = 0.5) -> Boxes:
    """Boxes of 20 pixels in the middle of the only tile."""
    x = np.arange(n, dtype=np.float32) * 30 + 50
    side = np.float32(20)
    tile = np.zeros(n, np.int16)
    return Boxes(tile, tile, x, x, x + side, x + side, np.full(n, score, np.float32),
                 np.zeros(n, bool))  # fmt: skip


def finish(conn: Connection, batch: Batch, found: Boxes) -> int:
    return finish_batch(conn, batch, found, n_tiles=1, n_empty=0, n_outside=0)


def claim(conn: Connection, **words: object) -> Batch:
    batch = claim_batch(conn, "run", threads=1, **words)  # type: ignore[arg-type]
    assert batch is not None
    return batch


def expire(conn: Connection, batch: Batch) -> None:
    """As if the lease had run out."""
    conn.execute("UPDATE cda.batch SET lease_until = clock_timestamp() - interval '1 s'"
                 " WHERE batch_id = %s", [batch.batch_id])  # fmt: skip
    conn.commit()
