"""The one superuser step: database, extensions, roles and the planets' coordinate systems.

``postgis`` and ``q3c`` are not trusted extensions and ``spatial_ref_sys`` is the superuser's, so
all that needs a superuser is here, once; ``cda db migrate`` then runs as the owner role.
Everything can be done again at any time.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cda_db.binaries import EXTENSIONS, MINIMUM_VERSION
from cda_db.binaries import REMEDY as INSTALL
from cda_db.bodies import BODIES, FRAMES, Body
from cda_db.connection import ROLES, Connection, connect
from cda_db.errors import ServerError
from cda_db.logins import grant_everything
from cda_db.settings import DATABASE, LOGIN, Target

AUTHORITY = "IAU_2015"
_ROLE = """DO $$ BEGIN CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
_CRS_ROW = """INSERT INTO public.spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text)
VALUES ({values}) ON CONFLICT (srid) DO UPDATE SET auth_name = excluded.auth_name,
auth_srid = excluded.auth_srid, srtext = excluded.srtext, proj4text = excluded.proj4text"""


@dataclass(frozen=True)
class CrsRow:
    """A row of PostGIS's ``spatial_ref_sys``; ``srid`` is ours, ``auth_srid`` the true code."""

    srid: int
    auth_name: str
    auth_srid: int
    srtext: str
    proj4text: str


def crs_rows() -> list[CrsRow]:
    """One row for every body and frame of ``cda_db.bodies``, with PROJ's own text."""
    return [_crs_row(body, frame) for body in BODIES.values() for frame in FRAMES]


def database_name(target: Target) -> str:
    """Name of the target's database."""
    name = conninfo_to_dict(target.url).get("dbname") or os.environ.get("PGDATABASE")
    return str(name or DATABASE)


def create_database(target: Target) -> bool:
    """Do the superuser step on a server; True where the database is new.

    Raises:
        ServerError: the server is too old, lacks an extension, or the login is no superuser.
    """
    name = database_name(target)
    with connect(target.admin_url, autocommit=True) as admin:
        check_server(admin)
        for statement in role_statements():
            admin.execute(statement)
        new = _create_if_missing(admin, name)
        if target.cluster is not None:
            grant_everything(admin, LOGIN)
    inside = make_conninfo(target.admin_url, dbname=name)
    with connect(inside) as conn:
        for statement in database_statements(name):
            conn.execute(statement)
    return new


def creation_script(database: str) -> str:
    """The same step as a psql script, for an administrator to read and run."""
    quoted = sql.Identifier(database).as_string()
    literal = sql.Literal(database).as_string()
    create = sql.Literal(_create_statement(database).as_string()).as_string()
    lines = [
        "-- The crater database: run once by a superuser, with psql.",
        "\\set ON_ERROR_STOP on",
        *(f"{_text(statement)};" for statement in role_statements()),
        f"SELECT {create}",
        f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {literal}) \\gexec",
        f"\\connect {quoted}",
        *(f"{_text(statement)};" for statement in database_statements(database)),
    ]
    return "\n".join(lines) + "\n"


def check_server(admin: Connection) -> None:
    """Refuse a server that cannot hold the database, with the remedy."""
    version = admin.info.server_version // 10_000
    if version < MINIMUM_VERSION:
        raise ServerError(
            f"The server is PostgreSQL {version}; {MINIMUM_VERSION} is the least.",
            "Upgrade the server, or unset CDA_DATABASE_URL to use the embedded one.",
        )
    rows = admin.execute("SELECT name FROM pg_catalog.pg_available_extensions").fetchall()
    missing = set(EXTENSIONS) - {row[0] for row in rows}
    if missing:
        raise ServerError(
            f"The server lacks the extension {' and '.join(sorted(missing))}.",
            f"There is no substitute for it. On the server's machine: {INSTALL}",
        )
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row != (True,):
        raise ServerError(
            f"The login {admin.info.user} is no superuser, which this one step needs.",
            "Have an administrator run the output of: cda db create --print-sql",
        )


def role_statements() -> Iterator[sql.Composed]:
    """Statements that make the group roles of the server."""
    for role in ROLES:
        yield sql.SQL(_ROLE).format(role=sql.Identifier(role))


def database_statements(database: str) -> Iterator[sql.Composed]:
    """Statements to run as superuser inside the database."""
    words = {"database": sql.Identifier(database), "owner": sql.Identifier("cda_owner")}
    everyone = sql.SQL(", ").join(map(sql.Identifier, ROLES))
    for name in EXTENSIONS:
        yield sql.SQL("CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public").format(
            name=sql.Identifier(name)
        )
    yield sql.SQL("CREATE SCHEMA IF NOT EXISTS cda AUTHORIZATION {owner}").format(**words)
    yield sql.SQL("ALTER DATABASE {database} OWNER TO {owner}").format(**words)
    yield sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**words)
    yield sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {everyone}").format(
        **words, everyone=everyone
    )
    yield sql.SQL("GRANT USAGE ON SCHEMA cda TO {everyone}").format(everyone=everyone)
    for row in crs_rows():
        values = (row.srid, row.auth_name, row.auth_srid, row.srtext, row.proj4text)
        yield sql.SQL(_CRS_ROW).format(values=sql.SQL(", ").join(map(sql.Literal, values)))


def _create_if_missing(admin: Connection, database: str) -> bool:
    found = admin.execute("SELECT FROM pg_database WHERE datname = %s", [database]).fetchone()
    if found is None:
        try:
            admin.execute(_create_statement(database))
        except psycopg.errors.DuplicateDatabase:
            return False  # somebody made it in this moment
    return found is None


def _create_statement(database: str) -> sql.Composed:
    # Locale C: text is ordered by its bytes, the same on every machine.
    return sql.SQL(
        "CREATE DATABASE {} OWNER cda_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
    ).format(sql.Identifier(database))


def _crs_row(body: Body, frame: str) -> CrsRow:
    crs, code = body.crs(frame), body.iau_code(frame)
    # PROJ cuts the authority's name in WKT 1 down to "IAU", which finds no code again.
    wkt = crs.to_wkt("WKT1_GDAL").replace('AUTHORITY["IAU"', f'AUTHORITY["{AUTHORITY}"')
    with warnings.catch_warnings():
        # A PROJ string loses names and axis order; PostGIS 3.3 wants one beside the WKT.
        warnings.simplefilter("ignore", UserWarning)
        proj4 = crs.to_proj4()
    return CrsRow(body.srid(frame), AUTHORITY, code, wkt, proj4.replace(" +type=crs", ""))


def _text(statement: sql.Composed) -> str:
    return statement.as_string()
