"""Alembic environment: revisions and changed SQL files in one transaction.

``cda_db.migrate`` hands over an open connection that already acts as the owner role.
"""

from __future__ import annotations

from alembic import context

from cda_db.row_tables import metadata
from cda_db.sqlfiles import apply_changed, drop_all

# Alembic's own table, the only one that metadata does not describe.
_COMMENTS = (
    "COMMENT ON TABLE cda.alembic_version IS 'Revision of the tables'",
    "COMMENT ON COLUMN cda.alembic_version.version_num IS 'revision in migrations/versions'",
)


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
        if context.get_revision_argument() != context.get_context().get_current_revision():
            # a table that functions and views stand on cannot change under them
            drop_all(connection)
        context.run_migrations()
    if context.get_context().get_current_revision() == context.script.get_current_head():
        for statement in _COMMENTS:
            connection.exec_driver_sql(statement)
        context.config.attributes["applied"] = apply_changed(connection)


run()
