"""The superuser step: what it makes, that it can be repeated, and what it refuses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pyproj import CRS, Transformer

from cda_db.binaries import find_binaries
from cda_db.bodies import BODIES, FRAMES
from cda_db.connection import connect
from cda_db.create import create_database, creation_script, crs_rows
from cda_db.errors import InputError, ServerError
from cda_db.logins import create_login
from cda_db.settings import Target

# Several sessions may share a server: names carry the process number.
NAME = f"cda_test_{os.getpid()}_create"
LOGIN = f"cda_test_{os.getpid()}_login"


@pytest.fixture(scope="module")
def created(admin_url: str) -> Iterator[Target]:
    """A database made by the step, without any table."""
    target = Target(make_conninfo(admin_url, dbname=NAME), admin_url)
    assert create_database(target)
    yield target
    _drop(admin_url, NAME)


def _drop(admin_url: str, name: str) -> None:
    with connect(admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _state(target: Target) -> list[object]:
    """Everything that the step is there to make, to compare two ways of making it."""
    questions = (
        "SELECT extname, extversion, nspname FROM pg_extension e JOIN pg_namespace n"
        " ON n.oid = extnamespace ORDER BY 1",
        "SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace"
        " WHERE nspname IN ('cda', 'public') ORDER BY 1",
        "SELECT datdba::regrole::text, encoding, datcollate, datacl::text FROM pg_database"
        " WHERE datname = current_database()",
        "SELECT * FROM public.spatial_ref_sys WHERE auth_name = 'IAU_2015' ORDER BY srid",
    )
    with connect(target) as conn:
        return [conn.execute(question).fetchall() for question in questions]


def test_repeats_without_a_change(created: Target) -> None:
    before = _state(created)
    assert not create_database(created)
    assert _state(created) == before


def test_the_printed_script_does_the_same(created: Target, admin_url: str) -> None:
    name = f"{NAME}_script"
    psql = find_binaries().program("psql")
    try:
        for _ in range(2):
            subprocess.run(
                [psql, "--quiet", "--no-psqlrc", admin_url],
                input=creation_script(name),
                text=True,
                check=True,
                capture_output=True,
            )
        assert _state(Target(make_conninfo(admin_url, dbname=name), admin_url)) == _state(created)
    finally:
        _drop(admin_url, name)


def test_every_frame_has_its_true_authority() -> None:
    rows = crs_rows()
    assert len(rows) == len({row.srid for row in rows}) == len(BODIES) * len(FRAMES)
    # Codes as PROJ lists them: NAIF number, then 00, 10, 20, 30, 35.
    by_srid = {row.srid: row for row in rows}
    assert by_srid[49900].auth_srid == 49900
    assert by_srid[30135].auth_srid == 30135
    assert by_srid[990110].auth_srid == 200000110
    for row in rows:
        authority = CRS.from_wkt(row.srtext).to_authority()
        # PROJ finds no code for polar WKT 1 (it has no room for their axes), and none beyond 998999
        if row.srid == row.auth_srid and row.srid % 100 < 30:
            assert authority == ("IAU_2015", str(row.auth_srid))
        assert row.auth_name == "IAU_2015"


@pytest.mark.parametrize("body", BODIES.values(), ids=lambda body: body.name)
def test_postgis_projects_as_proj_does(created: Target, body: object) -> None:
    """lon/lat to each frame and back agrees with pyproj to a millimetre and 1e-9 degrees."""
    from cda_db.bodies import Body

    assert isinstance(body, Body)
    lon, lat = np.array([-179.5, -60.0, 0.0, 33.0, 166.19]), np.array([-80.0, -30.0, 0.0, 7.7, 80])
    with connect(created) as conn:
        for frame in FRAMES[1:]:
            forward = Transformer.from_crs(body.crs(), body.crs(frame), always_xy=True)
            expected = np.column_stack(forward.transform(lon, lat))
            rows = conn.execute(
                "SELECT public.ST_X(p), public.ST_Y(p), public.ST_X(q), public.ST_Y(q) FROM"
                " (SELECT p, public.ST_Transform(p, %(lonlat)s) AS q FROM"
                " (SELECT public.ST_Transform(public.ST_SetSRID(public.ST_Point(lon, lat),"
                " %(lonlat)s), %(frame)s) AS p FROM unnest(%(lon)s::float8[], %(lat)s::float8[])"
                " AS t(lon, lat)) a) b",
                {
                    "lonlat": body.srid(),
                    "frame": body.srid(frame),
                    "lon": lon.tolist(),
                    "lat": lat.tolist(),
                },
            ).fetchall()
            found = np.array(rows)
            np.testing.assert_allclose(found[:, :2], expected, atol=1e-3)
            np.testing.assert_allclose(found[:, 2:], np.column_stack([lon, lat]), atol=1e-9)


def test_needs_a_superuser(created: Target, admin_url: str) -> None:
    with connect(admin_url, autocommit=True) as admin:
        create_login(admin, LOGIN, "owner")
    try:
        plain = make_conninfo(admin_url, user=LOGIN)
        with pytest.raises(ServerError, match=r"no superuser.*--print-sql"):
            create_database(Target(created.url, plain))
    finally:
        _forget(admin_url, LOGIN)


def _forget(admin_url: str, login: str) -> None:
    with connect(admin_url, autocommit=True) as admin:
        admin.execute(f"DROP ROLE {login}")


def test_logins_have_timeouts_and_may_only_what_they_should(
    created: Target, admin_url: str
) -> None:
    as_login = make_conninfo(created.url, user=LOGIN)
    with connect(admin_url, autocommit=True) as admin:
        assert create_login(admin, LOGIN, "reader")
        try:
            with connect(as_login, autocommit=True) as reader:
                assert reader.execute("SHOW statement_timeout").fetchone() == ("1min",)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute("CREATE TABLE cda.mine (x int)")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute("CREATE TABLE public.mine (x int)")
            with pytest.raises(ServerError, match="cannot act as cda_ingest"):
                connect(as_login, role="cda_ingest")
            assert not create_login(admin, LOGIN, "owner")
            with connect(as_login) as owner:
                assert owner.execute("SHOW statement_timeout").fetchone() == ("0",)
                row = owner.execute("SELECT session_user, current_user").fetchone()
                assert row == (LOGIN, "cda_owner")
                owner.execute("CREATE TABLE cda.mine (x int)")
                owner.rollback()
        finally:
            _forget(admin_url, LOGIN)


def test_a_password_is_stored_as_its_digest(admin_url: str) -> None:
    with connect(admin_url, autocommit=True) as admin:
        create_login(admin, LOGIN, "reader", password="Khujirt and Zunil")
        try:
            row = admin.execute(
                "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [LOGIN]
            ).fetchone()
            assert row is not None and row[0].startswith("SCRAM-SHA-256$")
        finally:
            _forget(admin_url, LOGIN)


@pytest.mark.parametrize("name", ["cda_owner", "postgres", "pg_monitor"])
def test_group_roles_and_superusers_are_no_logins(admin_url: str, name: str) -> None:
    with connect(admin_url, autocommit=True) as admin, pytest.raises(InputError, match=name):
        create_login(admin, name, "reader")


def test_a_role_lasts_beyond_a_rollback(created: Target) -> None:
    with connect(created, role="cda_reader") as conn:
        conn.rollback()
        row = conn.execute("SELECT current_user, current_setting('application_name')").fetchone()
        assert row == ("cda_reader", "cda")
