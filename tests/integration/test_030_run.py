"""Runs never change; their batches cover every tile once; SQL and Python tile alike."""

from __future__ import annotations

import math

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import LEVEL, make_run, scene

from cda_db.bodies import get_body
from cda_db.connection import Connection, connect
from cda_db.errors import InputError
from cda_db.models import register_model
from cda_db.runs import Level, RunConfig, add_scenes, create_run, get_run
from cda_db.scenes import register_scene
from cda_db.settings import Target
from ingest.tiling import TileGrid

PARTITIONED = ("detection", "suppression", "crater")
FACTORS = st.one_of(
    st.sampled_from([0.125, 0.25, 0.5, 1.0, 2.0, 8.0, 32.0, 128.0]),
    st.floats(0.125, 200, width=32),
)
CARD = {"architecture": "none", "diameter_factor": 1.0}


def one(conn: Connection, query: str, *params: object) -> object:
    row = conn.execute(query, list(params)).fetchone()
    assert row is not None
    return row[0]


def test_a_run_has_its_partitions(conn: Connection) -> None:
    run = make_run(conn, "one")
    for table in PARTITIONED:
        name = f"cda.{table}_r{run.run_id}"
        assert one(conn, "SELECT to_regclass(%s) IS NOT NULL", name)
        bound = one(conn, "SELECT pg_get_expr(relpartbound, oid) FROM pg_class"
                    " WHERE oid = to_regclass(%s)", name)  # fmt: skip
        assert bound == f"FOR VALUES IN ({run.run_id})"
        assert f"run {run.run_id}" in str(
            one(conn, "SELECT obj_description(to_regclass(%s))", name)
        )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE cda.run SET score_threshold = 0.9",
        "UPDATE cda.run SET config = '{}'",
        "UPDATE cda.run SET model_id = model_id",
        "UPDATE cda.run SET name = 'another'",
        "UPDATE cda.run_level SET max_px = 999",
        "UPDATE cda.model SET diameter_factor = 1.1",
        "INSERT INTO cda.run_level SELECT run_id, 2, 96, 6, 92 FROM cda.run",
        "DELETE FROM cda.run",
        "DELETE FROM cda.run_level",
        "DELETE FROM cda.run_scene",
        "DELETE FROM cda.model",
    ],
)
def test_nobody_changes_a_run(module_database: Target, change: str) -> None:
    """Not even the owner: the configuration, the levels, the model and the scenes stay."""
    with connect(module_database) as conn:
        if one(conn, "SELECT count(*) FROM cda.run") == 0:
            make_run(conn, "fixed", n_scenes=2)
        refusals = (psycopg.errors.RaiseException, psycopg.errors.ForeignKeyViolation)
        with pytest.raises(refusals):
            conn.execute(change)  # type: ignore[call-overload]


def test_a_taken_name_and_no_levels_are_refused(conn: Connection) -> None:
    run = make_run(conn, "one")
    empty = RunConfig(416, (), score_threshold=0.1)
    with pytest.raises(InputError, match="has no level"):
        create_run(conn, "two", run.body, run.model_id, empty)
    with pytest.raises(InputError, match="exists"):
        create_run(conn, "one", run.body, run.model_id, RunConfig(416, (LEVEL,), 0.1))


@pytest.mark.parametrize("factor", [0.7, 3.3, 1 / 3])
def test_a_level_that_the_database_cannot_hold_exactly_is_refused(
    conn: Connection, factor: float
) -> None:
    """7 px at level 0.7 are 10 pixels, at float4's 0.69999999 they are 11: grids would differ."""
    model = register_model(conn, "none", bytes(32), CARD)
    config = RunConfig(416, (Level(factor, 96, 6.0, 92.0),), score_threshold=0.1)
    with pytest.raises(InputError, match="binary fraction"):
        create_run(conn, "odd", get_body("mars"), model, config)


def test_a_config_is_stored_whole_with_its_hash(conn: Connection) -> None:
    run = make_run(conn, "one")
    row = conn.execute(
        "SELECT config, encode(config_sha256, 'hex'), tile_px, code_version FROM cda.run"
    ).fetchone()
    config = RunConfig(416, (LEVEL,), score_threshold=0.0, iou_threshold=0.3)
    assert row is not None
    assert row[0] == config.to_json() == run.config
    assert (row[1], row[2]) == (config.sha256().hex(), 416)
    changed = RunConfig(416, (LEVEL,), score_threshold=0.0, iou_threshold=0.3, nms_iou=0.6)
    assert changed.sha256() != config.sha256()


def test_scenes_are_added_once_and_of_one_body(conn: Connection) -> None:
    run = make_run(conn, "one", n_scenes=2)
    new, _ = register_scene(conn, scene("new"))
    assert add_scenes(conn, run, [new]) == 1
    assert add_scenes(conn, run, [new]) == 0
    foreign, _ = register_scene(conn, scene("luna", "moon"))
    with pytest.raises(InputError, match="is of moon, run 'one' of mars"):
        add_scenes(conn, run, [foreign])
    assert one(conn, "SELECT count(*) FROM cda.run_scene") == 3
    assert one(conn, "SELECT count(*) FROM cda.batch") == 3


@pytest.mark.parametrize("tiles_per_batch", [1, 7, 40, 10_000])
def test_batches_cover_every_row_of_tiles_once(conn: Connection, tiles_per_batch: int) -> None:
    levels = (Level(0.5, 96, 6.0, 92.0), Level(1.0, 96, 6.0, 92.0), Level(8.0, 208, 6.0, 204.0))
    make_run(conn, "cover", n_scenes=0, levels=levels)
    run = get_run(conn, "cover")
    sizes = {"wide": (5000, 700), "high": (300, 4000), "small": (10, 10)}
    ids = [
        register_scene(conn, scene(name, width=width, height=height))[0]
        for name, (width, height) in sizes.items()
    ]
    add_scenes(conn, run, ids, tiles_per_batch)
    for name, (width, height) in sizes.items():
        for level in levels:
            grid = TileGrid(width, height, level.factor, 416, level.overlap_px)
            slices = conn.execute(
                "SELECT row_start, row_stop FROM cda.batch JOIN cda.scene USING (scene_id)"
                " WHERE name = %s AND factor = %s ORDER BY row_start",
                [name, level.factor],
            ).fetchall()
            rows = [row for start, stop in slices for row in range(start, stop)]
            assert rows == list(range(grid.n_rows))
            for start, stop in slices:
                n_tiles = (stop - start) * grid.n_columns
                assert n_tiles <= tiles_per_batch or stop - start == 1


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(1, 60_000), FACTORS, st.integers(32, 1024), st.integers(0, 90)),
        min_size=1, max_size=30,
    )
)  # fmt: skip
def test_sql_tiles_as_python_does(
    module_database: Target, cases: list[tuple[int, float, int, int]]
) -> None:
    """Counts and origins of TileGrid for any side, level, tile and overlap (in % of the tile)."""
    with connect(module_database) as conn:
        for side, factor, tile, percent in cases:
            overlap = tile * percent // 100
            grid = TileGrid(side, 1, factor, tile, overlap)
            size, count = conn.execute(
                "SELECT cda.level_size(%(side)s, %(f)s::real), cda.tile_count("
                "cda.level_size(%(side)s, %(f)s::real), %(tile)s, %(overlap)s)",
                {"side": side, "f": factor, "tile": tile, "overlap": overlap},
            ).fetchone() or (None, None)
            assert (size, count) == (grid.level_width, grid.n_columns)
            for place in {0, 1, count // 2, count - 1} & set(range(count)):
                origin = one(conn, "SELECT cda.tile_origin(%s, %s, %s, %s)",
                             place, size, tile, overlap)  # fmt: skip
                assert origin == grid.origin(0, place)[0]


@given(st.integers(1, 30_000), st.integers(32, 600), st.integers(0, 99))
def test_tiles_leave_nothing_out(side: int, tile: int, percent: int) -> None:
    """By brute force over pixels: every one is in a tile, and neighbours share the overlap."""
    overlap = tile * percent // 100
    grid = TileGrid(side, 1, 1.0, tile, overlap)
    origins = [grid.origin(0, place)[0] for place in range(grid.n_columns)]
    steps = np.diff(origins)
    assert origins[0] == 0
    assert origins[-1] + tile >= side
    assert (steps > 0).all() and (steps <= tile - overlap).all()
    assert math.ceil((side - overlap) / (tile - overlap)) <= max(1, len(origins))
