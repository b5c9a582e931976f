"""``cda db`` on a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cda_db import embedded, settings
from cda_db.command import cda as root
from cda_db.connection import connect
from cda_db.settings import Target

Cda = Callable[..., Result]


def test_status_of_a_ready_database(cda: Cda) -> None:
    figures = json.loads(cda("db", "status", "--format", "json").stdout)
    assert figures["running"] is True
    assert figures["problem"] is None
    assert figures["server"] == "external"
    assert figures["revision"]
    assert figures["size_bytes"] > 0


def test_status_of_a_server_that_is_not_there(tmp_path: Path) -> None:
    url = f"postgresql://nobody@/none?host={tmp_path}"
    result = CliRunner(env={"CDA_DATABASE_URL": url}).invoke(root, ["db", "status"])
    assert result.exit_code == 0
    assert "No connection" in result.stdout


def test_check_of_an_empty_database(cda: Cda) -> None:
    result = cda("db", "check", "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_an_unknown_run_is_told(cda: Cda) -> None:
    for word in ("check", "checksum"):
        result = cda("db", word, "--run", "nowhere")
        assert result.exit_code == 2
        assert "nowhere" in result.stderr


def test_migrating_again_applies_nothing(cda: Cda) -> None:
    result = cda("db", "migrate")
    assert result.exit_code == 0
    assert "applied: none" in result.stdout


def test_an_external_server_is_not_started(cda: Cda) -> None:
    for word in ("start", "stop", "restart"):
        result = cda("db", word)
        assert result.exit_code == 4
        assert "--cluster main" in result.stderr


def test_a_stopped_statement_is_told_in_words(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def sleep() -> None:
        with connect(database) as conn:
            conn.execute("SET statement_timeout = '20ms'")
            conn.execute("SELECT pg_sleep(5)")

    monkeypatch.setitem(root.commands, "sleep", sleep)
    result = CliRunner().invoke(root, ["sleep"])
    assert result.exit_code == 3
    assert "canceling statement due to statement timeout" in result.stderr


def test_the_printed_sql_is_whole(cda: Cda) -> None:
    text = cda("db", "create", "--print-sql").stdout
    for word in ("CREATE EXTENSION", "q3c", "cda_reader", "49900", "\\connect", "IAU_2015"):
        assert word in text


def test_logins_are_made_and_changed(cda: Cda, admin_url: str) -> None:
    name = f"cda_test_{os.getpid()}_login"
    run = CliRunner(env={"CDA_DATABASE_URL": admin_url})
    words = ["db", "login", name, "--role"]
    try:
        assert "made, reader" in run.invoke(root, [*words, "reader"]).stdout
        assert "changed, ingest" in run.invoke(root, [*words, "ingest"]).stdout
        assert run.invoke(root, ["db", "login", "postgres", "--role", "owner"]).exit_code == 2
        not_admin = cda(*words, "owner")  # acts as cda_owner, who is no superuser
        assert not_admin.exit_code == 3
        assert "permission denied" in not_admin.stderr
    finally:
        with connect(admin_url, autocommit=True) as admin:
            admin.execute(f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without a checkout; its clusters are removed at the end."""
    monkeypatch.setattr(settings, "home", lambda: tmp_path)
    yield tmp_path
    embedded.remove(settings.find_cluster("main", tmp_path))


@pytest.mark.usefixtures("elsewhere")
def test_from_nothing_to_a_database_and_back() -> None:
    """create, migrate, status, stop, remove on an embedded cluster, as a newcomer types them."""
    run = CliRunner()
    assert "not running" in run.invoke(root, ["db", "migrate"]).stderr
    assert run.invoke(root, ["db", "create"]).stdout == "Database cda: made.\n"
    assert "020" in run.invoke(root, ["db", "migrate"]).stdout
    figures = json.loads(run.invoke(root, ["db", "status", "--format", "json"]).stdout)
    assert (figures["server"], figures["problem"]) == ("embedded", None)
    with connect(run.invoke(root, ["db", "url"]).stdout.strip()) as conn:
        row = conn.execute("SELECT session_user, current_user").fetchone()
        assert row == ("cda", "cda_owner")
        owners = conn.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'cda'"
        ).fetchall()
        assert owners == [("cda_owner",)]
    assert run.invoke(root, ["db", "stop"]).stdout == "Server 'main' stopped.\n"
    assert run.invoke(root, ["db", "remove"], input="n\n").exit_code == 1
    assert run.invoke(root, ["db", "remove", "--yes"]).stdout == "Cluster 'main' deleted.\n"
    assert run.invoke(root, ["db", "remove", "--yes"]).stdout == "Cluster 'main' was not there.\n"


def test_psql_opens_on_the_database(database: Target) -> None:
    program = Path(sys.executable).parent / "cda"
    words = ["db", "psql", "--", "-At", "-c", "SELECT current_user"]
    environment = {**os.environ, "CDA_DATABASE_URL": database.url}
    done = subprocess.run(
        [program, *words], check=False, capture_output=True, text=True, env=environment
    )
    assert done.stdout == "cda_owner\n", done.stderr
