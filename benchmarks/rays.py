"""False alarms, power, speed and two real basins of the ray search.

    python -m benchmarks.rays --format json
    python -m benchmarks.rays --part planet

Tests on sector counts that textbooks offer (Rayleigh on azimuths, chi-square over sectors) stand
beside it, at their nominal rate and at the rate of the search.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2

from cda_db.bodies import get_body
from queries.coverage import Coverage, cell_count
from queries.random_populations import (
    from_density,
    graded_density,
    patchy_density,
    plant_rays,
    uniform,
)
from queries.rays.contrast import ray_statistic
from queries.rays.counts import SmallCraters
from queries.rays.field import FIELDS, SECTORS
from queries.rays.search import Sites, draw_controls, measure_sites, search
from queries.sphere import Floats, cap_area_sr, separation_deg

MARS_M = get_body("mars").radius_m
FIELD_CRATERS = 40_000
PRIMARY_M = 10_000.0  # of the power curve
RAYS, RAY_WIDTH_DEG = 4, 6.0
GROUNDS = ("uniform", "graded", "patchy", "holes")


def planet_crater_count() -> int:
    """Craters of a planet that puts `FIELD_CRATERS` into the near field of a 10 km primary."""
    edges = FIELDS["near"].edges_deg(np.array([PRIMARY_M]), MARS_M)[0]
    share = (cap_area_sr(edges[-1]) - cap_area_sr(edges[0])) / (4.0 * np.pi)
    return round(FIELD_CRATERS / float(share))


def draw_planet(
    ground: str, n: int, rng: np.random.Generator, sigma: float = 0.3, scale_deg: float = 5.0
) -> tuple[SmallCraters, Coverage]:
    """Small craters of 100 m on one kind of ground, and what of it is imaged."""
    coverage = Coverage.whole()
    if ground == "holes":
        seen = np.repeat(rng.random(cell_count(4)) > 0.15, 64)
        coverage = Coverage.where(7, seen)
    if ground == "graded":
        lon, lat = from_density(n, 7, graded_density(7, 10.0), rng)
    elif ground == "patchy":
        lon, lat = from_density(n, 7, patchy_density(7, sigma, scale_deg, rng), rng)
    else:
        lon, lat = uniform(n, coverage, rng)
    return SmallCraters(lon, lat, np.full(n, 100.0)), coverage


def draw_diameters(
    n: int, rng: np.random.Generator, low_m: float = 3000.0, high_m: float = 100_000.0
) -> Floats:
    """Diameters with N(>D) falling as the square, cut at both ends."""
    u = rng.random(n)
    ratio = (low_m / high_m) ** 2
    return np.asarray(low_m / np.sqrt(1.0 - u * (1.0 - ratio)))


def chi_square(counts: NDArray[np.int32]) -> Floats:
    """Textbook chi-square of the 72 sector totals being equal."""
    total = counts.sum(axis=1).astype(float)
    mean = total.mean(axis=1, keepdims=True)
    return np.asarray(((total - mean) ** 2 / np.maximum(mean, 1e-9)).sum(axis=1))


def rayleigh(counts: NDArray[np.int32]) -> Floats:
    """Rayleigh statistic of the azimuths (Mardia & Jupp 2000): exp(-it) is its textbook p."""
    total = counts.sum(axis=1).astype(float)
    angle = 2.0 * np.pi * (np.arange(SECTORS) + 0.5) / SECTORS
    n = np.maximum(total.sum(axis=1), 1.0)
    resultant = np.hypot(total @ np.cos(angle), total @ np.sin(angle))
    return np.asarray(resultant**2 / n)


def _rate(hit: NDArray[np.bool_]) -> dict[str, float]:
    n, hits = len(hit), int(hit.sum())
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return {"share": hits / n, "low": low, "high": high}


def false_alarms(ground: str, controls: int, tests: int, seed: int) -> dict[str, Any]:
    """Rates at nominal 5, 1 and 0.1 % at random sites without rays."""
    rng = np.random.default_rng([seed, GROUNDS.index(ground)])
    craters, coverage = draw_planet(ground, planet_crater_count(), rng)
    diameters = draw_diameters(tests, rng)
    where = *coverage.draw(tests, rng), diameters
    near = FIELDS["near"]
    sites = measure_sites(craters, coverage, *where, near, MARS_M)
    pool = measure_sites(
        craters, coverage, *draw_controls(coverage, diameters, rng, controls), near, MARS_M
    )
    found = search(sites, pool, rng)
    return {
        "ground": ground,
        "controls": controls,
        "tests": tests,
        "strata": len(found.strata.leaves()),
        "smallest_p": float(found.smallest_p.min()),
        "at_5_percent": _rate(found.p <= 0.05),
        "at_1_percent": _rate(found.p <= 0.01),
        "at_0.1_percent": _rate(found.p <= 0.001),
        "chi_square_at_1_percent": _rate(chi2.sf(chi_square(sites.counts), SECTORS - 1) <= 0.01),
        "rayleigh_at_1_percent": _rate(np.exp(-rayleigh(sites.counts)) <= 0.01),
    }


@dataclass(frozen=True)
class Power:
    """Share of planted ray craters with p <= 0.01, by four tests, each at 1 % false alarms."""

    contrast: float
    sigma: float
    patch_deg: float
    trials: int
    power: float
    without_dispersion: float
    chi_square: float
    rayleigh: float


def power(
    contrasts: tuple[float, ...], sigma: float, scale_deg: float, trials: int, seed: int
) -> list[Power]:
    """Four rays of 6 degrees at random azimuths 60 degrees or more apart, on patchy ground."""
    rng = np.random.default_rng([seed, 77, round(100 * sigma), round(10 * scale_deg)])
    craters, coverage = draw_planet("patchy", planet_crater_count(), rng, sigma, scale_deg)
    near, size = FIELDS["near"], np.full(trials, PRIMARY_M)
    sites = measure_sites(craters, coverage, *coverage.draw(trials, rng), size, near, MARS_M)
    pool = measure_sites(craters, coverage, *draw_controls(coverage, size, rng, 5000), near, MARS_M)
    plain, _ = ray_statistic(pool.counts)
    limits = (
        float(np.quantile(plain, 0.99)),
        float(np.quantile(chi_square(pool.counts), 0.99)),
        float(np.quantile(rayleigh(pool.counts), 0.99)),
    )
    curve = []
    for contrast in contrasts:
        rayed = _with_rays(sites, contrast, rng)
        found = search(rayed, pool, rng)
        bare, _ = ray_statistic(rayed.counts)
        curve.append(
            Power(
                contrast,
                sigma,
                scale_deg,
                trials,
                float((found.p <= 0.01).mean()),
                float((bare >= limits[0]).mean()),
                float((chi_square(rayed.counts) >= limits[1]).mean()),
                float((rayleigh(rayed.counts) >= limits[2]).mean()),
            )
        )
    return curve


def _with_rays(sites: Sites, contrast: float, rng: np.random.Generator) -> Sites:
    """The sites with rays planted on top of their own mean density."""
    counts = sites.counts.copy()
    for i in range(len(sites)):
        edges = sites.edges_deg[i]
        inner, outer = float(edges[0]), float(edges[-1])
        density = counts[i].sum() / float(cap_area_sr(outer) - cap_area_sr(inner))
        gaps = rng.dirichlet(np.ones(RAYS)) * (360.0 - 60.0 * RAYS) + 60.0
        planted = plant_rays(
            float(sites.lon_deg[i]),
            float(sites.lat_deg[i]),
            rng.uniform(0.0, 360.0) + np.cumsum(gaps),
            rng,
            width_deg=RAY_WIDTH_DEG,
            inner_deg=inner,
            outer_deg=outer,
            excess_per_sr=density * (contrast - 1.0),
        )
        extra = SmallCraters(planted.lon_deg, planted.lat_deg, np.full(len(planted.label), 100.0))
        counts[i] += extra.count(
            float(sites.lon_deg[i]), float(sites.lat_deg[i]), edges, PRIMARY_M
        ).astype(np.int32)
    return Sites(**{**sites.__dict__, "counts": counts})


def whole_planet(craters: int, primaries: int, controls: int, threads: int) -> dict[str, Any]:
    """Time and memory of a search over a whole Mars."""
    rng = np.random.default_rng(3)
    field = patchy_density(7, 0.3, 5.0, rng)
    lon, lat = from_density(craters, 7, field, rng)
    coverage = Coverage.between_latitudes(-85.0, 85.0)
    diameters = draw_diameters(primaries, rng, high_m=220_000.0)
    started, cpu = time.perf_counter(), time.process_time()
    small = SmallCraters(lon, lat, np.full(craters, 100.0))
    indexed = time.perf_counter()
    near = FIELDS["near"]
    sites = measure_sites(
        small, coverage, *coverage.draw(primaries, rng), diameters, near, MARS_M, threads=threads
    )
    pool = measure_sites(
        small,
        coverage,
        *draw_controls(coverage, diameters, rng, controls),
        near,
        MARS_M,
        threads=threads,
    )
    counted = time.perf_counter()
    search(sites, pool, rng)
    ended = time.perf_counter()
    return {
        "craters": craters,
        "primaries": primaries,
        "controls": controls,
        "threads": threads,
        "seconds": ended - started,
        "seconds_index": indexed - started,
        "seconds_count": counted - indexed,
        "seconds_judge": ended - counted,
        "cpu_seconds": time.process_time() - cpu,
        "counted": int(sites.counts.sum(dtype=np.int64) + pool.counts.sum(dtype=np.int64)),
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


# Centres and main rings after Neumann et al. (2015, Science Advances 1, e1500852).
BASINS = {"Orientale": (-94.8, -20.1, 937_000.0), "Imbrium": (-18.5, 37.0, 1_321_000.0)}


def moon(data: Path, controls: int, seed: int) -> dict[str, Any]:
    """Orientale and Imbrium among random highland sites, in craters of 5 to 20 km."""
    radius = get_body("moon").radius_m
    small = _read(data / "catalogues" / "moon_lroc_povilaitis_5_20km.csv.gz")
    large = _read(data / "catalogues" / "moon_head_2010_ge20km.csv")
    coverage = Coverage.between_latitudes(-60.0, 60.0)
    craters = SmallCraters(small[0], small[1], small[2] * 1000.0)
    rng = np.random.default_rng(seed)
    lon, lat = coverage.draw(3 * controls, rng)
    near = np.array(
        [
            (separation_deg(x, y, large[0], large[1]) < 10.0).sum()
            for x, y in zip(lon, lat, strict=True)
        ]
    )
    highland = near >= np.quantile(near, 1.0 / 3.0)  # a third of the near side is mare
    lon, lat = lon[highland][:controls], lat[highland][:controls]
    result: dict[str, Any] = {}
    for name, (lon0, lat0, diameter) in BASINS.items():
        away = separation_deg(lon, lat, lon0, lat0) > np.degrees(diameter / 2.0 / radius)
        pool = measure_sites(
            craters,
            coverage,
            lon[away],
            lat[away],
            np.full(int(away.sum()), diameter),
            FIELDS["basin"],
            radius,
        )
        site = measure_sites(
            craters,
            coverage,
            np.array([lon0]),
            np.array([lat0]),
            np.array([diameter]),
            FIELDS["basin"],
            radius,
        )
        found = search(site, pool, rng)
        control_t, _ = ray_statistic(
            found.controls.counts, found.controls.exposure, found.dispersion
        )
        result[name] = {
            "t": float(found.t[0]),
            "azimuth_deg": float(5.0 * (found.window[0] + 1) % 360.0),
            "rank_from_top": 1 + int((control_t >= found.t[0]).sum()),
            "controls": len(control_t),
            "p": float(found.p[0]),
            "craters_in_field": int(site.counts.sum()),
        }
    return result


def _read(path: Path) -> tuple[Floats, Floats, Floats]:
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        rows = [(r["lon_east_deg"], r["lat_deg"], r["diameter_km"]) for r in csv.DictReader(file)]
    lon, lat, km = np.array(rows, float).T
    return lon, lat, km


def sample_data() -> Path:
    """Where the real catalogues are: CDA_SAMPLE_DATA, or ../shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CDA_SAMPLE_DATA", beside))


@click.command()
@click.option(
    "--part", type=click.Choice(["false-alarms", "power", "planet", "moon"]), multiple=True
)
@click.option("--controls", default=5000, show_default=True)
@click.option("--tests", default=5000, show_default=True)
@click.option("--trials", default=400, show_default=True)
@click.option("--craters", default=10_000_000, show_default=True)
@click.option("--primaries", default=20_000, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(
    part: tuple[str, ...],
    controls: int,
    tests: int,
    trials: int,
    craters: int,
    primaries: int,
    threads: int,
    seed: int,
    form: str,
) -> None:
    """Measure the ray search.

    \b
    python -m benchmarks.rays --part false-alarms --format json
    """
    parts = part or ("false-alarms", "power", "moon", "planet")
    result: dict[str, Any] = {}
    if "false-alarms" in parts:
        result["false_alarms"] = [false_alarms(g, controls, tests, seed) for g in GROUNDS]
        print(result["false_alarms"], file=sys.stderr)
    if "power" in parts:
        grounds = ((0.3, 5.0), (0.3, 2.0), (0.3, 20.0), (0.6, 5.0))
        contrasts = (1.25, 1.5, 2.0, 3.0)
        result["power"] = [
            asdict(row) for g in grounds for row in power(contrasts, *g, trials, seed)
        ]
        print(result["power"], file=sys.stderr)
    if "moon" in parts:
        result["moon"] = moon(sample_data(), controls, seed)
    if "planet" in parts:
        result["planet"] = whole_planet(craters, primaries, 10_000, threads)
    print(json.dumps(result, indent=None if form == "json" else 2))


if __name__ == "__main__":
    main()
