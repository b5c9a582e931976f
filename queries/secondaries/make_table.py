"""Simulates the table of Voronoi cell areas that the p-values are read from.

    python -m queries.secondaries.make_table --cells 12000000 --seed 20250101

draws that many cells of uniform random craters, a million to a sphere, divides each by its local
background (`background.local_mean_area`, as for real craters) and writes the quantiles to
``queries/data/voronoi_cells.csv``. About 20 s a million cells on one core.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import numpy as np

from queries.coverage import Coverage
from queries.secondaries.background import local_mean_area
from queries.secondaries.voronoi import voronoi_cells
from queries.sphere import Floats

TABLE = Path(__file__).parents[1] / "data" / "voronoi_cells.csv"
_PER_SPHERE = 1_000_000
_LEAST_COUNT = 5  # the table starts at the fifth smallest of all cells


def simulate(cells: int, seed: int) -> tuple[Floats, Floats]:
    """Areas of uniform random cells: over the global mean, and over the local background."""
    whole = Coverage.whole()
    by_mean, by_background = [], []
    for sphere in range(cells // _PER_SPHERE):
        lon, lat = whole.draw(_PER_SPHERE, np.random.default_rng([seed, sphere]))
        area = voronoi_cells(lon, lat, whole).area_sr
        by_mean.append(area * _PER_SPHERE / whole.area_sr)
        by_background.append(area / local_mean_area(lon, lat, area, whole))
        click.echo(f"{sphere + 1}/{cells // _PER_SPHERE} spheres", err=True)
    return np.sort(np.concatenate(by_mean)), np.sort(np.concatenate(by_background))


def grid(cells: int) -> Floats:
    """Probabilities of the table: 25 a decade up to 0.1, then 0.01 apart."""
    low = np.log10(_LEAST_COUNT / cells)
    tail = np.logspace(low, -1.0, round((-1.0 - low) * 25))
    return np.concatenate([tail, np.arange(0.11, 1.0, 0.01)])


@click.command()
@click.option("--cells", default=12_000_000, show_default=True, help="In whole millions.")
@click.option("--seed", default=20250101, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=TABLE, show_default=True)
def main(cells: int, seed: int, out: Path) -> None:
    """Simulate and write the table.

    \b
    python -m queries.secondaries.make_table --cells 12000000
    """
    by_mean, by_background = simulate(cells, seed)
    n = len(by_mean)
    with out.open("w", newline="") as file:
        file.write(
            f"# Poisson Voronoi cells on the sphere: {n} cells, seed {seed},"
            " by queries.secondaries.make_table\n"
            f"# median over mean {np.median(by_mean):.5f}\n"
            "# p: share of cells smaller; over_mean: area / global mean;"
            " over_background: area / local_mean_area\n"
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["p", "over_mean", "over_background"])
        for p in grid(n):
            row = min(round(p * n) - 1, n - 1)
            writer.writerow([f"{p:.6g}", f"{by_mean[row]:.6g}", f"{by_background[row]:.6g}"])


if __name__ == "__main__":
    main()
