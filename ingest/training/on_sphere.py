"""Craters of a run against a catalogue, judged by the rules that labelled pictures are judged by.

Circles instead of boxes, great circles instead of the plane, metres instead of pixels. Craters out
of the window of diameters, or not wholly on imaged ground, are ignored on both sides alike; a match
of a counted crater counts whatever the other's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hpgeom
import numpy as np
from numpy.typing import NDArray

from cda_db.bodies import Body
from ingest.training.catalogues import Window
from ingest.training.evaluate import CURVE
from ingest.training.figures import (
    area_under_curve,
    charged_by_score,
    rates,
    size_rows,
    summary_of_units,
)
from ingest.training.judging import STRICT_IOU
from ingest.training.matching import Pairs, great_circle, match, sphere_pairs

Craters = NDArray[np.float64]
Flags = NDArray[np.bool_]
_RIM_POINTS = 16
_BINS = 2.0 ** (np.arange(-24, 42) / 2) * 1000


@dataclass(frozen=True)
class Ground:
    """Imaged ground: half-open ranges (n, 2) of nested HEALPix cells, with their order."""

    parts: tuple[tuple[int, NDArray[np.int64]], ...]

    def holds(self, lon_deg: Craters, lat_deg: Craters) -> Flags:
        """Which points, of any one shape, lie on it."""
        inside = np.zeros(np.shape(lon_deg), dtype=bool)
        for order, ranges in self.parts:
            if not len(ranges):
                continue
            cell = hpgeom.angle_to_pixel(2**order, lon_deg % 360, lat_deg)
            ordered = ranges[np.argsort(ranges[:, 0])]
            place = np.searchsorted(ordered[:, 0], cell, side="right") - 1
            inside |= (place >= 0) & (cell < ordered[np.maximum(place, 0), 1])
        return inside

    def holds_whole(self, craters: Craters, body: Body) -> Flags:
        """Which craters (lon, lat, metres) lie on it with their centre and their whole rim."""
        inside = self.holds(craters[:, 0], craters[:, 1])
        for azimuth in np.arange(_RIM_POINTS) * (360 / _RIM_POINTS):
            n = len(craters)
            lon, lat, _ = body.geod().fwd(
                craters[:, 0], craters[:, 1], np.full(n, azimuth), craters[:, 2] / 2
            )
            inside &= self.holds(np.asarray(lon), np.asarray(lat))
        return inside


@dataclass(frozen=True)
class Contest:
    """What is held against what.

    Attributes:
        found: (m, 4): lon, lat in degrees, diameter in metres, score.
        listed: (n, 3): independent craters.
        ground: where both were sought.
        complete: whether a found crater that is not listed is false.
        block_m: side of the blocks of ground that intervals are bootstrapped over.
    """

    found: Craters
    listed: Craters
    body: Body
    ground: Ground
    complete: bool
    block_m: float


@dataclass(frozen=True)
class _Verdicts:
    """Matched pairs and what became of each crater of either list."""

    listed: NDArray[np.intp]
    found: NDArray[np.intp]
    right: Flags
    false: Flags
    missed: Flags


def evaluate_on_sphere(
    contest: Contest, window: Window, threshold: float, seed: int = 0
) -> dict[str, Any]:
    """Figures with intervals, by size, along the curve: the keys of a picture's report.

    Args:
        contest: what is held against what; both lists are cut to the ground first.
        window: which craters are judged, and the least IoU of a match.
        threshold: the lowest score that the found craters can have.
        seed: of the bootstrap.
    """
    both = [_on(contest.ground, rows) for rows in (contest.listed, contest.found)]
    whole = [contest.ground.holds_whole(rows, contest.body) for rows in both]
    listed, found = both
    any_size = Window(0.0, np.inf, window.max_latitude_deg, window.iou)
    counts, all_counts = (
        (w.holds(listed) & whole[0], w.holds(found) & whole[1]) for w in (window, any_size)
    )
    pairs = sphere_pairs(listed, found, contest.body.radius_m, window.iou)
    judged, loose = _judge(pairs, *counts), _judge(pairs, *all_counts)
    report: dict[str, Any] = {
        "labels": len(listed),
        "size_unit": "m",
        "threshold": threshold,
        "figures": _summary(contest, both, judged, seed),
        "all_sizes": _summary(contest, both, loose, seed),
        "other_measures": _other_measures(contest, both, counts),
        "ap50": {"in the window": _ap50(contest, both, counts)},
        "diameters": _diameters(listed, found, judged),
        "by_size": _by_size(contest, both, all_counts, loose),
        "curve": _curve(pairs, found[:, 3], counts, threshold) if contest.complete else [],
    }
    return report


def _on(ground: Ground, rows: Craters) -> Craters:
    return rows[ground.holds(rows[:, 0], rows[:, 1])]


def _judge(pairs: Pairs, listed_counts: Flags, found_counts: Flags) -> _Verdicts:
    rows, columns, _ = match(pairs, len(listed_counts), len(found_counts))
    matched, taken = np.zeros(len(listed_counts), bool), np.zeros(len(found_counts), bool)
    matched[rows], taken[columns] = True, True
    right = np.zeros(len(found_counts), bool)
    right[columns] = listed_counts[rows]
    return _Verdicts(rows, columns, right, found_counts & ~taken, listed_counts & ~matched)


def _rates(judged: _Verdicts) -> dict[str, float | None]:
    counts = np.array([judged.right.sum(), judged.false.sum(), judged.missed.sum()])
    names = ("precision", "recall", "f1")
    return {
        name: None if np.isnan(value) else round(float(value), 4)
        for name, value in zip(names, rates(counts), strict=True)
    }


def _summary(
    contest: Contest, both: Sequence[Craters], judged: _Verdicts, seed: int
) -> dict[str, Any]:
    """Counts and rates, bootstrapped over HEALPix cells about as large as the contest's blocks."""
    listed, found = both
    side = np.sqrt(np.pi / 3) * contest.body.radius_m / contest.block_m
    order = int(np.clip(np.rint(np.log2(side)), 0, 20))
    cells = [
        hpgeom.angle_to_pixel(2**order, rows[:, 0] % 360, rows[:, 1])
        for rows in (found[judged.right], found[judged.false], listed[judged.missed])
    ]
    known, place = np.unique(np.concatenate(cells), return_inverse=True)
    kind = np.repeat(np.arange(3), [len(part) for part in cells])
    units = np.zeros((max(len(known), 1), 3))
    np.add.at(units, (place, kind), 1)
    figures = summary_of_units(units, f"blocks of about {contest.block_m / 1000:.3g} km", seed)
    return figures if contest.complete else _without_precision(figures)


def _without_precision(figures: dict[str, Any]) -> dict[str, Any]:
    """An incomplete list says nothing about what it does not hold."""
    unknown = {"false": None, "precision": None, "f1": None}
    return figures | unknown | {"precision_95": [None, None], "f1_95": [None, None]}


def _other_measures(
    contest: Contest, both: Sequence[Craters], counts: tuple[Flags, Flags]
) -> dict[str, Any]:
    listed, found = both
    loose = sphere_pairs(listed, found, contest.body.radius_m, STRICT_IOU)
    ratio = found[loose.j, 2] / listed[loose.i, 2]
    apart = contest.body.radius_m * great_circle(listed[loose.i], found[loose.j])
    near = apart <= 0.25 * listed[loose.i, 2]
    cases = {
        "circle IoU 0.5": sphere_pairs(listed, found, contest.body.radius_m, 0.5),
        "strict": loose.where(near & (ratio >= 0.8) & (ratio <= 1.25)),
    }
    figures = {name: _rates(_judge(pairs, *counts)) for name, pairs in cases.items()}
    if not contest.complete:
        for row in figures.values():
            row |= {"precision": None, "f1": None}
    return figures


def _ap50(contest: Contest, both: Sequence[Craters], counts: tuple[Flags, Flags]) -> float | None:
    if not contest.complete:
        return None
    listed, found = both
    pairs = sphere_pairs(listed, found, contest.body.radius_m, 0.5)
    charged, right = charged_by_score(pairs, found[:, 3], *counts)
    return area_under_curve(found[charged, 3], right, int(counts[0].sum()))


def _ratios(listed: Craters, found: Craters, judged: _Verdicts) -> tuple[Craters, Craters]:
    """True diameter of every right pair, and detected over true diameter."""
    keep = judged.right[judged.found]
    true = listed[judged.listed[keep], 2]
    return true, found[judged.found[keep], 2] / true


def _diameters(listed: Craters, found: Craters, judged: _Verdicts) -> dict[str, Any]:
    _, ratio = _ratios(listed, found, judged)
    if not len(ratio):
        return {"pairs": 0, "bias": None, "scatter": None}
    middle = float(np.median(ratio))
    scatter = float(np.median(np.abs(ratio - middle)))
    return {"pairs": len(ratio), "bias": round(middle - 1, 4), "scatter": round(scatter, 4)}


def _by_size(
    contest: Contest, both: Sequence[Craters], counts: tuple[Flags, Flags], judged: _Verdicts
) -> list[dict[str, Any]]:
    """Root-2 bins of 2^(k/2) km, as those of densities."""
    listed, found = both
    charged = judged.right | judged.false
    return size_rows(
        "m",
        _BINS,
        (listed[counts[0], 2], ~judged.missed[counts[0]]),
        (found[charged, 2], judged.right[charged]) if contest.complete else None,
        _ratios(listed, found, judged),
    )


def _curve(
    pairs: Pairs, scores: Craters, counts: tuple[Flags, Flags], lowest: float
) -> list[dict[str, Any]]:
    """Rates at each threshold from the lowest stored score on."""
    rows = []
    for threshold in (t for t in CURVE if t >= lowest - 1e-6):
        kept = scores >= threshold
        judged = _judge(pairs.where(kept[pairs.j]), counts[0], counts[1] & kept)
        rows.append({"threshold": threshold, **_rates(judged)})
    return rows
