"""Rights by trying: every table, view and function under the ingest and the reader role."""

from __future__ import annotations

import psycopg
import pytest
from rows import make_run

from cda_db.connection import Connection, connect
from cda_db.logins import create_login
from cda_db.settings import Target

STAGING = {f"staging_{slot:02d}" for slot in range(16)}
# All that a worker may do besides INSERT into staging.
WORKERS = {"claim_batch", "renew_batch", "finish_batch", "fail_batch", "take_staging_slot",
           "open_batches"}  # fmt: skip
DENIED = psycopg.errors.InsufficientPrivilege
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
VERBS = {
    "SELECT": "SELECT 1 FROM cda.{table} LIMIT 0",
    "INSERT": "INSERT INTO cda.{table} DEFAULT VALUES",
    "UPDATE": "UPDATE cda.{table} SET {column} = {column} WHERE false",
    "DELETE": "DELETE FROM cda.{table} WHERE false",
    "TRUNCATE": "TRUNCATE cda.{table}",
    "DROP": "DROP TABLE cda.{table} CASCADE",
    "ALTER": "ALTER TABLE cda.{table} ADD COLUMN hostile int",
}
_RELATIONS = """
    SELECT c.relname, min(a.attname), c.relkind = 'v' FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'cda'::regnamespace AND c.relkind IN ('r', 'p', 'v') GROUP BY c.oid"""


@pytest.fixture(scope="module")
def tables(module_database: Target) -> dict[str, str]:
    """Every table of the schema, partitions of a run included, with one column each."""
    with connect(module_database) as conn:
        make_run(conn, "run")
        found = {name: column for name, column, view in conn.execute(_RELATIONS) if not view}
    assert {"scene", "detection_r1", "alembic_version"} | STAGING <= set(found)
    return found


def denied(conn: Connection, statement: str) -> bool:
    """Whether the server refuses for want of rights; any other error is no refusal."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(statement)  # type: ignore[call-overload]
    except DENIED:
        return True
    except psycopg.Error:
        return False
    return False


def allowed(conn: Connection, tables: dict[str, str], verb: str) -> set[str]:
    """Tables on which the server does not refuse it, by trying."""
    return {
        table
        for table, column in tables.items()
        if not denied(conn, VERBS[verb].format(table=table, column=column))
    }


@pytest.mark.parametrize("verb", VERBS)
def test_ingest_may_only_insert_into_staging(
    module_database: Target, tables: dict[str, str], verb: str
) -> None:
    with connect(module_database, role="cda_ingest") as conn:
        assert allowed(conn, tables, verb) == (STAGING if verb == "INSERT" else set())


@pytest.mark.parametrize("verb", VERBS)
def test_the_reader_may_only_read(
    module_database: Target, tables: dict[str, str], verb: str
) -> None:
    with connect(module_database, role="cda_reader") as conn:
        assert allowed(conn, tables, verb) == (set(tables) if verb == "SELECT" else set())


@pytest.mark.parametrize("right", RIGHTS)
def test_the_servers_own_list_of_rights_says_the_same(
    module_database: Target, tables: dict[str, str], right: str
) -> None:
    """Tables, views and sequences, column by column where a right may be a column's."""
    with connect(module_database) as conn:
        rows = conn.execute(
            "SELECT relname, has_table_privilege('cda_ingest', c.oid, %(right)s),"
            " has_table_privilege('cda_reader', c.oid, %(right)s) FROM pg_class c"
            " WHERE relnamespace = 'cda'::regnamespace AND relkind IN ('r', 'p', 'v')",
            {"right": right},
        ).fetchall()
        by_column = conn.execute(
            "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'cda'::regnamespace AND a.attacl IS NOT NULL"
        ).fetchone()
        sequences = conn.execute(
            "SELECT count(*) FROM pg_class c, unnest(ARRAY['cda_ingest', 'cda_reader']) AS role"
            " WHERE relnamespace = 'cda'::regnamespace AND relkind = 'S'"
            " AND has_sequence_privilege(role, c.oid, 'USAGE, UPDATE')"
        ).fetchone()
    assert {name for name, ingest, _ in rows if ingest} == (STAGING if right == "INSERT" else set())
    readable = {name for name, *_ in rows} if right == "SELECT" else set()
    assert {name for name, _, reader in rows if reader} == readable
    assert by_column == sequences == (0,)


def test_each_role_has_its_functions(module_database: Target) -> None:
    """Ingest: what a worker needs. Reader: all but a worker's steps; counting is reading."""
    with connect(module_database) as conn:
        rows = conn.execute(
            "SELECT proname, has_function_privilege('cda_ingest', oid, 'EXECUTE'),"
            " has_function_privilege('cda_reader', oid, 'EXECUTE') FROM pg_proc"
            " WHERE pronamespace = 'cda'::regnamespace"
        ).fetchall()
    assert {name for name, ingest, _ in rows if ingest} == WORKERS
    assert {name for name, _, reader in rows if not reader} == WORKERS - {"open_batches"}


@pytest.mark.parametrize(
    "step",
    [
        "SELECT cda.claim_batch('run', 'h', 1, NULL, 1, '0', '1 s')",
        "SELECT cda.renew_batch(1, 1, '1 s')",
        "SELECT cda.fail_batch(1, 1, 'no')",
        "SELECT cda.finish_batch(1, 1, 'staging_00', 1, 0, 0)",
        "SELECT cda.take_staging_slot()",
        "SELECT cda.repeat_batch(1)",
        "SELECT cda.create_partitions(77)",
        "SELECT cda.clear_catalogue(1)",
        "SELECT cda.index_crater_ids(1)",
        "SELECT cda.roll_up_counts(1, 9)",
        "SELECT cda.roll_up_bins(1, 9, '{0}')",
        "SELECT cda.roll_up_done(1)",
        "SELECT cda.suppress_rest(1)",
    ],
)
def test_the_reader_changes_nothing_by_a_function(
    module_database: Target, tables: dict[str, str], step: str
) -> None:
    """Those that it may call run with its own rights, and end at the first table."""
    with connect(module_database, role="cda_reader") as conn:
        assert denied(conn, step)


@pytest.mark.parametrize(
    "step",
    [
        "SELECT cda.repeat_batch(1)",
        "SELECT cda.scene_json(1)",
        "SELECT cda.provenance(1)",
        "SELECT * FROM cda.audit(1)",
        "SELECT cda.create_partitions(77)",
        "SELECT * FROM cda.batch_frame",
        "SELECT cda.wrap_lon(random() * 400)",
    ],
)
def test_a_worker_calls_nothing_else(
    module_database: Target, tables: dict[str, str], step: str
) -> None:
    with connect(module_database, role="cda_ingest") as conn:
        assert denied(conn, step)


@pytest.mark.parametrize("role", ["cda_ingest", "cda_reader"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE cda.mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "CREATE FUNCTION cda.mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE SCHEMA mine",
        "SET ROLE cda_owner",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER FUNCTION cda.claim_batch SECURITY INVOKER",
        "COPY cda.batch TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "CREATE EXTENSION pg_stat_statements",
    ],
)
def test_nobody_escapes_from_their_role(
    module_database: Target, admin_url: str, role: str, statement: str
) -> None:
    """By a login of its own: the tests' superuser could always come back from SET ROLE."""
    login = f"{role}_probe"
    with connect(admin_url, autocommit=True) as admin:
        create_login(admin, login, role.removeprefix("cda_"))
        try:
            with connect(module_database.url.replace("user=postgres", f"user={login}").replace(
                    "options='-c role=cda_owner'", "")) as conn:  # fmt: skip
                assert conn.execute("SELECT session_user").fetchone() == (login,)
                with pytest.raises((DENIED, psycopg.errors.UndefinedFile)):
                    conn.execute(statement)  # type: ignore[call-overload]
        finally:
            admin.execute(f"DROP ROLE {login}")


@pytest.mark.parametrize("name", ["batch", "attempt", "run", "hashtext", "to_jsonb"])
def test_a_temporary_table_does_not_stand_in(module_database: Target, name: str) -> None:
    """Functions that act as the owner look in cda first and in pg_temp last."""
    with connect(module_database, role="cda_ingest") as conn:
        conn.execute(f"CREATE TEMP TABLE {name} (run_id int, batch_id bigint, state text)")
        row = conn.execute("SELECT cda.open_batches('run')").fetchone()
        assert row is not None and row[0] >= 1
        conn.rollback()


def test_functions_that_act_as_the_owner_fix_their_search_path(conn: Connection) -> None:
    rows = conn.execute(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'cda'::regnamespace"
        " AND prosecdef"
    ).fetchall()
    assert {row[0] for row in rows} == WORKERS
    assert {tuple(row[1]) for row in rows} == {("search_path=cda, public, pg_temp",)}


def test_rights_hold_for_runs_made_later(module_database: Target) -> None:
    """Partitions of a new run are readable at once, and closed to the ingest role."""
    with connect(module_database) as conn:
        run = make_run(conn, "later")
    with connect(module_database, role="cda_reader") as conn:
        conn.execute(f"SELECT FROM cda.detection_r{run.run_id}")
    with connect(module_database, role="cda_ingest") as conn, pytest.raises(DENIED):
        conn.execute(f"INSERT INTO cda.detection_r{run.run_id} DEFAULT VALUES")
