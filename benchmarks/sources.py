"""Does the ranking find a planted source? A synthetic Mars with 2,000 launch-size craters.

    python -m benchmarks.sources --format json

Each seed draws its own planet: small craters on patchy ground, launch-size craters with random
ages, small craters on their ejecta (with a scatter of 0.15 dex that the inference does not know),
units of the map, fading rays around every young crater. The source is Tooting-like: 27.9 km, 1.1
Ma, on ground of 100 to 500 Ma. Ray p-values come from the real ray search.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from benchmarks.rays import draw_diameters, draw_planet, planet_crater_count
from cda_db.bodies import get_body
from queries.coverage import Coverage, cells_of
from queries.random_populations import plant_rays
from queries.rays.counts import SmallCraters
from queries.rays.field import FIELDS
from queries.rays.search import draw_controls, measure_sites, search
from queries.sources.candidates import Candidates, EjectaCount, FormationAge, weigh
from queries.sources.chance import SIMULATIONS, chance_maxima
from queries.sources.groups import get_group
from queries.sources.ranking import Ranking, rank
from queries.sphere import Floats, lonlat

MARS_M = get_body("mars").radius_m
OLDEST_MA = 3500.0
PER_KM2_MA = 2e-3  # craters of the counted sizes a km2 and Ma
FADING_MA = 5.0
UNITS_MA = ((0.0, 100.0), (100.0, 500.0), (500.0, 1500.0), (1500.0, 3000.0), (3000.0, 4000.0))
ROCK_UNIT = 1
UNIT_ORDER = 3


@dataclass(frozen=True)
class Mars:
    """One synthetic planet; crater 0 is the source where one is planted."""

    lon_deg: Floats
    lat_deg: Floats
    diameter_m: Floats
    age_ma: Floats
    unit: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    ray_p: Floats
    counts: list[EjectaCount]


def make_mars(seed: int, *, source: bool, rays: bool, craters: int, controls: int) -> Mars:
    """Draw a planet and search it for rays."""
    rng = np.random.default_rng([seed, 4242])
    small, coverage = draw_planet("patchy", planet_crater_count(), rng)
    lon, lat = coverage.draw(craters, rng)
    diameter = draw_diameters(craters, rng)
    age = rng.uniform(0.0, OLDEST_MA, craters)
    unit_map = rng.integers(0, len(UNITS_MA), 12 * 4**UNIT_ORDER)
    if source:
        diameter[0], age[0] = 27_860.0, 1.1
        while unit_map[cells_of(UNIT_ORDER, lon[:1], lat[:1])[0]] != ROCK_UNIT:
            lon[:1], lat[:1] = coverage.draw(1, rng)
    if rays:
        small = _add_rays(small, lon, lat, diameter, age, rng)
    near = FIELDS["near"]
    sites = measure_sites(small, coverage, lon, lat, diameter, near, MARS_M)
    where = draw_controls(coverage, diameter, rng, controls)
    pool = measure_sites(small, coverage, *where, near, MARS_M)
    return Mars(
        lon,
        lat,
        diameter,
        age,
        unit_map[cells_of(UNIT_ORDER, lon, lat)],
        search(sites, pool, rng).p,
        [_count(d, t, rng) for d, t in zip(diameter, age, strict=True)],
    )


def make_unsearched(seed: int, craters: int) -> Mars:
    """A planet without a source whose rays nobody looked for: cheap, so that many can be made."""
    rng = np.random.default_rng([seed, 77])
    lon, lat = Coverage.whole().draw(craters, rng)
    diameter, age = draw_diameters(craters, rng), rng.uniform(0.0, OLDEST_MA, craters)
    unit_map = rng.integers(0, len(UNITS_MA), 12 * 4**UNIT_ORDER)
    counts = [_count(d, t, rng) for d, t in zip(diameter, age, strict=True)]
    unit = unit_map[cells_of(UNIT_ORDER, lon, lat)]
    return Mars(lon, lat, diameter, age, unit, np.full(craters, np.nan), counts)


def _add_rays(
    small: SmallCraters,
    lon: Floats,
    lat: Floats,
    diameter: Floats,
    age: Floats,
    rng: np.random.Generator,
) -> SmallCraters:
    """Four rays of contrast 1 + exp(-age / 5 Ma) around every crater younger than 20 Ma."""
    density = small.vectors.shape[1] / (4.0 * np.pi)
    lons, lats = ([x] for x in lonlat(small.vectors.T))
    for i in np.flatnonzero(age < 4.0 * FADING_MA):
        edges = FIELDS["near"].edges_deg(diameter[i : i + 1], MARS_M)[0]
        planted = plant_rays(
            float(lon[i]),
            float(lat[i]),
            rng.uniform(0.0, 90.0) + np.array([0.0, 90.0, 180.0, 270.0]),
            rng,
            width_deg=6.0,
            inner_deg=float(edges[0]),
            outer_deg=float(edges[-1]),
            excess_per_sr=density * float(np.exp(-age[i] / FADING_MA)),
        )
        lons.append(planted.lon_deg)
        lats.append(planted.lat_deg)
    x, y = np.concatenate(lons), np.concatenate(lats)
    return SmallCraters(x, y, np.full(len(x), 100.0))


def _count(diameter_m: float, age_ma: float, rng: np.random.Generator) -> EjectaCount:
    """Craters on the ejecta from 1 to 2.5 radii, at most 3,000 km2 of it."""
    radius_km = diameter_m / 2000.0
    area = min(np.pi * (2.5**2 - 1.0) * radius_km**2, 3000.0)
    per_ma = PER_KM2_MA * area
    scatter = 10.0 ** rng.normal(0.0, 0.15)
    return EjectaCount(int(rng.poisson(per_ma * age_ma * scatter)), per_ma)


def rank_mars(
    mars: Mars,
    rng: np.random.Generator,
    *,
    with_rays: bool = True,
    simulations: int = SIMULATIONS,
) -> Ranking:
    """Rank its craters for the depleted shergottites; a third of the ground is not mapped."""
    low, high = np.array(UNITS_MA).T[:, mars.unit]
    unmapped = rng.random(len(mars.unit)) < 1.0 / 3.0
    low[unmapped] = high[unmapped] = np.nan
    ages: dict[int, EjectaCount | FormationAge] = dict(enumerate(mars.counts))
    candidates = Candidates(
        crater_id=np.arange(len(mars.unit)),
        lon_deg=mars.lon_deg,
        lat_deg=mars.lat_deg,
        diameter_km=mars.diameter_m / 1000.0,
        ray_p=mars.ray_p if with_rays else np.full(len(mars.unit), np.nan),
        ages=ages,
        unit_low_ma=low,
        unit_high_ma=high,
    )
    group = get_group("depleted-shergottites")
    rows = weigh(candidates, group)
    return rank(rows, len(candidates), chance_maxima(candidates, rows, group, rng, simulations))


def trial(seed: int, craters: int, controls: int) -> dict[str, Any]:
    """One planet with a source, searched with its rays and with the rays not looked at."""
    mars = make_mars(seed, source=True, rays=True, craters=craters, controls=controls)
    result: dict[str, Any] = {"seed": seed, "ray_p": float(mars.ray_p[0])}
    for name, with_rays in (("all_evidence", True), ("rays_unknown", False)):
        found = rank_mars(mars, np.random.default_rng(seed), with_rays=with_rays)
        result[name] = _summary(found)
    bare = make_mars(seed, source=True, rays=False, craters=craters, controls=controls)
    result["rays_removed"] = _summary(rank_mars(bare, np.random.default_rng(seed)))
    result["rays_removed_ray_p"] = float(bare.ray_p[0])
    return result


def _summary(found: Ranking) -> dict[str, Any]:
    place = 1 + int((found.log_ratio > found.log_ratio[0]).sum())
    return {
        "rank": place,
        "posterior": float(found.posterior[0]),
        "posterior_none": found.posterior_none,
        "chance": found.chance,
        "reported": found.reported == 0,
        "other_reported": found.reported not in (None, 0),
    }


def no_source(seed: int, craters: int, controls: int) -> dict[str, Any]:
    """One planet without a source: is any crater reported?"""
    mars = make_mars(seed + 1000, source=False, rays=True, craters=craters, controls=controls)
    found = rank_mars(mars, np.random.default_rng(seed))
    best = int(found.order[0])
    return {
        "seed": seed,
        "reported": found.reported is not None,
        "of_launch_age": int(((mars.age_ma > 0.8) & (mars.age_ma < 1.5)).sum()),
        "posterior_first": float(found.posterior[best]),
        "age_first_ma": float(mars.age_ma[best]),
        "posterior_none": found.posterior_none,
        "chance": found.chance,
    }


def unsearched_chances(seeds: int, craters: int) -> Floats:
    """`chance` of planets without a source and without a ray search: it should be uniform."""
    chances = [
        rank_mars(
            make_unsearched(seed, craters), np.random.default_rng(seed), simulations=199
        ).chance
        for seed in range(seeds)
    ]
    return np.array(chances)


@click.command()
@click.option("--seeds", default=10, show_default=True)
@click.option("--empty-seeds", default=20, show_default=True)
@click.option("--unsearched-seeds", default=100, show_default=True, help="Without a ray search.")
@click.option("--craters", default=2000, show_default=True)
@click.option("--controls", default=5000, show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def main(
    seeds: int, empty_seeds: int, unsearched_seeds: int, craters: int, controls: int, form: str
) -> None:
    """Measure the ranking.

    \b
    python -m benchmarks.sources --format json
    """
    planted, empty = [], []
    for seed in range(seeds):
        planted.append(trial(seed, craters, controls))
        print(planted[-1], file=sys.stderr, flush=True)
    for seed in range(empty_seeds):
        empty.append(no_source(seed, craters, controls))
        print(empty[-1], file=sys.stderr, flush=True)
    chances = unsearched_chances(unsearched_seeds, craters)
    figures = {
        name: {
            "first": sum(t[name]["rank"] == 1 for t in planted),
            "reported": sum(t[name]["reported"] for t in planted),
            "other_reported": sum(t[name]["other_reported"] for t in planted),
        }
        for name in ("all_evidence", "rays_unknown", "rays_removed")
    }
    result = {
        "seeds": seeds,
        **figures,
        "without_source": {
            "seeds": empty_seeds,
            "reported": sum(t["reported"] for t in empty),
            "reported_of_launch_age": sum(
                t["reported"] and 0.8 < t["age_first_ma"] < 1.5 for t in empty
            ),
        },
        "without_source_unsearched": {
            "seeds": unsearched_seeds,
            "chance_at_most_0.05": int((chances <= 0.05).sum()),
            "chance_at_most_0.2": int((chances <= 0.2).sum()),
            "chance_at_most_0.5": int((chances <= 0.5).sum()),
        },
        "planted": planted,
        "empty": empty,
    }
    print(json.dumps(result, indent=None if form == "json" else 2))


if __name__ == "__main__":
    main()
