"""Bring a database to the schema of this code: Alembic revisions, then the SQL files."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
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

    Returns:
        Names of the SQL files that were applied.
    """
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL ROLE {OWNER_ROLE}"))
        connection.execute(text(_LOCK))
        config = _config(connection)
        command.upgrade(config, revision)
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
