"""Binary COPY of NumPy arrays, in and out: the wire layout is a structured array, no row loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from cda_db.connection import Connection

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
_TRAILER = b"\xff\xff"
# Rows of one buffer: large enough for COPY's speed, small enough for a worker's memory.
_CHUNK_ROWS = 262_144

# Bytes of rows held as they came, before they become arrays.
_CHUNK_BYTES = 1 << 22

_WIRE = {"i2": ">i2", "i4": ">i4", "i8": ">i8", "f4": ">f4", "f8": ">f8", "b1": "?"}


def _wire_dtype(columns: Mapping[str, NDArray[np.generic]]) -> np.dtype[np.void]:
    shapes = {values.shape for values in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        # NumPy would cut or repeat the odd one without a word
        raise ValueError(f"COPY takes 1-D columns of one length, not of shapes {sorted(shapes)}")
    fields: list[tuple[str, str]] = [("n_fields", ">i2")]
    for name, values in columns.items():
        code = values.dtype.str[1:]
        if code not in _WIRE:
            raise ValueError(f"COPY has no wire type for column {name} of {values.dtype}")
        fields += [(f"{name} length", ">i4"), (name, _WIRE[code])]
    return np.dtype(fields)


def copy_arrays(conn: Connection, table: str, columns: Mapping[str, NDArray[np.generic]]) -> int:
    """COPY arrays of equal length into ``cda.<table>`` with COPY BINARY.

    Args:
        table: table name, trusted (it is quoted by no one).
        columns: column name to a 1-D array of int16/32/64, float32/64 or bool whose type is
            exactly the column's: binary COPY does not convert.

    Returns:
        The number of rows.

    Raises:
        ValueError: no columns, unequal lengths, or another type; nothing is sent.
    """
    dtype = _wire_dtype(columns)
    n_rows = len(next(iter(columns.values())))
    with conn.cursor() as cursor:
        names = ", ".join(columns)
        with cursor.copy(f"COPY cda.{table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(_SIGNATURE)
            for start in range(0, n_rows, _CHUNK_ROWS):
                stop = min(start + _CHUNK_ROWS, n_rows)
                rows = np.empty(stop - start, dtype=dtype)
                rows["n_fields"] = len(columns)
                for name, values in columns.items():
                    rows[f"{name} length"] = values.dtype.itemsize
                    rows[name] = values[start:stop]
                copy.write(rows.tobytes())
            copy.write(_TRAILER)
    return n_rows


def fetch_arrays(
    conn: Connection,
    query: str | sql.Composed,
    columns: Mapping[str, str],
    params: Mapping[str, Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """The rows of a query as arrays, by COPY BINARY: millions of them without a Python object each.

    Args:
        query: a SELECT whose columns have exactly these types and no nulls.
        columns: column name to NumPy type (``i2 i4 i8 f4 f8 b1``), in the query's order.
        params: its named parameters.

    Returns:
        Column name to a 1-D array.

    Raises:
        ValueError: a column has another type or holds a null; nothing is returned.
    """
    fields: list[tuple[str, str]] = [("n_fields", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name} length", ">i4"), (name, _WIRE[kind])]
    dtype = np.dtype(fields)
    statement = query if isinstance(query, str) else query.as_string(conn)
    parts = [_check(part, columns) for part in _rows_of(conn, statement, params, dtype)]
    rows = np.concatenate(parts) if parts else np.empty(0, dtype)
    return {name: rows[name].astype(kind) for name, kind in columns.items()}


def _rows_of(
    conn: Connection, statement: str, params: Mapping[str, Any] | None, dtype: np.dtype[np.void]
) -> Iterator[NDArray[np.void]]:
    held, skip = bytearray(), len(_SIGNATURE)
    with conn.cursor() as cursor:
        copying = f"COPY ({statement}) TO STDOUT (FORMAT BINARY)"
        with cursor.copy(copying, params) as copy:
            for block in copy:
                held += block
                if len(held) >= _CHUNK_BYTES:
                    whole = (len(held) - skip) // dtype.itemsize * dtype.itemsize
                    yield np.frombuffer(bytes(held[skip : skip + whole]), dtype)
                    del held[: skip + whole]
                    skip = 0
    if (len(held) - skip - len(_TRAILER)) % dtype.itemsize:
        raise ValueError("the query's rows are not of the columns' types")
    yield np.frombuffer(bytes(held[skip : len(held) - len(_TRAILER)]), dtype)


def _check(rows: NDArray[np.void], columns: Mapping[str, str]) -> NDArray[np.void]:
    for name, kind in columns.items():
        if (rows[f"{name} length"] != np.dtype(kind).itemsize).any():
            raise ValueError(f"column {name} is not of type {kind}, or holds a null")
    if (rows["n_fields"] != len(columns)).any():
        raise ValueError(f"the query does not have {len(columns)} columns")
    return rows
