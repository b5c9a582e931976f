"""Binary COPY of NumPy arrays: the wire layout is built as a structured array, no row loops."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cda_db.connection import Connection

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
_TRAILER = b"\xff\xff"
# Rows of one buffer: large enough for COPY's speed, small enough for a worker's memory.
_CHUNK_ROWS = 262_144

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
