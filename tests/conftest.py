"""The tests' own server and databases, and the sample data.

Every test gets databases of its own, cloned from one migrated template. The server is the embedded
cluster ``test`` of this checkout, or ``CDA_TEST_DATABASE_URL`` (a superuser's URL); the tests never
look at ``CDA_DATABASE_URL``.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cda_db.connection import Connection, connect, engine
from cda_db.create import create_database
from cda_db.embedded import lease
from cda_db.migrate import migrate
from cda_db.settings import Target, external, find_cluster, home

TEST_URL = "CDA_TEST_DATABASE_URL"
SAMPLE_DATA = "CDA_SAMPLE_DATA"
_MISSING = f"{SAMPLE_DATA} has no"
_OURS = re.compile(r"cda_test_(\d+)_\w+")


def _sample_root() -> Path:
    # Beside the checkout unless the environment says otherwise.
    return (home() / os.environ.get(SAMPLE_DATA, "../shared/data")).resolve()


@pytest.fixture(scope="session")
def sample_data() -> Callable[[str], Path]:
    """A function from a path under the sample data to the real file; skips where it is missing."""

    def find(relative: str = ".") -> Path:
        path = _sample_root() / relative
        if not path.exists():
            pytest.skip(f"{_MISSING} {relative}")
        return path

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped for want of sample data."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(_MISSING in str(report.longrepr) for report in skipped)
    terminalreporter.write_line(
        f"{count} tests skipped for want of {SAMPLE_DATA} (looked in {_sample_root()})"
    )


@pytest.fixture(scope="session", autouse=True)
def _no_database_by_accident() -> Iterator[None]:
    """Tests never reach the database that the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CDA_DATABASE_URL", raising=False)
        yield


@pytest.fixture(scope="session")
def admin_url() -> Iterator[str]:
    """URL of a superuser at the test server's maintenance database."""
    with ExitStack() as stack:
        given = os.environ.get(TEST_URL)
        if given:
            yield external(given).admin_url
            return
        cluster = find_cluster("test")
        stack.enter_context(lease(cluster))
        url = cluster.url("postgres", "postgres")
        _drop_leftovers(url)
        yield url


@pytest.fixture(scope="session")
def template(admin_url: str) -> Iterator[str]:
    """Name of a database with extensions, roles and the newest schema, which tests clone."""
    with _named(admin_url, "template") as name:
        target = Target(make_conninfo(admin_url, dbname=name), admin_url)
        create_database(target)
        migrate(engine(target))
        yield name


@contextmanager
def _named(admin_url: str, kind: str) -> Iterator[str]:
    """A database name of this process, dropped at the end."""
    name = f"cda_test_{os.getpid()}_{kind}_{uuid.uuid4().hex[:8]}"
    try:
        yield name
    finally:
        _drop(admin_url, name)


@contextmanager
def cloned(admin_url: str, template: str) -> Iterator[Target]:
    """A clone of the template, dropped at the end; sessions start as ``cda_owner``."""
    with _named(admin_url, "clone") as name:
        with connect(admin_url, autocommit=True) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER cda_owner").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        # The superuser acting as the owner: rights are the owner's, and tests may SET ROLE.
        url = make_conninfo(admin_url, dbname=name, options="-c role=cda_owner")
        yield Target(url, admin_url)


@pytest.fixture
def database(admin_url: str, template: str) -> Iterator[Target]:
    """A fresh migrated database for one test."""
    with cloned(admin_url, template) as target:
        yield target


@pytest.fixture(scope="module")
def module_database(admin_url: str, template: str) -> Iterator[Target]:
    """A migrated database that the tests of one file share."""
    with cloned(admin_url, template) as target:
        yield target


@pytest.fixture
def conn(database: Target) -> Iterator[Connection]:
    """A connection to the test's own database, as the owner."""
    with connect(database) as connection:
        yield connection


@pytest.fixture
def cda(database: Target) -> Callable[..., Result]:
    """Run ``cda WORDS...`` in this process, on the test's own database."""
    return lambda *words: run_cda(database, *words)


def run_cda(target: Target, *words: object) -> Result:
    """Run a ``cda`` command on a database; the result has ``exit_code``, ``stdout``, ``stderr``."""
    from cda_db.command import cda as root

    environment = {"CDA_DATABASE_URL": target.url}
    return CliRunner(env=environment).invoke(root, [str(word) for word in words])


def _drop(admin_url: str, name: str) -> None:
    with connect(admin_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def _drop_leftovers(admin_url: str) -> None:
    """Drop databases of test processes that were killed."""
    with connect(admin_url, autocommit=True) as admin:
        names = [row[0] for row in admin.execute("SELECT datname FROM pg_database").fetchall()]
    for name in names:
        match = _OURS.fullmatch(name)
        if match and not Path(f"/proc/{match.group(1)}").exists():
            _drop(admin_url, name)
