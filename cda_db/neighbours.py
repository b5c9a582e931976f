"""Craters near a place, by the catalogue's sphere index: any body, poles and +-180 included."""

from __future__ import annotations

import numpy as np
import pandas as pd
import psycopg
from numpy.typing import ArrayLike

from cda_db.bulk import fetch_arrays
from cda_db.catalogue import require_catalogue
from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run

_KINDS = {
    "crater_id": "i8",
    "lon": "f8",
    "lat": "f8",
    "diameter_m": "f8",
    "score": "f8",
    "distance_m": "f8",
}
_COLUMNS = (
    "crater_id, crater_lon AS lon, crater_lat AS lat, diameter_m::float8, score::float8, distance_m"
)


def craters_within(
    conn: Connection, run: Run, lon: float, lat: float, metres: float
) -> pd.DataFrame:
    """Craters whose centre lies at most ``metres`` from a place, nearest first.

    Args:
        lon, lat: degrees east (any turn) and north, planetocentric.
        metres: great-circle distance on the body's sphere.

    Returns:
        crater_id, lon, lat, diameter_m, score, distance_m.

    Raises:
        StateError: the run has no catalogue.
        InputError: no such circle.
    """
    return _query(conn, run, "craters_within", _COLUMNS, [lon, lat, metres])


def nearest_craters(conn: Connection, run: Run, lon: float, lat: float, k: int) -> pd.DataFrame:
    """The ``k`` craters nearest to a place; columns and errors as ``craters_within``."""
    return _query(conn, run, "nearest_craters", _COLUMNS, [lon, lat, k])


def craters_near(
    conn: Connection, run: Run, lon: ArrayLike, lat: ArrayLike, metres: float
) -> pd.DataFrame:
    """All pairs of places and craters at most ``metres`` apart, in one index join.

    Args:
        lon, lat: places, (n,) degrees.
        metres: at most 60 degrees of arc.

    Returns:
        The columns of ``craters_within`` with ``point``, the place's number from 0; in no order.

    Raises:
        StateError: the run has no catalogue.
        InputError: arrays of different length, or too large a distance.
    """
    places = [np.asarray(value, dtype=float).ravel().tolist() for value in (lon, lat)]
    found = _query(conn, run, "craters_near", f"point, {_COLUMNS}", [*places, metres])
    found["point"] -= 1
    return found


def _query(
    conn: Connection, run: Run, function: str, columns: str, arguments: list[object]
) -> pd.DataFrame:
    require_catalogue(conn, run)
    marks = ", ".join(
        f"%(a{k})s::{kind}"
        for k, kind in enumerate(
            {
                "craters_within": ("float8", "float8", "float8"),
                "nearest_craters": ("float8", "float8", "int"),
                "craters_near": ("float8[]", "float8[]", "float8"),
            }[function]
        )
    )
    names = [*(["point"] if function == "craters_near" else []), *_KINDS]
    kinds = {name: _KINDS.get(name, "i8") for name in names}
    statement = f"SELECT {columns} FROM cda.{function}(%(run)s, {marks})"
    params = {"run": run.run_id, **{f"a{k}": value for k, value in enumerate(arguments)}}
    try:
        with conn.transaction():
            found = fetch_arrays(conn, statement, kinds, params)
    except psycopg.errors.InvalidParameterValue as error:
        raise InputError(
            f"Not possible: {error.diag.message_primary}.", error.diag.message_hint or ""
        ) from error
    return pd.DataFrame(found)
