"""Login roles: members of a group role, with the timeouts that members do not inherit."""

from __future__ import annotations

from psycopg import sql

from cda_db.connection import ROLES, Connection
from cda_db.errors import InputError

GROUPS = {"reader": "cda_reader", "ingest": "cda_ingest", "owner": "cda_owner"}
# Group roles do not pass settings on to their members: they are set on each login.
SETTINGS: dict[str, dict[str, str]] = {
    "reader": {"statement_timeout": "60s", "idle_in_transaction_session_timeout": "10min"},
    "ingest": {"lock_timeout": "60s"},
    "owner": {"role": "cda_owner"},
}
_ALL_SETTINGS = sorted({name for values in SETTINGS.values() for name in values})


def create_login(admin: Connection, name: str, role: str, password: str | None = None) -> bool:
    """Make a login of one of ``GROUPS``, or change an existing one to it; True where it is new.

    An owner's sessions start as ``cda_owner``, so that whatever they make belongs to it. The
    password goes to the server as its SCRAM digest, so that no log holds it.

    Raises:
        InputError: the role is unknown, or the name is a group's or a superuser's.
    """
    if role not in GROUPS:
        raise InputError(f"Unknown role {role!r}.", f"Use one of {', '.join(GROUPS)}.")
    new = _ensure_login(admin, name)
    login = sql.Identifier(name)
    admin.execute(
        sql.SQL("REVOKE {} FROM {}").format(sql.SQL(", ").join(map(sql.Identifier, ROLES)), login)
    )
    admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(GROUPS[role]), login))
    for setting in _ALL_SETTINGS:
        value = SETTINGS[role].get(setting)
        change = sql.SQL("SET {} = {}") if value else sql.SQL("RESET {}")
        words = change.format(sql.Identifier(setting), *([sql.Literal(value)] if value else []))
        admin.execute(sql.SQL("ALTER ROLE {} {}").format(login, words))
    if password is not None:
        digest = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
        admin.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(login, sql.Literal(digest.decode()))
        )
    return new


def grant_everything(admin: Connection, name: str) -> None:
    """Make the embedded cluster's own login: it owns, and may take on every group role."""
    create_login(admin, name, "owner")
    members = sql.SQL(", ").join(map(sql.Identifier, ROLES))
    admin.execute(sql.SQL("GRANT {} TO {}").format(members, sql.Identifier(name)))


def _ensure_login(admin: Connection, name: str) -> bool:
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    if name in ROLES or name.startswith("pg_") or row == (True,):
        raise InputError(
            f"{name!r} is a group role or a superuser.", "Choose a name of its own for a login."
        )
    if row is None:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    else:
        admin.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(name)))
    return row is None
