"""False alarms and power of the clustering flag, with the ASCI rule beside it.

    python -m benchmarks.secondaries --format json

False alarms: share of realisations of random craters with *any* flag, which should not exceed q.
Power: share of the members of planted clusters that are flagged, and of the background that is.
ASCI is given as it is and at the false alarms that the flag has on the same background.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from math import sqrt

import click
import numpy as np
from numpy.typing import NDArray

from queries.coverage import Coverage, cell_centres, cell_count
from queries.random_populations import (
    from_density,
    graded_density,
    patchy_density,
    plant_clusters,
)
from queries.secondaries.asci import random_areas, threshold_sr
from queries.secondaries.clustering import clustered
from queries.secondaries.voronoi import voronoi_cells
from queries.sphere import Floats, separation_deg

GROUNDS = ("whole", "holes", "region")


def ground(name: str) -> Coverage:
    """The whole sphere, the sphere with 30 % missing in ragged holes, or a cap of 20 degrees."""
    if name == "whole":
        return Coverage.whole()
    order = 7
    if name == "holes":
        rng = np.random.default_rng(7)
        seen = np.repeat(rng.random(cell_count(4)) > 0.3, 64)
        return Coverage.where(order, seen)
    lon, lat = cell_centres(order, np.arange(cell_count(order)))
    return Coverage.where(order, separation_deg(lon, lat, 137.0, -15.0) < 20.0)


@dataclass(frozen=True)
class FalseAlarms:
    """Share of random realisations with any flag."""

    ground: str
    craters: int
    realisations: int
    q: float
    share_any_flag: float
    limit: float
    craters_flagged: float


def false_alarms(name: str, n: int, realisations: int, q: float, seed: int) -> FalseAlarms:
    """Uniform random craters on that ground."""
    coverage = ground(name)
    flags = np.empty(realisations, int)
    for k in range(realisations):
        rng = np.random.default_rng([seed, n, k])
        flags[k] = clustered(*coverage.draw(n, rng), coverage, q=q).flagged.sum()
    limit = q + 2.0 * sqrt(q * (1.0 - q) / realisations)
    share = float((flags > 0).mean())
    return FalseAlarms(name, n, realisations, q, share, limit, float(flags.mean() / n))


@dataclass(frozen=True)
class Power:
    """What is flagged of planted clusters, by the flag, by ASCI as it is, by ASCI at equal cost."""

    contrast: float
    cluster_size: int
    background: int
    trials: int
    recall: float
    background_flagged: float
    false_discoveries: float
    asci_recall: float
    asci_background_flagged: float
    asci_equal_recall: float
    asci_equal_background_flagged: float


def power(
    contrast: float, size: int, *, background: int, clusters: int, trials: int, q: float, seed: int
) -> Power:
    """Round clusters on a uniform background over the whole sphere, one diameter bin."""
    whole = Coverage.whole()
    total = background + clusters * size
    random = random_areas(total, whole, np.random.default_rng([seed, 1]), 30)
    truth: list[NDArray[np.bool_]] = []
    ours: list[NDArray[np.bool_]] = []
    cells: list[Floats] = []
    for k in range(trials):
        rng = np.random.default_rng([seed, size, int(contrast), k])
        planted = plant_clusters(
            *whole.draw(background, rng),
            whole,
            rng,
            clusters=clusters,
            size=size,
            contrast=contrast,
        )
        truth.append(planted.label >= 0)
        ours.append(clustered(planted.lon_deg, planted.lat_deg, whole, q=q).flagged)
        cells.append(voronoi_cells(planted.lon_deg, planted.lat_deg, whole).area_sr)
    member, flag, area = np.concatenate(truth), np.concatenate(ours), np.concatenate(cells)
    cost = float(flag[~member].mean())
    asci = area < threshold_sr(random)
    equal = area < np.quantile(area[~member], cost)
    return Power(
        contrast=contrast,
        cluster_size=size,
        background=background,
        trials=trials,
        recall=float(flag[member].mean()),
        background_flagged=cost,
        false_discoveries=float(flag[~member].sum() / max(flag.sum(), 1)),
        asci_recall=float(asci[member].mean()),
        asci_background_flagged=float(asci[~member].mean()),
        asci_equal_recall=float(equal[member].mean()),
        asci_equal_background_flagged=float(equal[~member].mean()),
    )


def uneven(n: int, trials: int, q: float, seed: int) -> dict[str, float]:
    """Share of craters flagged where the ground is graded or patchy and nothing is clustered."""
    whole = Coverage.whole()

    def share(density: Floats, k: int) -> float:
        rng = np.random.default_rng([seed, 5, k])
        lon, lat = from_density(n, 6, density, rng)
        return float(clustered(lon, lat, whole, q=q).flagged.mean())

    result = {"graded 10:1": np.mean([share(graded_density(6, 10.0), k) for k in range(trials)])}
    for sigma in (0.3, 0.6, 1.0):
        fields = [
            patchy_density(6, sigma, 5.0, np.random.default_rng([seed, 9, k]))
            for k in range(trials)
        ]
        name = f"patches of 5 degrees, sigma {sigma}"
        result[name] = np.mean([share(field, k) for k, field in enumerate(fields)])
    return {name: float(value) for name, value in result.items()}


@click.command()
@click.option("--realisations", default=1000, show_default=True)
@click.option("--trials", default=20, show_default=True)
@click.option("--background", default=10_000, show_default=True)
@click.option("--q", default=0.05, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(realisations: int, trials: int, background: int, q: float, seed: int, form: str) -> None:
    """Measure false alarms and power.

    \b
    python -m benchmarks.secondaries --format json
    """
    alarms = []
    for n in (100, 1000, 10_000):
        for name in GROUNDS:
            alarms.append(asdict(false_alarms(name, n, realisations, q, seed)))
            print(alarms[-1], file=sys.stderr, flush=True)
    powers = []
    for size in (20, 100):
        for contrast in (5.0, 10.0, 30.0, 100.0):
            result = power(
                contrast,
                size,
                background=background,
                clusters=max(1000 // size, 1),
                trials=trials,
                q=q,
                seed=seed,
            )
            powers.append(asdict(result))
            print(powers[-1], file=sys.stderr, flush=True)
    ground_figures = uneven(background, max(trials // 2, 1), q, seed)
    if form == "json":
        print(json.dumps({"false_alarms": alarms, "power": powers, "uneven": ground_figures}))
        return
    for row in [*alarms, *powers, ground_figures]:
        print(
            "  ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )


if __name__ == "__main__":
    main()
