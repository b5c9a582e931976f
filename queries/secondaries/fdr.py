"""False-discovery control."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from queries.sphere import Floats


def q_values(p: ArrayLike) -> Floats:
    """Benjamini & Hochberg (1995) adjusted p-values; NaN stays NaN and is not counted.

    Flagging ``q_values(p) <= q`` keeps the expected share of false flags among flags below q,
    and with nothing real to find, the chance of *any* flag below q.
    """
    values = np.asarray(p, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    m = len(order)
    adjusted = values[order] * m / np.arange(1, m + 1)
    result = np.full(values.shape, np.nan)
    result[order] = np.minimum(np.minimum.accumulate(adjusted[::-1])[::-1], 1.0)
    return result
