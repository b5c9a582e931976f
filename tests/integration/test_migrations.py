"""The schema: revisions equal the metadata, SQL files follow their text, dumps restore."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.conninfo import make_conninfo
from rows import Detections, make_run, store
from sqlalchemy import create_engine, text
from sqlalchemy import exc as sa_exc

from cda_db import migrate as steps
from cda_db import sqlfiles
from cda_db.binaries import find_binaries
from cda_db.connection import Connection, connect, engine
from cda_db.create import create_database
from cda_db.errors import SchemaError
from cda_db.migrate import downgrade, migrate, require_current
from cda_db.row_tables import metadata
from cda_db.settings import Target
from cda_db.sqlfiles import SqlFile, sql_files
from cda_db.suppression import suppress

Facts = dict[str, list[tuple[object, ...]]]

# What a schema is, object by object, without what differs between databases (oids, owners' ids).
TABLES = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity::text, pg_get_expr(d.adbin, d.adrelid),
               col_description(c.oid, a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'cda'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
          AND NOT a.attisdropped AND c.relname <> 'alembic_version'""",
    "tables": """
        SELECT c.relname, c.relkind::text, c.relpersistence::text, pg_get_partkeydef(c.oid),
               obj_description(c.oid, 'pg_class')
        FROM pg_class c WHERE c.relnamespace = 'cda'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname <> 'alembic_version'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'cda'::regnamespace AND conname !~ 'alembic'""",
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'cda' AND indexname !~ 'alembic'""",
}
PROGRAMS = {
    "functions": """
        SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), obj_description(p.oid),
               (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(p.proacl) AS x)
        FROM pg_proc p WHERE p.pronamespace = 'cda'::regnamespace""",
    "views": """
        SELECT viewname, definition, obj_description(('cda.' || viewname)::regclass)
        FROM pg_views WHERE schemaname = 'cda'""",
    "triggers": """
        SELECT tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'cda'::regnamespace AND NOT tgisinternal""",
    "rights": """
        SELECT c.relname, (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(c.relacl) AS x)
        FROM pg_class c WHERE c.relnamespace = 'cda'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    """,
    "defaults": "SELECT defaclobjtype::text, defaclacl::text FROM pg_default_acl",
}


def facts(target: Target, questions: dict[str, str]) -> Facts:
    with connect(target) as conn:
        return {
            name: sorted(conn.execute(query).fetchall(), key=repr)  # type: ignore[call-overload]
            for name, query in questions.items()
        }


@pytest.fixture
def empty(admin_url: str) -> Iterator[Callable[[], Target]]:
    """Makes databases as `cda db create` leaves them, without tables; dropped at the end."""
    made: list[str] = []

    def make() -> Target:
        name = f"cda_test_migrations_{len(made)}_{id(made)}"
        made.append(name)
        target = Target(make_conninfo(admin_url, dbname=name), admin_url)
        create_database(target)
        url = make_conninfo(admin_url, dbname=name, options="-c role=cda_owner")
        return replace(target, url=url)

    yield make
    with connect(admin_url, autocommit=True) as admin:
        for name in made:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            admin.execute(drop)


def revisions() -> list[str]:
    """All revisions, first to last."""
    script = ScriptDirectory.from_config(steps._config())
    return [revision.revision for revision in script.walk_revisions()][::-1]


def test_step_by_step_equals_the_metadata(empty: Callable[[], Target], database: Target) -> None:
    """Every revision by itself from nothing; SQLAlchemy's own tables; the tests' template."""
    stepped, made = empty(), empty()
    for revision in revisions():
        migrate(engine(stepped), revision)
    with engine(made).begin() as connection:
        metadata.create_all(connection)
    tables = facts(made, TABLES)
    assert len(tables["tables"]) == len(metadata.tables)
    assert facts(stepped, TABLES) == tables
    assert facts(database, TABLES) == tables
    assert facts(stepped, PROGRAMS) == facts(database, PROGRAMS)


def test_alembic_sees_no_difference(database: Target) -> None:
    """What `alembic check` would say, comments and defaults included."""
    with engine(database).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table_schema": "cda", "include_schemas": True,
                "compare_server_default": False,
                "include_name": lambda name, kind, _parents: kind != "schema" or name == "cda",
            },
        )  # fmt: skip
        assert compare_metadata(context, metadata) == []


def test_down_and_up_again(database: Target) -> None:
    """Back to nothing, function by function, and up to the very same schema."""
    before = facts(database, TABLES | PROGRAMS)
    for revision in [*revisions()[-2::-1], "base"]:
        downgrade(engine(database), revision)
    left = facts(database, TABLES | PROGRAMS)
    assert {name for name, rows in left.items() if rows} <= {"defaults", "rights"}
    assert [row[0] for row in left["rights"]] == ["alembic_version"]
    migrate(engine(database))
    assert facts(database, TABLES | PROGRAMS) == before


def test_the_sphere_index_of_detections_goes_from_every_run(database: Target) -> None:
    """Older code kept one a run (revision 0006); going back makes it again."""
    with connect(database) as conn:
        run = make_run(conn, "kept", 1)
        one = Detections(
            np.zeros(1), np.zeros(1), np.full(1, 2e4, np.float32), np.full(1, 0.9, np.float32),
            np.zeros(1, np.int64),
        )  # fmt: skip
        store(conn, run, one)
        suppress(database, run)

    def kept() -> int:
        with connect(database) as conn:
            row = conn.execute(
                "SELECT count(*) FROM pg_indexes WHERE indexname ~ '^detection_r.*_sphere_idx$'"
            ).fetchone()
        return int(row[0]) if row else -1

    assert kept() == 0
    downgrade(engine(database), "0005")
    assert kept() == 1
    migrate(engine(database))
    assert kept() == 0


def test_migrating_again_changes_nothing(database: Target) -> None:
    assert migrate(engine(database)) == []


def test_what_others_built_on_our_functions_is_not_dropped_along(database: Target) -> None:
    inside = make_conninfo(database.url, options="-c role=none")
    with connect(inside) as conn:
        conn.execute("CREATE VIEW public.mine AS SELECT cda.wrap_lon(200)")
    with pytest.raises(sa_exc.DBAPIError, match=r"view mine depends on function cda\.wrap_lon"):
        downgrade(engine(database), "base")
    assert migrate(engine(database)) == []  # nothing was left half-done


def changed(files: list[SqlFile], name: str, more: str) -> list[SqlFile]:
    return [replace(f, text=f.text + more) if f.name == name else f for f in files]


def test_drift_of_a_file_is_noticed_and_applied(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another text: the code refuses to work until it is migrated; then it is there, and gone."""
    files, before = sql_files(), facts(database, PROGRAMS)
    more = "\nCREATE FUNCTION cda.answer() RETURNS int LANGUAGE sql RETURN 42;"
    more += "\nCOMMENT ON FUNCTION cda.answer() IS 'To all. Example: SELECT cda.answer()';"
    monkeypatch.setattr(sqlfiles, "sql_files", lambda: changed(files, "010_sphere.sql", more))
    with engine(database).connect() as connection, pytest.raises(SchemaError, match="010_sphere"):
        require_current(connection)
    assert "010_sphere.sql" in migrate(engine(database))
    with connect(database, role="cda_reader") as conn:  # granted like the rest
        assert conn.execute("SELECT cda.answer()").fetchone() == (42,)
    denied = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with connect(database, role="cda_ingest") as conn, denied:
        conn.execute("SELECT cda.answer()")
    monkeypatch.undo()
    migrate(engine(database))
    with engine(database).connect() as connection:
        require_current(connection)
    assert facts(database, PROGRAMS) == before


def test_an_old_parameter_list_and_an_old_file_do_not_linger(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function whose parameters changed would stay beside the new one, callable and wrong."""
    before = facts(database, PROGRAMS)
    old = SqlFile(
        "035_old.sql",
        "CREATE OR REPLACE FUNCTION cda.wrap_lon(lon float8, turn int) RETURNS float8"
        " LANGUAGE sql RETURN lon; CREATE OR REPLACE VIEW cda.stale AS SELECT 1 AS one;"
        " CREATE OR REPLACE TRIGGER stale BEFORE UPDATE ON cda.body"
        " FOR EACH STATEMENT EXECUTE FUNCTION cda.refuse_change();",
    )
    files = sql_files()
    with monkeypatch.context() as patch:
        patch.setattr(sqlfiles, "sql_files", lambda: sorted([*files, old], key=lambda f: f.name))
        migrate(engine(database))
        assert facts(database, PROGRAMS) != before
    with engine(database).connect() as connection, pytest.raises(SchemaError, match="035_old"):
        require_current(connection)
    migrate(engine(database))
    assert facts(database, PROGRAMS) == before


def test_a_stray_right_is_taken_back(database: Target) -> None:
    """The grants file says who may do what: nothing that was granted by hand survives it."""
    before = facts(database, PROGRAMS)
    with connect(database) as conn:
        conn.execute("GRANT UPDATE ON cda.scene TO cda_reader")
        conn.execute("GRANT EXECUTE ON FUNCTION cda.repeat_batch TO cda_ingest, PUBLIC")
        conn.execute("UPDATE cda.sql_file SET sha256 = '' WHERE name = '900_grants.sql'")
    migrate(engine(database))
    assert facts(database, PROGRAMS) == before


def test_a_failed_migration_leaves_nothing_half_done(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = facts(database, TABLES | PROGRAMS)
    files = changed(sql_files(), "085_rollup.sql", "\nCREATE FUNCTION nonsense;")
    monkeypatch.setattr(sqlfiles, "sql_files", lambda: files)
    with pytest.raises(sa_exc.DBAPIError):
        migrate(engine(database))
    assert facts(database, TABLES | PROGRAMS) == before


def test_a_database_of_the_future_is_refused(database: Target) -> None:
    with connect(database) as conn:
        conn.execute("UPDATE cda.alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="9999"):
        migrate(engine(database))
    with engine(database).connect() as connection, pytest.raises(SchemaError, match="9999"):
        require_current(connection)


def test_everything_has_a_comment(conn: Connection) -> None:
    """Tables, columns, views, functions; every function's with an example of its call."""
    make_run(conn, "run")  # partitions too
    missing = conn.execute(
        """
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'cda'::regnamespace AND c.relkind IN ('r', 'p', 'v')
          AND obj_description(c.oid, 'pg_class') IS NULL
        UNION ALL
        SELECT format('%s.%s', c.oid::regclass, a.attname)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'cda'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
          AND NOT a.attisdropped AND NOT c.relispartition
          AND col_description(c.oid, a.attnum) IS NULL
        UNION ALL
        SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = 'cda'::regnamespace
          AND (obj_description(p.oid, 'pg_proc') IS NULL
               OR obj_description(p.oid, 'pg_proc') !~ 'Example: ')
        """
    ).fetchall()
    assert missing == []


def test_the_examples_of_the_comments_run(database: Target, conn: Connection) -> None:
    """Immutable functions: the example is run, and where it names a result, that is the result."""
    rows = conn.execute(
        "SELECT proname, obj_description(oid) FROM pg_proc"
        " WHERE pronamespace = 'cda'::regnamespace AND provolatile = 'i'"
    ).fetchall()
    checked = 0
    for name, comment in rows:
        example = re.sub(r"\s+", " ", comment.split("Example: ")[1])
        statement, _, result = example.partition(" -- ")
        if statement.startswith("internal to"):
            continue
        found = conn.execute(statement).fetchone()
        assert found is not None, name
        number = re.match(r"-?[\d.]+", result)
        if number:
            digits = len(number[0].partition(".")[2].rstrip("."))
            assert float(found[0]) == pytest.approx(
                float(number[0].rstrip(".")), abs=0.51 * 10**-digits
            ), name
            checked += 1
    assert checked >= 10


def test_a_dump_restores_into_a_working_database(
    database: Target, admin_url: str, empty: Callable[[], Target]
) -> None:
    """pg_dump | psql: same objects, same rows, same checksum, and functions that still work."""
    with connect(database) as conn:
        run = make_run(conn, "kept", 2)
        found = Detections(
            np.array([10.0, 10.0, -179.9, 179.9]), np.zeros(4), np.full(4, 2e4, np.float32),
            np.array([0.9, 0.5, 0.7, 0.6], np.float32), np.array([0, 1, 0, 1]),
        )  # fmt: skip
        store(conn, run, found)
        suppress(database, run)
        checksum = conn.execute("SELECT cda.content_checksum(%s)", [run.run_id]).fetchone()
    binaries = find_binaries()
    restored = empty()
    plain = make_conninfo(database.url, options="")
    dump = subprocess.run(
        [binaries.program("pg_dump"), plain], check=True, capture_output=True, text=True
    )
    target_url = make_conninfo(restored.url, options="")
    with connect(target_url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA cda CASCADE")  # `cda db create` had made it, empty
    script = dump.stdout.replace("CREATE SCHEMA public;", "")
    subprocess.run(
        [binaries.program("psql"), "-q", "-v", "ON_ERROR_STOP=1", target_url],
        input=_without_crs_rows(script), check=True, capture_output=True, text=True,
    )  # fmt: skip
    questions = TABLES | PROGRAMS
    for name, rows in facts(database, questions).items():
        assert facts(restored, {name: questions[name]})[name] == rows
    assert migrate(engine(restored)) == []
    with connect(restored) as conn:
        assert conn.execute("SELECT cda.content_checksum(%s)", [run.run_id]).fetchone() == checksum
        # and it goes on: more scenes, more batches, another suppression
        more = make_run(conn, "more", 1)
        store(conn, more, Detections(*(part[:1] for part in vars(found).values())))
        assert suppress(restored, more).n_craters == 1


def _without_crs_rows(script: str) -> str:
    """A dump without the rows of spatial_ref_sys, which `cda db create` has put there."""
    return re.sub(r"COPY public\.spatial_ref_sys .*?\n\\\.\n", "", script, count=1, flags=re.DOTALL)


def test_engine_of_the_tests_is_real(database: Target) -> None:
    """No stand-in: the schema under test lives in PostgreSQL 15 or newer with PostGIS and Q3C."""
    made = create_engine("postgresql+psycopg://", creator=lambda: connect(database))
    with made.connect() as connection:
        names = connection.execute(text("SELECT extname FROM pg_extension")).scalars().all()
        assert {"postgis", "q3c"} <= set(names)
