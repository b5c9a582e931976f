"""Plans of the hot queries: the right index, no walk through the big tables.

The server's own auto_explain reports the plans of the statements that the functions really run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest
from psycopg import sql
from rows import Detections, batch_ids, make_run, store

from cda_db.connection import Connection, connect
from cda_db.neighbours import craters_near, craters_within, nearest_craters
from cda_db.rollup import cell_counts, roll_up
from cda_db.runs import Run, get_run
from cda_db.settings import Target
from cda_db.suppression import suppress

N_BATCHES, N = 30, 60_000
Plans = Callable[[Callable[[Connection, Run], object]], str]


@pytest.fixture(scope="module")
def planet(module_database: Target) -> Target:
    """A run of 60,000 detections, a third of them repeats, with catalogue and roll-up."""
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180, 180, N), np.degrees(np.arcsin(rng.uniform(-1, 1, N)))
    lon[: N // 3], lat[: N // 3] = lon[N // 3 : 2 * (N // 3)], lat[N // 3 : 2 * (N // 3)]
    # batches are strips of longitude, as scenes are
    batch = ((lon + 180) / 360 * N_BATCHES).astype(np.int64)
    found = Detections(
        lon, lat, np.full(N, 1e3, dtype=np.float32), rng.uniform(0.1, 1, N).astype(np.float32),
        batch,
    )  # fmt: skip
    with connect(module_database) as conn:
        run = make_run(conn, "planet", N_BATCHES)
        store(conn, run, found)
        suppress(module_database, run)
        roll_up(conn, run)
    return module_database


@pytest.fixture
def plans(planet: Target) -> Iterator[Plans]:
    """Run something; the text of the plans of all that it made the server do, rolled back."""
    with connect(planet) as conn:
        said: list[str] = []
        conn.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        conn.execute("SET ROLE NONE")  # a superuser may load it
        conn.execute("LOAD 'auto_explain'")
        for name, value in {
            "client_min_messages": "log",
            "auto_explain.log_min_duration": "0",
            "auto_explain.log_nested_statements": "on",
            "auto_explain.log_verbose": "on",
        }.items():
            conn.execute(
                sql.SQL("SET {} = {}").format(sql.Identifier(*name.split(".")), sql.Literal(value))
            )
        conn.execute("SET ROLE cda_owner")
        conn.commit()

        def run_it(action: Callable[[Connection, Run], object]) -> str:
            run = get_run(conn, "planet")
            said.clear()
            action(conn, run)
            conn.rollback()
            return "\n".join(said)

        yield run_it


def begin(conn: Connection, run: Run) -> None:
    """Make the scratch tables; this quietens the session, which must go on talking."""
    conn.execute("SELECT cda.suppress_begin(%s)", [run.run_id])
    conn.execute("SET LOCAL client_min_messages = log")


def walks(text: str, table: str) -> bool:
    """Whether a plan goes through the whole of a table."""
    return re.search(rf"Seq Scan on cda\.{table}\b", text) is not None


def uses(text: str, index: str) -> bool:
    """Whether a plan goes by an index."""
    return re.search(rf"Scan (using|on) {index}\b", text) is not None


def test_within_goes_by_the_sphere_index(plans: Plans) -> None:
    text = plans(lambda conn, run: craters_within(conn, run, 10.0, 20.0, 100_000.0))
    assert uses(text, "crater_r1_sphere_idx")
    assert not walks(text, "crater_r1")


def test_nearest_goes_by_the_sphere_index(plans: Plans) -> None:
    text = plans(lambda conn, run: nearest_craters(conn, run, 10.0, -89.0, 5))
    assert uses(text, "crater_r1_sphere_idx")
    assert not walks(text, "crater_r1")


def test_the_join_goes_by_the_sphere_index(plans: Plans) -> None:
    lon, lat = np.linspace(-180, 180, 500), np.linspace(-90, 90, 500)
    text = plans(lambda conn, run: craters_near(conn, run, lon, lat, 10_000.0))
    assert uses(text, "crater_r1_sphere_idx")
    assert not walks(text, "crater_r1")


SPHERE_LOOK = r"Index Cond: \(\(q3c_ang2ipix\("


def test_the_roll_up_is_read_by_its_key(plans: Plans) -> None:
    text = plans(lambda conn, run: cell_counts(conn, run, 3))
    assert uses(text, "crater_count_pkey")
    assert not walks(text, "crater_count") and not walks(text, "crater_r1")


def test_one_detection_is_looked_up(plans: Plans) -> None:
    def look(conn: Connection, run: Run) -> None:
        first = batch_ids(conn, run)[0] << 22
        conn.execute("SELECT cda.provenance(%s)", [first])

    text = plans(look)
    assert uses(text, "detection_r1_detection_id_key")
    for table in ("detection_r1", "crater_r1", "suppression_r1"):
        assert not walks(text, table)


def test_a_zone_reads_its_batches_only(plans: Plans) -> None:
    def load(conn: Connection, run: Run) -> None:
        begin(conn, run)
        conn.execute("SELECT cda.suppress_load(%s, 0, -90, 12, 90)", [run.run_id])

    text = plans(load)
    assert uses(text, "detection_r1_detection_id_key")
    assert not walks(text, "detection_r1")


def test_rivals_are_found_by_hashing(plans: Plans) -> None:
    def pairs(conn: Connection, run: Run) -> None:
        begin(conn, run)
        conn.execute("SELECT cda.suppress_load(%s, -180, -90, 180, 90)", [run.run_id])
        conn.execute("SELECT cda.suppress_pairs(%s)", [run.run_id])

    text = plans(pairs)
    plan = text[text.index("CREATE TEMP TABLE pair") :]
    assert re.search(r"Hash Cond: .*cube", plan)
    # called, a formula costs twenty times as much as folded into the statement
    assert not re.search(r"cda\.(circle_iou|lens_area|great_circle_m|cube|radius_class)\(",
                         plan[plan.index("Hash Cond") :])  # fmt: skip


def test_a_change_looks_only_where_it_touches(plans: Plans) -> None:
    def closure(conn: Connection, run: Run) -> None:
        begin(conn, run)
        conn.execute("SELECT cda.suppress_closure(%s, %s)", [run.run_id, batch_ids(conn, run)[:1]])

    text = plans(closure)
    for index in ("crater_r1_sphere_idx", "suppression_r1_crater_id_idx",
                  "detection_r1_detection_id_key"):  # fmt: skip
        assert uses(text, index)
    # a walk through the whole index would go by its name too
    assert re.search(SPHERE_LOOK, text[text.index("INSERT INTO closure") :])
    for table in ("detection_r1", "crater_r1", "suppression_r1"):
        assert not walks(text, table)


def test_a_claim_takes_the_head_of_an_index(plans: Plans) -> None:
    """However many batches are open: a sort of them all would make a run's claims quadratic."""

    def claim(conn: Connection, run: Run) -> None:
        conn.execute(
            "INSERT INTO cda.batch (run_id, scene_id, factor, row_start, row_stop)"
            " SELECT run_id, scene_id, factor, k, k + 1 FROM cda.batch, generate_series(1, 5000) k"
            " WHERE batch_id = %s",
            [batch_ids(conn, run)[0]],
        )
        row = conn.execute("SELECT cda.claim_batch('planet', 'h', 1, NULL, 1, '0', '1 min')")
        assert row.fetchone() != (None,)

    text = plans(claim)
    text = text[text.index("FOR UPDATE SKIP LOCKED") :]
    assert uses(text, "batch_run_id_state_batch_id_idx")
    assert not walks(text, "batch") and "Sort" not in text


def test_repeating_a_batch_goes_by_ids(plans: Plans) -> None:
    def repeat(conn: Connection, run: Run) -> None:
        conn.execute("SELECT cda.repeat_batch(%s)", [batch_ids(conn, run)[0]])

    text = plans(repeat)
    for index in ("detection_r1_detection_id_key", "crater_r1_crater_id_key",
                  "suppression_r1_detection_id_key"):  # fmt: skip
        assert uses(text, index)
    for table in ("detection_r1", "crater_r1", "suppression_r1"):
        assert not walks(text, table)


FRAMES = [
    ("equirectangular", 10.0),
    ("polar_stereographic", 90.0),
    ("sinusoidal", 0.0),
    ("mercator", 0.0),
    ("lonlat", 0.0),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_untiling_is_folded_into_one_statement(planet: Target, frame: tuple[str, float]) -> None:
    """No function of ours is called row by row; the sinusoidal's shear alone is left whole."""
    with connect(planet) as conn:
        batch = batch_ids(conn, get_run(conn, "planet"))[0]
        row = conn.execute(
            "SELECT cda.untile_sql(jsonb_populate_record(x, %s), 'staging_00')"
            " FROM cda.batch_frame x WHERE batch_id = %s",
            [psycopg.types.json.Jsonb({"projection": frame[0], "lat_ts_deg": frame[1]}), batch],
        ).fetchone()
        assert row is not None
        plan = "\n".join(line for (line,) in conn.execute("EXPLAIN (VERBOSE) " + row[0]))
        conn.rollback()
    called = set(re.findall(r"cda\.(\w+)\(", plan))
    assert called <= ({"ground_scale", "map_x_north"} if frame[0] == "sinusoidal" else set())
