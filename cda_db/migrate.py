"""Bring a database to the schema of this code: Alembic revisions, then the SQL files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from cda_db.errors import SchemaError
from cda_db.sqlfiles import pending

OWNER_ROLE = "cda_owner"
# One migration at a time, whoever starts it.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('cda migrate'))"


def _config(connection: Connection | None = None) -> Config:
    import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine, revision: str = "head") -> list[str]:
    """Upgrade to ``revision`` as the owner role, in one transaction; nothing is left half-done.

    Functions and views are there at the head only: a revision may change any table under them.

    Returns:
        Names of the SQL files that were applied.

    Raises:
        SchemaError: the database is at a revision that this code does not know.
    """
    return _go(engine, command.upgrade, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to ``revision`` (``base``: no tables at all); what it has no table for is lost."""
    _go(engine, command.downgrade, revision)


def _go(engine: Engine, step: Callable[[Config, str], None], revision: str) -> list[str]:
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL ROLE {OWNER_ROLE}"))
        connection.execute(text(_LOCK))
        config = _config(connection)
        try:
            step(config, revision)
        except CommandError as error:
            raise SchemaError(
                f"This code cannot migrate the database: {error}.",
                "Use the version of the code that made it, or a newer one.",
            ) from error
        applied: list[str] = config.attributes.get("applied", [])
        return applied


def require_current(connection: Connection) -> None:
    """Raise SchemaError unless the database is at this code's revision and SQL files."""
    context = MigrationContext.configure(connection, opts={"version_table_schema": "cda"})
    head = ScriptDirectory.from_config(_config()).get_current_head()
    current = context.get_current_revision()
    if current != head:
        raise SchemaError(
            f"The database is at revision {current or 'none'}, this code needs {head}.",
            "Run `cda db migrate`.",
        )
    if names := pending(connection):
        raise SchemaError(
            f"SQL files differ from this code's: {', '.join(names)}.", "Run `cda db migrate`."
        )
