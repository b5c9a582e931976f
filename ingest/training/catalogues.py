"""Two catalogues of one body held against each other on the sphere.

The same matching as for pictures, with circles on the sphere: what was found against what is
listed. Recall is of the listed, precision of the found; precision means something only where the
list is complete, so it is left out for lists that are not (the IAU's named craters, say).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cda_db.bodies import Body
from cda_db.errors import InputError
from ingest.training.matching import match, sphere_pairs

Craters = NDArray[np.float64]
BAND_DEG = 15
CELL_DEG = 10
_NAMES = {
    "lon": ("lon_east_deg", "lon_deg", "lon", "longitude"),
    "lat": ("lat_deg", "lat", "latitude"),
    "diameter": ("diameter_m", "diameter_km", "diam_km"),
}


@dataclass(frozen=True)
class Window:
    """Which craters are judged; those outside may still match.

    Attributes:
        min_km, max_km: diameters.
        max_latitude_deg: absolute latitude.
        iou: least IoU of the circles.
    """

    min_km: float
    max_km: float
    max_latitude_deg: float = 90.0
    iou: float = 0.3

    def holds(self, craters: Craters) -> NDArray[np.bool_]:
        """Which rows (lon, lat, metres) lie in the window."""
        km = craters[:, 2] / 1000
        inside = (km >= self.min_km) & (km <= self.max_km)
        return np.asarray(inside & (np.abs(craters[:, 1]) <= self.max_latitude_deg))


def read_catalogue(path: Path) -> Craters:
    """Longitude and latitude in degrees and diameter in metres, shape (n, 3), of a CSV file.

    Raises:
        InputError: a column is missing; the message lists the names that are understood.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = rows[0].keys() if rows else ()
    chosen = []
    for kind, names in _NAMES.items():
        known = [name for name in names if name in columns]
        if not known:
            raise InputError(f"{path} has no {kind} column.", f"Name it one of {', '.join(names)}.")
        chosen.append(known[0])
    craters = np.array([[float(row[name]) for name in chosen] for row in rows])
    if chosen[2] != "diameter_m":
        craters[:, 2] *= 1000
    return craters


def compare(
    found: Craters,
    listed: Craters,
    body: Body,
    window: Window,
    *,
    complete: bool,
    seed: int = 0,
) -> dict[str, Any]:
    """Recall (and precision, where the list is complete) with intervals, by size and latitude.

    Intervals are bootstrapped over cells of 10 degrees.

    Args:
        found, listed: (n, 3): lon, lat in degrees, diameter in metres.
        body: whose sphere.
        window: which craters are judged.
        complete: whether a found crater that is not listed is false.
        seed: of the bootstrap.
    """
    rows, columns, _ = match(
        sphere_pairs(listed, found, body.radius_m, window.iou), len(listed), len(found)
    )
    matched, right = np.zeros(len(listed), dtype=bool), np.zeros(len(found), dtype=bool)
    matched[rows], right[columns] = True, True
    judged = window.holds(listed)
    ratio = found[columns, 2] / listed[rows, 2]
    ratio = ratio[judged[rows]]
    report: dict[str, Any] = {
        "listed": int(judged.sum()),
        "listed_found": int((judged & matched).sum()),
        "recall": _share(matched[judged]),
        "recall_95": _interval(listed[judged], matched[judged], seed),
        "diameter_bias": None if not len(ratio) else round(float(np.median(ratio)) - 1, 4),
        "diameter_scatter": _spread(ratio),
        "by_size": _by_size(listed[judged], matched[judged]),
        "by_latitude": _by_latitude(listed[judged], matched[judged]),
    }
    if complete:
        claimed = window.holds(found)
        report["found"] = int(claimed.sum())
        report["precision"] = _share(right[claimed])
        report["precision_95"] = _interval(found[claimed], right[claimed], seed)
    return report


def _by_size(craters: Craters, hit: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Recall in root-2 bins of 2^(k/2) km."""
    k = np.floor(2 * np.log2(craters[:, 2] / 1000)).astype(int)
    return [
        {
            "from_km": round(float(2 ** (b / 2)), 3),
            "listed": int((k == b).sum()),
            "recall": _share(hit[k == b]),
        }
        for b in np.unique(k)
    ]


def _by_latitude(craters: Craters, hit: NDArray[np.bool_]) -> list[dict[str, Any]]:
    band = np.floor(craters[:, 1] / BAND_DEG).astype(int)
    return [
        {
            "from_lat_deg": int(b * BAND_DEG),
            "listed": int((band == b).sum()),
            "recall": _share(hit[band == b]),
        }
        for b in np.unique(band)
    ]


def _interval(craters: Craters, hit: NDArray[np.bool_], seed: int) -> list[float] | None:
    if not len(hit):
        return None
    column, row = (np.floor(craters[:, k] / CELL_DEG).astype(int) for k in (0, 1))
    _, cell = np.unique(
        np.column_stack([column % (360 // CELL_DEG), row]), axis=0, return_inverse=True
    )
    total, hits = np.bincount(cell.ravel()), np.bincount(cell.ravel(), hit)
    draws = np.random.default_rng(seed).integers(len(total), size=(1000, len(total)))
    shares = hits[draws].sum(axis=1) / total[draws].sum(axis=1)
    return [round(float(value), 4) for value in np.percentile(shares, [2.5, 97.5])]


def _share(flags: NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None


def _spread(ratio: NDArray[np.float64]) -> float | None:
    if not len(ratio):
        return None
    return round(float(np.median(np.abs(ratio - np.median(ratio)))), 4)
