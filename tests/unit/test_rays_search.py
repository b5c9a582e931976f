"""Calibration, the search, what it reports, and the second witness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import genpareto
from shapely.geometry import Point

from cda_db.errors import InputError
from queries.coverage import Coverage
from queries.random_populations import from_density, patchy_density, plant_rays
from queries.rays.backprojection import Clusters, crossings, find_clusters, pointing_scores
from queries.rays.calibration import calibrate, fit_pareto, held_out_check, pareto_survival
from queries.rays.counts import SmallCraters
from queries.rays.describe import (
    describe_rays,
    difference_interval,
    poisson_interval,
    sector_outline,
)
from queries.rays.field import FIELDS
from queries.rays.search import RaySearch, draw_controls, measure_sites, search
from queries.secondaries.clustering import clustered
from queries.secondaries.voronoi import voronoi_cells
from queries.sphere import bearing_deg, destination, separation_deg

MARS_M = 3_396_190.0
WHOLE = Coverage.whole()
LON0, LAT0, RAY_AZIMUTHS = 178.0, 55.0, np.array([20.0, 110.0, 200.0, 290.0])


@pytest.mark.parametrize(("shape", "scale"), [(-0.2, 1.5), (0.0, 0.7), (0.2, 1.0)])
def test_the_tail_is_recovered(shape: float, scale: float) -> None:
    excess = genpareto.rvs(shape, scale=scale, size=20_000, random_state=1)
    found = fit_pareto(excess)
    assert_allclose(found, (shape, scale), atol=0.05)


@given(st.floats(-0.5, 0.5), st.floats(0.1, 5.0), st.floats(0.0, 20.0))
def test_the_survival_equals_scipy(shape: float, scale: float, x: float) -> None:
    ours = float(pareto_survival(np.array([x]), shape, scale)[0])
    assert_allclose(ours, genpareto.sf(x, shape, scale=scale), atol=1e-6)


def test_strata_take_covariates_into_account() -> None:
    """T grows with a covariate; without strata one half would have no alarm, the other all."""
    rng = np.random.default_rng(4)
    covariates = rng.uniform(0.0, 1.0, (6000, 2))
    t = rng.normal(0.0, 1.0, 6000) + 3.0 * (covariates[:, 0] > 0.5)
    strata = calibrate(t, covariates)
    test = rng.uniform(0.0, 1.0, (6000, 2))
    p, least = strata.p_value(rng.normal(0.0, 1.0, 6000) + 3.0 * (test[:, 0] > 0.5), test)
    assert len(strata.leaves()) == 8
    for half in (test[:, 0] < 0.49, test[:, 0] > 0.51):
        assert abs((p[half] <= 0.05).mean() - 0.05) < 0.015
    assert_allclose(least, 1.0 / (10.0 * 750.0))
    assert (p >= least).all()


def test_held_out_rates_are_the_nominal_ones() -> None:
    rng = np.random.default_rng(5)
    for check in held_out_check(rng.gumbel(size=4000), rng.random((4000, 1)), rng):
        assert check.low <= check.nominal <= check.high
        assert check.controls == 4000


def test_a_statistic_with_few_values_is_ranked() -> None:
    """Nine in ten controls at 0, the rest at 1: p = 61 / 601 at 1, and nothing is extrapolated."""
    t = np.repeat([0.0, 1.0], [540, 60])
    p, least = calibrate(t, np.zeros((600, 1))).p_value(np.array([0.0, 1.0, 9.0]), np.zeros((3, 1)))
    assert_allclose(p, [1.0, 61.0 / 601.0, 1.0 / 601.0])
    assert_allclose(least, 1.0 / 601.0)


def test_too_few_controls_are_refused() -> None:
    with pytest.raises(InputError, match="at least 500"):
        calibrate(np.zeros(400), np.zeros((400, 1)))


@pytest.fixture(scope="module")
def planet() -> RaySearch:
    """200 candidates on patchy ground; the first throws four rays of contrast 2.5."""
    rng = np.random.default_rng(6)
    n = 200_000
    lon, lat = from_density(n, 6, patchy_density(6, 0.3, 5.0, rng), rng)
    size = rng.uniform(5000.0, 15_000.0, 200)
    size[0] = 15_000.0
    edges = FIELDS["near"].edges_deg(size[:1], MARS_M)[0]
    rays = plant_rays(
        LON0,
        LAT0,
        RAY_AZIMUTHS,
        rng,
        width_deg=6.0,
        inner_deg=float(edges[0]),
        outer_deg=float(edges[-1]),
        excess_per_sr=1.5 * n / (4.0 * np.pi),
    )
    x, y = np.append(lon, rays.lon_deg), np.append(lat, rays.lat_deg)
    craters = SmallCraters(x, y, np.full(len(x), 100.0))
    where = WHOLE.draw(200, rng)
    where[0][0], where[1][0] = LON0, LAT0
    near = FIELDS["near"]
    sites = measure_sites(craters, WHOLE, *where, size, near, MARS_M)
    pool = measure_sites(craters, WHOLE, *draw_controls(WHOLE, size, rng, 1500), near, MARS_M)
    return search(sites, pool, rng)


def test_the_planted_crater_comes_first(planet: RaySearch) -> None:
    assert planet.rank[0] == 1
    assert planet.p[0] < 0.002
    # 199 others: 0.05 of them, and three standard errors.
    assert (planet.p[1:] <= 0.05).mean() < 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / 199)


def test_q_values_are_withheld_where_the_smallest_p_is_too_large(planet: RaySearch) -> None:
    assert float(planet.smallest_p.min()) * 200 < 0.05
    assert not np.isnan(planet.q).any()
    many = planet.candidates.take(np.ones(200, bool))
    crowd = [np.concatenate([getattr(many, name)] * 10) for name in many.__dataclass_fields__]
    found = search(type(many)(*crowd), planet.controls, np.random.default_rng(0))
    assert np.isnan(found.q).all()
    assert found.rank.min() == 1


def test_its_rays_are_described(planet: RaySearch) -> None:
    rays = describe_rays(planet, 0, MARS_M)
    found = np.array(sorted(ray.azimuth_deg for ray in rays))
    assert len(found) == 4
    assert np.abs(found - RAY_AZIMUTHS).max() <= 5.0
    for ray in rays:
        assert ray.outer_km > 500.0
        assert ray.excess_low < ray.excess < ray.excess_high
        assert ray.excess_low > 0.0
        # Six of the window's ten degrees have 2.5 times the density: 1.9 times in all.
        assert 1.4 < ray.contrast < 2.6
        middle = (ray.inner_deg * ray.outer_deg) ** 0.5
        lon, lat = destination(LON0, LAT0, ray.azimuth_deg, middle)
        assert ray.outline(LON0, LAT0).covers(Point(float(lon), float(lat)))


def test_controls_at_a_flagged_crater_are_left_out(planet: RaySearch) -> None:
    arc = separation_deg(planet.controls.lon_deg, planet.controls.lat_deg, LON0, LAT0)
    assert (arc > planet.candidates.edges_deg[0, 0]).all()


def test_poisson_interval_equals_the_printed_table() -> None:
    """Gehrels (1986) tables: for n = 3 at 97.5 % each side 0.619 and 8.767."""
    assert_allclose(poisson_interval(3.0), (0.6187, 8.7673), atol=1e-3)
    assert poisson_interval(0.0)[0] == 0.0
    assert_allclose(poisson_interval(0.0)[1], 3.6889, atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([(30.0, 60.0), (200.0, 300.0), (8.0, 24.0)]))
def test_the_excess_interval_covers(means: tuple[float, float]) -> None:
    rng = np.random.default_rng(7)
    truth = means[0] - means[1] / 3.0
    covered = [
        low <= truth <= high
        for low, high in (
            difference_interval(float(a), float(b), 1.0 / 3.0)
            for a, b in zip(rng.poisson(means[0], 400), rng.poisson(means[1], 400), strict=True)
        )
    ]
    assert np.mean(covered) > 0.95 - 3.0 * np.sqrt(0.05 * 0.95 / 400)


@given(st.floats(-180, 179), st.floats(-85, 85), st.floats(0, 355), st.floats(0.1, 0.9))
@settings(max_examples=50, deadline=None)
def test_outlines_hold_their_middle_wherever_they_lie(
    lon: float, lat: float, azimuth: float, part: float
) -> None:
    outline = sector_outline(lon, lat, azimuth, 10.0, 2.0, 40.0)
    assert outline.is_valid
    west, south, east, north = outline.bounds
    assert west >= -180.0 and east <= 180.0 and south >= -90.0 and north <= 90.0
    x, y = destination(lon, lat, azimuth, 2.0 + 38.0 * part)
    assert outline.buffer(1e-6).covers(Point(float(x), float(y)))


def _streaks(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Twelve streaks of 20 craters along rays of one primary."""
    lon, lat = [], []
    for azimuth in np.arange(12) * 30.0:
        arc = rng.uniform(16.0, 26.0) + rng.uniform(-0.6, 0.6, 20)
        x, y = destination(LON0, LAT0, azimuth + rng.normal(0.0, 0.3, 20), arc)
        lon.append(x)
        lat.append(y)
    return np.concatenate(lon), np.concatenate(lat)


def _clusters(rng: np.random.Generator) -> Clusters:
    lon, lat = _streaks(rng)
    background = WHOLE.draw(3000, rng)
    x, y = np.append(lon, background[0]), np.append(lat, background[1])
    flagged = np.arange(len(x)) < len(lon)
    cells = voronoi_cells(x, y, WHOLE)
    return find_clusters(x, y, flagged, cells.area_sr, cells.edges)


def test_clusters_point_back_at_their_primary() -> None:
    rng = np.random.default_rng(8)
    clusters = _clusters(rng)
    assert len(clusters) == 12
    assert (clusters.members >= 15).all()
    back = bearing_deg(clusters.lon_deg, clusters.lat_deg, LON0, LAT0)
    off = (back - clusters.axis_deg + 90.0) % 180.0 - 90.0
    assert (np.abs(off) < 3.0 * clusters.axis_error_deg).all()
    others = WHOLE.draw(500, rng)
    lon, lat = np.append(LON0, others[0]), np.append(LAT0, others[1])
    score, reach = pointing_scores(clusters, lon, lat, np.full(501, 1.0), np.full(501, 60.0))
    assert score.argmax() == 0
    assert reach[0] == 12


def test_planted_clusters_are_found_and_point_back() -> None:
    """From bare positions: flags, clusters and axes are all inferred among 3,000 others."""
    rng = np.random.default_rng(10)
    streaks, background = _streaks(rng), WHOLE.draw(3000, rng)
    x, y = np.append(streaks[0], background[0]), np.append(streaks[1], background[1])
    flags = clustered(x, y, WHOLE)
    clusters = find_clusters(x, y, flags.flagged, flags.area_sr, flags.edges)
    assert len(clusters) >= 10
    others = WHOLE.draw(500, rng)
    lon, lat = np.append(LON0, others[0]), np.append(LAT0, others[1])
    score, _ = pointing_scores(clusters, lon, lat, np.full(501, 1.0), np.full(501, 60.0))
    assert score.argmax() == 0


def test_great_circles_of_the_axes_cross_at_the_primary() -> None:
    lon, lat = crossings(_clusters(np.random.default_rng(9)), 40.0)
    arc = separation_deg(lon, lat, LON0, LAT0)
    assert np.median(arc) < 3.0
