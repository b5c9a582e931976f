"""Diameter bins: root-2 bins of the database's roll-up, and any bins that a user names.

Root-2 bin k holds 2^(k/2) <= D < 2^((k+1)/2) km; k starts at -24 (0.24 m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cda_db.errors import InputError

FIRST_ROOT2_BIN = -24  # 0.24 m: where the roll-up starts
_ALIGNED = 5e-4  # relative: a typed 1.414 or 0.707 means the root-2 edge


def root2_edge_km(k: ArrayLike) -> NDArray[np.float64]:
    """Lower edge of root-2 bin ``k`` in km, exact for even ``k``."""
    return np.asarray(np.exp2(np.asarray(k, dtype=np.float64) / 2), dtype=np.float64)


def root2_bin(diameter_m: ArrayLike) -> NDArray[np.int64]:
    """Root-2 bin of each diameter: floor(2 log2 D_km), with the edges themselves exact.

    Args:
        diameter_m: diameters in metres, > 0.

    Returns:
        bin numbers, of the shape of ``diameter_m``; not limited to ``FIRST_ROOT2_BIN``.
    """
    km = np.asarray(diameter_m, dtype=np.float64) / 1000
    if not np.all(np.isfinite(km) & (km > 0)):
        raise InputError("A diameter is not above 0.", "Give diameters in metres.")
    k = np.floor(2 * np.log2(km)).astype(np.int64)
    # log2 may round to either side of an edge: the edges decide.
    k = k - (km < root2_edge_km(k))
    return np.asarray(k + (km >= root2_edge_km(k + 1)), dtype=np.int64)


@dataclass(frozen=True)
class DiameterBins:
    """Half-open diameter bins [low, high) in km; they may overlap or leave gaps.

    Attributes:
        low_km, high_km: edges, float64 (n_bins,), 0 < low < high.
        root2: for each bin the root-2 bins that it touches, [first, last] inclusive, int64
            (n_bins, 2): whose coverage it needs.
        aligned: bool (n_bins,): the bin is a union of whole root-2 bins, so that the roll-up
            counts it exactly.
    """

    low_km: NDArray[np.float64]
    high_km: NDArray[np.float64]
    root2: NDArray[np.int64]
    aligned: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.low_km)

    @property
    def names(self) -> list[str]:
        """A label a bin, e.g. ``1-1.41 km``."""
        return [
            f"{low:.3g}-{high:.3g} km" for low, high in zip(self.low_km, self.high_km, strict=True)
        ]

    @property
    def geometric_mean_km(self) -> NDArray[np.float64]:
        """Geometric mean of each bin's edges, km: where a curve is read for the bin."""
        return np.asarray(np.sqrt(self.low_km * self.high_km), dtype=np.float64)

    def needed_root2(self) -> list[int]:
        """All root-2 bins that any of the bins touches, ascending."""
        touched = {k for first, last in self.root2 for k in range(int(first), int(last) + 1)}
        return sorted(touched)

    def members(self, diameter_m: ArrayLike) -> NDArray[np.bool_]:
        """Which bin holds which diameter, bool (n_bins, n)."""
        metres = np.asarray(diameter_m, dtype=np.float64)[None, :]
        # Edges in metres, as the database compares them.
        low, high = self.low_km[:, None] * 1000, self.high_km[:, None] * 1000
        return np.asarray((metres >= low) & (metres < high), dtype=np.bool_)


def root2_bins(first: int, last: int) -> DiameterBins:
    """Root-2 bins ``first`` to ``last``, inclusive.

    Raises:
        InputError: ``first`` is below -24 or above ``last``.
    """
    if first < FIRST_ROOT2_BIN or last < first:
        raise InputError(
            f"Root-2 bins {first} to {last} do not exist.",
            f"Bin numbers run upward from {FIRST_ROOT2_BIN}.",
        )
    k = np.arange(first, last + 1, dtype=np.int64)
    pairs = np.stack([k, k], axis=1)
    return DiameterBins(root2_edge_km(k), root2_edge_km(k + 1), pairs, np.ones(len(k), np.bool_))


def user_bins(edges_km: ArrayLike) -> DiameterBins:
    """Contiguous bins between consecutive edges.

    An edge within 0.05 % of a root-2 edge (0.707, 1.414, 2.83) is that edge: such bins are unions
    of root-2 bins, which the roll-up counts and whose coverage is known whole.

    Args:
        edges_km: at least two edges in km, ascending, none below 2^-12 km (0.24 m).

    Raises:
        InputError: fewer than two edges, not ascending, or below the first root-2 bin.
    """
    edges = np.asarray(edges_km, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or np.any(np.diff(edges) <= 0):
        raise InputError("Bin edges are not an ascending list.", "Give e.g. 1,2,4,8 (km).")
    return bins_between(edges[:-1], edges[1:])


def bins_between(low_km: ArrayLike, high_km: ArrayLike) -> DiameterBins:
    """Bins with the given lower and upper edges (km), which may overlap."""
    low, high = (np.asarray(x, dtype=np.float64) for x in (low_km, high_km))
    if not np.all(np.isfinite(low) & np.isfinite(high) & (low < high)):
        raise InputError("A bin's upper edge is not above its lower edge.", "Give low < high.")
    first_edge = float(root2_edge_km(FIRST_ROOT2_BIN))
    if np.any(low < first_edge * (1 - 1e-9)):
        raise InputError(
            f"A bin starts below {first_edge:.6f} km.",
            "Smaller craters are not rolled up; start at or above that diameter.",
        )
    (low, low_on), (high, high_on) = _snap(low), _snap(high)
    first = root2_bin(low * 1000)
    last = root2_bin(high * 1000) - high_on  # an upper edge on the grid ends the bin below it
    return DiameterBins(low, high, np.stack([first, last], axis=1), low_on & high_on)


def _snap(edge: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Edges moved onto the root-2 grid where they name it, and whether they do."""
    grid = root2_edge_km(np.rint(2 * np.log2(edge)))
    on = np.abs(edge / grid - 1) < _ALIGNED
    return np.where(on, grid, edge), np.asarray(on, dtype=np.bool_)
