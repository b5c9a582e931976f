"""A binned count as rows for tables and JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from queries.ages.csfd import Csfd
from queries.ages.poisson import ONE_SIGMA
from queries.density.poisson import garwood_interval


def csfd_rows(counts: Csfd) -> list[dict[str, Any]]:
    """One row a bin: edges, counts, and each value with exact 1-sigma Poisson bounds.

    ``cumulative`` is N(>= low_km) in km-2, ``differential`` dN/dD in km-3, ``r`` has no unit.
    """
    columns: dict[str, np.ndarray[Any, Any]] = {
        "low_km": counts.edges_km[:-1],
        "high_km": counts.edges_km[1:],
        "n": counts.counts,
        "n_cumulative": counts.cumulative_counts,
    }
    for presentation in ("cumulative", "differential", "r"):
        n = counts.n(presentation)
        one = counts.values_of_one(presentation)
        low, high = garwood_interval(n, ONE_SIGMA)
        columns[presentation] = n * one
        columns[f"{presentation}_low"] = low * one
        columns[f"{presentation}_high"] = high * one
    names = list(columns)
    return [
        dict(zip(names, row, strict=True))
        for row in zip(*(column.tolist() for column in columns.values()), strict=True)
    ]
