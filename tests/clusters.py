"""Clusters of rivals for tests of suppression, and how the database's verdicts are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from oracles import greedy_nms
from rows import Detections, content_order

from cda_db.bodies import get_body
from cda_db.connection import Connection
from cda_db.runs import Run

MARS = get_body("mars").radius_m
N_BATCHES = 6


def place_near(
    rng: np.random.Generator, lon: float, lat: float, metres: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points at given distances from a place, in random directions."""
    azimuth = rng.uniform(0, 360, len(metres))
    geod = get_body("mars").geod()
    lons, lats, _ = geod.fwd(np.full(len(metres), lon), np.full(len(metres), lat), azimuth, metres)
    return (np.asarray(lons) + 180) % 360 - 180, np.asarray(lats)


def cluster(rng: np.random.Generator, lon: float, lat: float) -> Detections:
    """One case: rivals, nests, a chain of overlaps, and ties of score and diameter."""
    n = int(rng.integers(2, 14))
    base = 10 ** rng.uniform(2.5, 5.2)
    kind = rng.integers(4)
    if kind == 0:  # repeats of one crater
        diameter = base * rng.uniform(0.8, 1.25, n)
        spread = base * rng.uniform(0, 0.7, n)
    elif kind == 1:  # nested craters
        diameter = base * rng.choice([1.0, 0.55, 0.5, 0.3], n)
        spread = base * rng.uniform(0, 0.5, n)
    elif kind == 2:  # a chain, each overlapping the next
        diameter = np.full(n, base)
        spread = np.arange(n) * base * rng.uniform(0.3, 0.5)
    else:
        diameter = base * 10 ** rng.uniform(-0.5, 0.2, n)
        spread = base * rng.uniform(0, 2, n)
    if kind == 2:
        lons, lats, _ = (
            get_body("mars")
            .geod()
            .fwd(np.full(n, lon), np.full(n, lat), np.full(n, rng.uniform(0, 360)), spread)
        )
        lons, lats = (np.asarray(lons) + 180) % 360 - 180, np.asarray(lats)
    else:
        lons, lats = place_near(rng, lon, lat, spread)
    score = rng.uniform(0.1, 1, n)
    if rng.random() < 0.5:  # ties, decided by diameter, then by place of content
        score = rng.choice([0.25, 0.5], n)
        diameter = base * rng.choice([1.0, 0.75], n)
    return Detections(
        lons, lats, diameter.astype(np.float32), score.astype(np.float32),
        rng.integers(N_BATCHES, size=n),
    )  # fmt: skip


def sites(rng: np.random.Generator, n: int) -> list[tuple[float, float]]:
    """Places on the sphere: everywhere, on both poles and on +-180."""
    lon = rng.uniform(-180, 180, n)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    special = rng.random(n)
    lat = np.where(special < 0.1, 90 - rng.exponential(0.3, n), lat)
    lat = np.where((special > 0.1) & (special < 0.2), rng.exponential(0.3, n) - 90, lat)
    lon = np.where((special > 0.2) & (special < 0.4), -180 + rng.normal(0, 0.3, n) % 360, lon)
    lon = (lon + 180) % 360 - 180
    return [(float(a), float(b)) for a, b in zip(lon, np.clip(lat, -90, 90), strict=True)]


def joined(parts: list[Detections]) -> Detections:
    """All cases in one run."""
    return Detections(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("lon", "lat", "diameter_m", "score", "batch"))
    )  # fmt: skip


def places(conn: Connection, run: Run, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank of each detection among equals, by content."""
    rank = content_order(conn, run)
    return np.array([(rank[i >> 22] << 22) + (i & (1 << 22) - 1) for i in ids.tolist()])


def expected(conn: Connection, run: Run, found: Detections, ids: NDArray[np.int64],
             threshold: float = 0.3) -> dict[int, tuple[int, float] | None]:  # fmt: skip
    """detection_id -> None (kept) or (crater_id, iou), by brute force."""
    place = places(conn, run, ids)
    verdicts = greedy_nms(
        found.lon, found.lat, found.diameter_m.astype(float), found.score.astype(float), place,
        radius_m=MARS, threshold=threshold,
    )  # fmt: skip
    return {
        int(ids[i]): None if by < 0 else (int(ids[by]), float(iou))
        for i, (by, iou) in enumerate(zip(verdicts.suppressor, verdicts.iou, strict=True))
    }


def stored(conn: Connection, run: Run) -> dict[int, tuple[int, float] | None]:
    """The same from the database."""
    conn.rollback()
    rows: dict[int, tuple[int, float] | None] = {
        row[0]: None
        for row in conn.execute("SELECT crater_id FROM cda.crater WHERE run_id = %s", [run.run_id])
    }
    for loser, crater, iou in conn.execute(
        "SELECT detection_id, crater_id, iou FROM cda.suppression WHERE run_id = %s", [run.run_id]
    ):
        assert loser not in rows
        rows[loser] = (crater, iou)
    return rows


def differences(got: dict[int, tuple[int, float] | None],
                want: dict[int, tuple[int, float] | None]) -> list[int]:  # fmt: skip
    """Detections whose verdict differs (IoU to the precision of float4)."""

    def same(a: tuple[int, float] | None, b: tuple[int, float] | None) -> bool:
        if a is None or b is None:
            return a is b
        return a[0] == b[0] and abs(a[1] - b[1]) < 1e-6

    return [
        key for key in got.keys() | want.keys()
        if key not in got or key not in want or not same(got[key], want[key])
    ]  # fmt: skip
