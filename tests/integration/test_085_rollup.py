"""The density roll-up equals counting in NumPy with hpgeom's cells, at every order."""

from __future__ import annotations

import hpgeom
import numpy as np
import pandas as pd
import pytest
from rows import Detections, make_run, store

from cda_db.catalogue import craters
from cda_db.connection import Connection, connect
from cda_db.errors import StateError
from cda_db.rollup import FINEST_ORDER, cell_counts, is_rolled_up, roll_up
from cda_db.settings import Target
from cda_db.suppression import suppress

EDGES_M = 1000 * 2 ** (np.arange(-24, 41) / 2)


def spread(n: int, seed: int) -> Detections:
    """Detections over the sphere with diameters from 30 m to 300 km, every edge of a bin met."""
    rng = np.random.default_rng(seed)
    diameter = 10 ** rng.uniform(1.5, 5.5, n)
    diameter[: len(EDGES_M)] = EDGES_M
    return Detections(
        rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
        diameter.astype(np.float32), rng.uniform(0.1, 1, n).astype(np.float32),
        rng.integers(4, size=n),
    )  # fmt: skip


def brute_force(found: pd.DataFrame, order: int) -> dict[tuple[int, int], int]:
    """(bin, cell) -> craters; bins by search among the edges."""
    diameter = found["diameter_m"].to_numpy().astype(np.float32).astype(float)  # as stored
    bins = np.searchsorted(EDGES_M, diameter, side="right") - 25
    cells = hpgeom.angle_to_pixel(1 << order, found["lon"].to_numpy(), found["lat"].to_numpy())
    pairs, n = np.unique(np.stack([bins, cells]), axis=1, return_counts=True)
    return {(int(b), int(c)): int(k) for b, c, k in zip(*pairs, n, strict=True)}


def test_counts_equal_brute_force(database: Target) -> None:
    with connect(database) as conn:
        run = make_run(conn, "spread", 4)
        store(conn, run, spread(5000, 1))
        suppress(database, run)
        found = craters(conn, run)
        assert roll_up(conn, run) == len(found)
        for order in range(FINEST_ORDER + 1):
            table = cell_counts(conn, run, order)
            got = {(int(b), int(c)): int(n) for b, c, n in table.itertuples(index=False)}
            assert got == brute_force(found, order)
            assert sum(got.values()) == len(found)


def test_it_follows_the_catalogue(database: Target) -> None:
    """A change of the catalogue makes the roll-up old; made again, it counts the new craters."""
    first = spread(4000, 2)
    with connect(database) as conn:
        run = make_run(conn, "more", 4)
        store(conn, run, first, [0, 1, 2])
        suppress(database, run)
        roll_up(conn, run)
        assert is_rolled_up(conn, run)
        store(conn, run, first, [3])
        summary = suppress(database, run)
        assert not is_rolled_up(conn, run)
        assert roll_up(conn, run) == summary.n_craters
        assert int(cell_counts(conn, run, 5)["n"].sum()) == summary.n_craters


def test_several_connections_count_the_same(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cda_db.rollup._WORTH_SHARING", 1)
    with connect(database) as conn:
        run = make_run(conn, "shared", 4)
        store(conn, run, spread(5000, 1))
        suppress(database, run)
        found = craters(conn, run)
        assert roll_up(conn, run, target=database, workers=3) == len(found)
        for order in (0, 5, FINEST_ORDER):
            table = cell_counts(conn, run, order)
            got = {(int(b), int(c)): int(n) for b, c, n in table.itertuples(index=False)}
            assert got == brute_force(found, order)


def test_a_catalogue_that_changed_meanwhile_is_not_called_rolled_up(database: Target) -> None:
    with connect(database) as conn:
        run = make_run(conn, "moving", 4)
        store(conn, run, spread(500, 1))
        suppress(database, run)
        conn.execute("UPDATE cda.catalogue SET n_craters = n_craters + 1")
        conn.commit()
        with pytest.raises(StateError, match="changed while"):
            roll_up(conn, run)
        assert not is_rolled_up(conn, run)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_bins_at_their_edges(conn: Connection, step: int) -> None:
    """The float4 at, just below and just above every edge fall in the bin that the edges say."""
    edges = EDGES_M.astype(np.float32)
    if step:
        edges = np.nextafter(edges, np.float32(np.inf if step > 0 else 0))
    row = conn.execute(
        "SELECT array_agg(cda.diameter_bin(d) ORDER BY i) FROM unnest(%s::real[])"
        " WITH ORDINALITY AS u (d, i)",
        [[float(value) for value in edges]],
    ).fetchone()
    assert row is not None
    want = np.searchsorted(EDGES_M, edges.astype(float), side="right") - 25
    assert row[0] == want.tolist()


def test_bins_beyond_the_edges(conn: Connection) -> None:
    row = conn.execute(
        "SELECT cda.diameter_bin(0.01), cda.diameter_bin(1e12), cda.diameter_bin(NULL)"
    ).fetchone()
    assert row == (-25, 40, None)
