"""The command ``cda``: finds its groups by entry points and prints errors as people read them."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, NoReturn

import click

from cda_db.errors import CdaError, ServerError

GROUP = "cda.commands"
PACKAGE = "crater-db"


class RootGroup(click.Group):
    """A group whose subcommands are entry points, loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of every installed group."""
        return sorted({*super().list_commands(ctx), *_entry_points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a group; one that does not load is a command that says why."""
        entry = _entry_points().get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        try:
            loaded = entry.load()
        except (ImportError, AttributeError, SyntaxError) as error:
            return _broken(cmd_name, f"{type(error).__name__}: {error}")
        if not isinstance(loaded, click.Command):
            return _broken(cmd_name, f"{entry.value} is no click command")
        return loaded

    def invoke(self, ctx: click.Context) -> Any:
        """Run, turning errors that a person can act on into messages."""
        try:
            return super().invoke(ctx)
        except CdaError as error:
            _fail(error.problem, error.remedy, error.exit_code)
        except _server_errors() as error:
            said = f"The database server said: {error}".strip()
            _fail(said, "Look at the server with: cda db status", ServerError.exit_code)


def _fail(problem: str, remedy: str, exit_code: int = CdaError.exit_code) -> NoReturn:
    """Print what is wrong and what to do about it on stderr, and end with the exit code."""
    click.echo(f"Error: {problem}", err=True)
    if remedy:
        click.echo(f"  {remedy}", err=True)
    raise click.exceptions.Exit(exit_code)


def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _broken(name: str, reason: str) -> click.Command:
    def fail(**_: object) -> NoReturn:
        problem = f"The group '{name}' does not load ({reason})."
        _fail(problem, "Install again: make setup")

    # Any words after the name are taken, so that the reason is what is shown.
    words = click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)
    return click.Command(
        name,
        callback=fail,
        params=[words],
        help=f"(does not load: {reason})",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )


def _server_errors() -> tuple[type[Exception], ...]:
    """Errors of a server that went away, stopped a statement or denied it to this login."""
    psycopg = sys.modules.get("psycopg")  # not imported for this: most commands need none
    return (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) if psycopg else ()


def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        _fail(f"{PACKAGE} is not installed.", "Install it: make setup")


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"cda {_version()}")
        ctx.exit()


@click.group(cls=RootGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def cda() -> None:
    """Impact craters of whole planets in PostGIS.

    Pictures go in with 'ingest', science comes out with 'query'; 'db' looks after the database and
    'model' after detectors. The database is the embedded one of this checkout, unless
    CDA_DATABASE_URL leads elsewhere.

    \b
    Example:
      cda db create && cda db migrate
      cda ingest --help
    """
