"""Binary COPY of arrays: every value comes back, and nothing else is sent."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cda_db import bulk
from cda_db.bulk import copy_arrays, fetch_arrays
from cda_db.connection import Connection, connect
from cda_db.settings import Target

TYPES = {"i2": "smallint", "i4": "integer", "i8": "bigint", "f4": "real", "f8": "float8",
         "b1": "boolean"}  # fmt: skip


def make_table(conn: Connection) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    conn.execute(f"CREATE TABLE cda.wire ({columns}, place bigint)")


def fetch(conn: Connection) -> dict[str, np.ndarray]:
    rows = conn.execute(f"SELECT {', '.join(TYPES)} FROM cda.wire ORDER BY place").fetchall()
    return {
        name: np.array([row[i] for row in rows], dtype=np.dtype(name))
        for i, name in enumerate(TYPES)
    }


@st.composite
def columns(draw: st.DrawFn) -> dict[str, np.ndarray]:
    n = draw(st.integers(0, 30))
    return {name: draw(hnp.arrays(np.dtype(name), n)) for name in TYPES}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(columns())
def test_every_value_comes_back(module_database: Target, data: dict[str, np.ndarray]) -> None:
    """Extremes, infinities, NaN and -0.0 of every type that is stored, bit for bit."""
    with connect(module_database) as conn:
        make_table(conn)
        place = np.arange(len(data["i2"]), dtype=np.int64)
        assert copy_arrays(conn, "wire", {**data, "place": place}) == len(place)
        for name, values in fetch(conn).items():
            np.testing.assert_array_equal(values, data[name])
            if values.dtype.kind == "f":
                same_sign = np.signbit(values) == np.signbit(data[name])
                assert (same_sign | np.isnan(values)).all()
        conn.rollback()


def test_more_rows_than_one_buffer(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_CHUNK_ROWS", 7)
    make_table(conn)
    place = np.arange(50, dtype=np.int64)
    copy_arrays(conn, "wire", {"i8": place * 3, "place": place})
    np.testing.assert_array_equal(
        [row[0] for row in conn.execute("SELECT i8 FROM cda.wire ORDER BY place")], place * 3
    )


def test_arrays_of_any_layout(conn: Connection) -> None:
    """Strided, reversed and big-endian arrays are numbers all the same."""
    make_table(conn)
    place = np.arange(5, dtype=np.int64)
    strided = np.arange(10, dtype=np.float64)[::2]
    backwards = np.arange(5, dtype=np.int32)[::-1]
    big = np.arange(5, dtype=">f4")
    copy_arrays(conn, "wire", {"f8": strided, "i4": backwards, "f4": big, "place": place})
    rows = conn.execute("SELECT f8, i4, f4 FROM cda.wire ORDER BY place").fetchall()
    assert rows == [(0, 4, 0), (2, 3, 1), (4, 2, 2), (6, 1, 3), (8, 0, 4)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"i2": np.zeros(3, np.int16), "i4": np.zeros(4, np.int32)},  # longer: would be cut
        {"i2": np.zeros(3, np.int16), "i4": np.zeros(1, np.int32)},  # one: would be repeated
        {"i2": np.zeros((3, 2), np.int16)},
        {"i2": np.zeros(3, np.uint8)},  # no such type on the wire
        {"i2": np.array(["a"])},
        {},
    ],
)
def test_what_is_no_table_is_refused(conn: Connection, wrong: dict[str, np.ndarray]) -> None:
    make_table(conn)
    with pytest.raises(ValueError, match="COPY"):
        copy_arrays(conn, "wire", wrong)
    assert conn.execute("SELECT count(*) FROM cda.wire").fetchone() == (0,)


def test_another_width_than_the_columns_is_refused(conn: Connection) -> None:
    """Binary COPY converts nothing: int64 into a smallint column is an error, not a number."""
    make_table(conn)
    with pytest.raises(psycopg.errors.InvalidBinaryRepresentation):
        copy_arrays(conn, "wire", {"i2": np.arange(3, dtype=np.int64)})


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(columns=columns())
def test_arrays_come_back_as_they_went(conn: Connection, columns: dict[str, np.ndarray]) -> None:
    make_table(conn)
    n = len(columns["i2"])
    copy_arrays(conn, "wire", {**columns, "place": np.arange(n)})
    query = f"SELECT {', '.join(TYPES)} FROM cda.wire WHERE place >= %(least)s ORDER BY place"
    got = fetch_arrays(conn, query, {name: name for name in TYPES}, {"least": 0})
    for name, values in columns.items():
        np.testing.assert_array_equal(got[name], values)
        assert got[name].dtype == values.dtype
    conn.rollback()


def test_rows_of_many_chunks(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_CHUNK_BYTES", 1000)
    query = "SELECT k, k::float8 / 7 FROM generate_series(1::bigint, 20000) AS k"
    got = fetch_arrays(conn, query, {"k": "i8", "part": "f8"})
    np.testing.assert_array_equal(got["k"], np.arange(1, 20001))
    np.testing.assert_array_equal(got["part"], np.arange(1, 20001) / 7)


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT 1::int", {"a": "i8"}),
        ("SELECT NULL::int", {"a": "i4"}),
        ("SELECT 1::int, 2::int", {"a": "i4"}),
        ("SELECT k::int, NULLIF(k, 900)::float8 FROM generate_series(1, 1000) AS k",
         {"a": "i4", "b": "f8"}),
    ],
)  # fmt: skip
def test_another_type_or_a_null_is_refused(
    conn: Connection, query: str, columns: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"column|rows"):
        fetch_arrays(conn, query, columns)
