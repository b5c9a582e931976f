"""Alembic environment: revisions and changed SQL files in one transaction.

``cda_db.migrate`` hands over an open connection that already acts as the owner role.
"""

from __future__ import annotations

from alembic import context

from cda_db.sqlfiles import apply_changed
from cda_db.tables import metadata


def run() -> None:
    """Run the revisions that were asked for, then the SQL files when the head is reached."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema="cda",
        include_schemas=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    head = context.script.get_current_head()
    if context.get_context().get_current_revision() == head:
        context.config.attributes["applied"] = apply_changed(connection)


run()
