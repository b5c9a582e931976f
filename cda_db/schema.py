"""What every table of schema ``cda`` shares: metadata, names of constraints, commented columns."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, func

SCHEMA = "cda"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

now = func.clock_timestamp()


def col(name: str, kind: object, comment: str, *args: object, **kw: object) -> Column:  # type: ignore[type-arg]
    """A NOT NULL column with a comment unless told otherwise."""
    kw.setdefault("nullable", False)
    return Column(name, kind, *args, comment=comment, **kw)  # type: ignore[arg-type]
