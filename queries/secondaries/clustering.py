"""A p-value a crater: is its Voronoi cell smaller than chance would make it?

A flag means *clustered*, not *secondary*. Diffuse far secondaries stand no closer than
primaries and are missed; patches of older ground are denser, and their rims and their inside
(where a patch is smaller than the background window) can be flagged though every crater there is
a primary. A secondary is at most 5 % of its primary's diameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queries.coverage import Coverage
from queries.secondaries.background import WINDOW, local_mean_area
from queries.secondaries.edges import fill_beyond_edges
from queries.secondaries.fdr import q_values
from queries.secondaries.voronoi import voronoi_cells
from queries.sphere import Floats

_EXTRAPOLATION = 2.5  # below the table p falls as area^2.5; the table itself falls as about 2.8

MEANING = (
    "A flag means clustered, not secondary: the crater's Voronoi cell is smaller than chance"
    " makes it. Diffuse far secondaries are missed; dense patches of old ground may be flagged."
)


@dataclass(frozen=True)
class Clustering:
    """Result a crater, all of shape (n,).

    Attributes:
        area_sr: area of the Voronoi cell, among random craters beyond the edges of the ground.
        ratio: that area over the local background's mean cell.
        p: chance of a ratio as small among randomly placed craters; NaN off the imaged ground.
        q: Benjamini-Hochberg adjusted p.
        flagged: q at or below the asked rate.
        edges: (m, 2) neighbouring craters (Delaunay).
    """

    area_sr: Floats
    ratio: Floats
    p: Floats
    q: Floats
    flagged: NDArray[np.bool_]
    edges: NDArray[np.int64]


@lru_cache(maxsize=1)
def _table() -> tuple[Floats, Floats, float]:
    """log ratio, log of the upper 95 % limit of p, and the smallest p that the cells support.

    The table is itself a sample: in the far tail, where false-discovery control works, its shares
    rest on few cells, so their upper limit stands for them.
    """
    text = files("queries").joinpath("data/voronoi_cells.csv").read_text()
    lines = text.splitlines()
    cells = int(lines[0].split(":")[1].split()[0])
    rows = np.array([[float(x) for x in line.split(",")] for line in lines[4:]])
    p = np.minimum(rows[:, 0] + 1.645 * np.sqrt(rows[:, 0] / cells), 1.0)
    return np.log(rows[:, 2]), np.log(p), 3.0 / cells


def smallest_p() -> float:
    """The smallest p-value ever given: the upper 95 % limit of a share that no cell reached."""
    return _table()[2]


def p_value(ratio: ArrayLike) -> Floats:
    """Chance of a cell area over local background as small as `ratio` among random craters."""
    log_ratio, log_p, least = _table()
    with np.errstate(divide="ignore"):
        x = np.log(np.asarray(ratio, float))
    inside = np.interp(x, log_ratio, log_p, right=0.0)
    below = log_p[0] + _EXTRAPOLATION * (x - log_ratio[0])
    return np.asarray(np.maximum(np.exp(np.where(x < log_ratio[0], below, inside)), least))


def clustered(
    lon_deg: ArrayLike,
    lat_deg: ArrayLike,
    coverage: Coverage,
    *,
    q: float = 0.05,
    window: int = WINDOW,
    seed: int = 0,
) -> Clustering:
    """Which craters stand closer together than chance at false-discovery rate `q`.

    Give craters of one range of diameters over the ground imaged for that range.

    Args:
        lon_deg, lat_deg: shape (n,), degrees.
        coverage: the ground imaged for these diameters.
        q: false-discovery rate of the flags.
        window: craters in a background window, on average at least.
        seed: of the random craters that stand in for unimaged ground (module `edges`).

    Raises:
        InputError: fewer than four distinct craters on imaged ground.
    """
    lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
    seen = np.flatnonzero(coverage.at(lon, lat) > 0.0)
    areas, edges = _cell_areas(lon[seen], lat[seen], coverage, window, seed)
    mean = local_mean_area(lon[seen], lat[seen], areas, coverage, window)
    ratio = np.full(len(lon), np.nan)
    area = np.full(len(lon), np.nan)
    p = np.full(len(lon), np.nan)
    ratio[seen] = areas / mean
    area[seen] = areas
    p[seen] = p_value(ratio[seen])
    adjusted = q_values(p)
    return Clustering(area, ratio, p, adjusted, adjusted <= q, seen[edges])


def _cell_areas(
    lon: Floats, lat: Floats, coverage: Coverage, window: int, seed: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Cell areas and Delaunay edges of the craters, unimaged ground filled at random."""
    cells = voronoi_cells(lon, lat, coverage, rough=True)
    if coverage.complete:
        return cells.area_sr, cells.edges
    rng = np.random.default_rng(seed)
    more_lon, more_lat = fill_beyond_edges(lon, lat, cells.area_sr, coverage, window, rng)
    filled = voronoi_cells(
        np.concatenate([lon, more_lon]), np.concatenate([lat, more_lat]), Coverage.whole()
    )
    real = (filled.edges < len(lon)).all(axis=1)
    return filled.area_sr[: len(lon)], filled.edges[real]
