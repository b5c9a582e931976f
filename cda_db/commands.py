"""``cda db``: the server, the database and its health."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from cda_db.output import format_option, show_figures, show_rows

if TYPE_CHECKING:
    from cda_db.settings import Cluster, Target

_cluster_option = click.option(
    "--cluster", "name", metavar="NAME", help="An embedded cluster by name: main or test."
)


@click.group()
def db() -> None:
    """Server, database, schema, logins, health."""


@db.command()
@click.option("--print-sql", is_flag=True, help="Print the step for an administrator; do nothing.")
def create(print_sql: bool) -> None:
    """Make the database, its extensions, roles and planetary coordinate systems.

    The one step that needs a superuser. Starts the embedded server where the database is there;
    can be repeated at any time. Follow it with 'cda db migrate'.

    \b
    Example:
      cda db create
      cda db create --print-sql | psql -h server -U postgres
    """
    from cda_db import create as steps
    from cda_db import embedded, settings

    target = settings.target()
    name = steps.database_name(target)
    if print_sql:
        click.echo(steps.creation_script(name), nl=False)
        return
    if target.cluster is not None:
        embedded.start(target.cluster)
    new = steps.create_database(target)
    click.echo(f"Database {name}: {'made' if new else 'was there, brought up to date'}.")


@db.command()
def migrate() -> None:
    """Bring the schema to this code's: tables first, then functions, views and grants.

    \b
    Example:
      cda db migrate
    """
    from cda_db import migrate as steps
    from cda_db.connection import engine

    applied = steps.migrate(engine())
    click.echo(f"Schema up to date; SQL files applied: {', '.join(applied) or 'none'}.")


@db.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["reader", "ingest", "owner"]), required=True)
@click.option("--password", is_flag=True, help="Ask for a password, or read it from stdin.")
def login(name: str, role: str, password: bool) -> None:
    """Make a login that reads, ingests or owns; or change an existing one.

    A reader's statements end after 60 seconds. Needs a superuser, as 'cda db create' does.

    \b
    Example:
      cda db login ada --role reader --password
    """
    from cda_db import settings
    from cda_db.connection import connect
    from cda_db.logins import create_login

    secret = _ask_password() if password else None
    with connect(settings.target().admin_url, autocommit=True) as admin:
        new = create_login(admin, name, role, secret)
    click.echo(f"Login {name}: {'made' if new else 'changed'}, {role}.")


@db.command()
@_cluster_option
def start(name: str | None) -> None:
    """Start the embedded server, making its cluster the first time.

    \b
    Example:
      cda db start
    """
    from cda_db import embedded

    cluster = _embedded_cluster(name)
    click.echo(f"Server '{cluster.name}' runs as process {embedded.start(cluster).pid}.")


@db.command()
@_cluster_option
def stop(name: str | None) -> None:
    """Stop the embedded server; its data stay.

    \b
    Example:
      cda db stop
    """
    from cda_db import embedded

    cluster = _embedded_cluster(name)
    click.echo(f"Server '{cluster.name}' {'stopped' if embedded.stop(cluster) else 'did not run'}.")


@db.command()
@_cluster_option
def restart(name: str | None) -> None:
    """Stop and start the embedded server.

    \b
    Example:
      cda db restart
    """
    from cda_db import embedded

    cluster = _embedded_cluster(name)
    click.echo(f"Server '{cluster.name}' runs as process {embedded.restart(cluster).pid}.")


@db.command()
@_cluster_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str | None, yes: bool) -> None:
    """Stop the embedded server and delete its cluster with all data.

    \b
    Example:
      cda db remove --cluster test --yes
    """
    from cda_db import embedded

    cluster = _embedded_cluster(name)
    if not yes:
        click.confirm(f"Delete {cluster.data_dir} with every database in it?", abort=True, err=True)
    click.echo(
        f"Cluster '{cluster.name}' {'deleted' if embedded.remove(cluster) else 'was not there'}."
    )


@db.command()
@_cluster_option
@format_option
def status(name: str | None, output_format: str) -> None:
    """Say where the database is and how it does.

    \b
    Example:
      cda db status --format json
    """
    from cda_db.health import report

    show_figures(report(_target(name)), output_format)


@db.command()
@_cluster_option
def url(name: str | None) -> None:
    """Print the database's URL, for psql, QGIS or pandas.

    \b
    Example:
      psql "$(cda db url)"
    """
    click.echo(_target(name).url)


@db.command()
@_cluster_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def psql(name: str | None, words: tuple[str, ...]) -> None:
    """Open psql on the database; words after '--' go to psql.

    \b
    Example:
      cda db psql -- -c 'SELECT count(*) FROM cda.crater'
    """
    from cda_db.binaries import find_binaries

    program = find_binaries().program("psql")
    sys.stdout.flush()
    os.execv(program, [program, _target(name).url, *words])


@db.command()
@click.option("--run", "run_name", metavar="NAME", help="One run; all of them unless named.")
@format_option
def check(run_name: str | None, output_format: str) -> None:
    """Audit: orphans, duplicates, rows without verdict. Exit status 4 if there is any.

    \b
    Example:
      cda db check --run zunil
    """
    from cda_db.check import audit
    from cda_db.connection import connect
    from cda_db.runs import all_runs, get_run

    with connect(role="cda_reader") as conn:
        runs = [get_run(conn, run_name)] if run_name else all_runs(conn)
        rows = [
            {"run": run.name, "audit": name, "n": n}
            for run in runs
            for name, n in audit(conn, run).items()
        ]
    show_rows(rows, output_format)
    if any(row["n"] for row in rows):
        sys.exit(4)


@db.command()
@click.option("--run", "run_name", required=True, metavar="NAME", help="The run.")
@format_option
def checksum(run_name: str, output_format: str) -> None:
    """Checksum of detections and verdicts by content: equal for any order, workers, batches.

    \b
    Example:
      cda db checksum --run zunil
    """
    from cda_db.check import checksum as of_content
    from cda_db.connection import connect
    from cda_db.runs import get_run

    with connect(role="cda_reader") as conn:
        value = of_content(conn, get_run(conn, run_name))
    show_figures({"run": run_name, "checksum": value}, output_format)


@db.command()
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="File; else stdout.")
def docs(out: str | None) -> None:
    """Write the SQL reference (Markdown) from the comments in the database.

    \b
    Example:
      cda db docs --out docs/sql.md
    """
    from pathlib import Path

    from cda_db.connection import connect
    from cda_db.sqldocs import reference

    with connect(role="cda_reader") as conn:
        text = reference(conn)
    if out is None:
        click.echo(text, nl=False)
    else:
        Path(out).write_text(text)


def _target(name: str | None) -> Target:
    from cda_db import settings

    if name is None:
        return settings.target()
    return settings.embedded(settings.find_cluster(name))


def _embedded_cluster(name: str | None) -> Cluster:
    from cda_db.errors import StateError

    cluster = _target(name).cluster
    if cluster is None:
        raise StateError(
            "CDA_DATABASE_URL leads to a server that is not this checkout's.",
            "Unset it, or name an embedded cluster with --cluster main.",
        )
    return cluster


def _ask_password() -> str:
    if sys.stdin.isatty():
        answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return answer
    return sys.stdin.readline().rstrip("\n")
