"""Counts around sites, exposure and the contrast, against brute force and hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cda_db.errors import InputError
from queries.coverage import Coverage, cell_count
from queries.random_populations import patchy_density, plant_rays
from queries.rays.contrast import (
    measure_dispersion,
    profile,
    ray_statistic,
    window_contrast,
)
from queries.rays.counts import SmallCraters, count_sites, exposure
from queries.rays.field import FIELDS, SECTORS, get_field
from queries.sphere import bearing_deg, separation_deg

MARS_M = 3_396_190.0
WHOLE = Coverage.whole()


def test_edges_of_the_annuli_by_hand() -> None:
    """A 10 km crater on Mars: 2 R is 10 km, 320 R is 1,600 km, six equal steps of the log."""
    edges = FIELDS["near"].edges_deg(np.array([10_000.0]), MARS_M)[0]
    km = np.radians(edges) * MARS_M / 1000.0
    assert_allclose(km[[0, -1]], [10.0, 1600.0])
    assert_allclose(km[1:] / km[:-1], 160.0 ** (1.0 / 6.0))


def test_the_field_ends_at_its_limit_and_refuses_basins() -> None:
    edges = FIELDS["near"].edges_deg(np.array([60_000.0]), MARS_M)[0]
    assert_allclose(edges[-1], 60.0)
    with pytest.raises(InputError, match="field for basins"):
        FIELDS["near"].edges_deg(np.array([4_000_000.0]), MARS_M)
    with pytest.raises(InputError, match="nearby"):
        get_field("nearby")


@given(
    st.floats(-180.0, 179.9),
    st.one_of(st.floats(-90.0, 90.0), st.sampled_from([-90.0, 90.0, 0.0])),
    st.floats(4000.0, 60_000.0),
    st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_counts_equal_brute_force(lon0: float, lat0: float, diameter: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lon, lat = WHOLE.draw(3000, rng)
    size = rng.uniform(50.0, 400.0, 3000)
    edges = FIELDS["near"].edges_deg(np.array([diameter]), MARS_M)
    counts = SmallCraters(lon, lat, size).count(lon0, lat0, edges[0], 0.05 * diameter)
    small = size.astype(np.float32) <= 0.05 * diameter
    arc = separation_deg(lon0, lat0, lon[small], lat[small])
    turn = bearing_deg(lon0, lat0, lon[small], lat[small])
    expected, _, _ = np.histogram2d(arc, turn, bins=[edges[0], np.arange(0.0, 361.0, 5.0)])
    assert_array_equal(counts, expected.astype(np.int64))


def test_sites_are_counted_alike_in_any_number_of_threads() -> None:
    rng = np.random.default_rng(3)
    craters = SmallCraters(*WHOLE.draw(20_000, rng), np.full(20_000, 100.0))
    lon, lat = WHOLE.draw(150, rng)
    diameter = rng.uniform(3000.0, 20_000.0, 150)
    edges = FIELDS["far"].edges_deg(diameter, MARS_M)
    done: list[int] = []
    one = count_sites(craters, lon, lat, diameter, edges, threads=1, progress=done.append)
    two = count_sites(craters, lon, lat, diameter, edges, threads=2)
    assert_array_equal(one, two)
    assert sum(done) == 150


def test_lists_of_unlike_length_are_refused() -> None:
    with pytest.raises(InputError, match="differ in number"):
        SmallCraters([0.0, 1.0], [0.0, 1.0], [100.0])


def test_exposure_of_a_half_planet() -> None:
    """From the equator the northern half is imaged: azimuths 270 to 90, and not the rest."""
    north = Coverage.between_latitudes(0.0, 90.0, order=8)
    edges = FIELDS["near"].edges_deg(np.array([20_000.0]), MARS_M)[0]
    seen = exposure(north, 33.0, 0.0, edges)
    assert_allclose(seen[2:, :17], 1.0)
    assert_allclose(seen[2:, 19:53], 0.0)
    assert_allclose(seen[2:, 55:], 1.0)


def test_exposure_counts_area_evenly() -> None:
    """The mean over sectors of an annulus is the share of its area: a cap around the site."""
    order = 8
    from queries.coverage import cell_centres

    lon, lat = cell_centres(order, np.arange(cell_count(order)))
    edges = np.linspace(0.0, 60.0, 7)
    edges[0] = 5.0
    cap = Coverage.where(order, separation_deg(lon, lat, 10.0, 80.0) < 25.0)
    seen = exposure(cap, 10.0, 80.0, edges).mean(axis=1)
    cos = np.cos(np.radians([20.0, 25.0, 30.0]))
    assert_allclose(seen[[0, 1]], 1.0)
    assert_allclose(seen[2], (cos[0] - cos[1]) / (cos[0] - cos[2]), atol=0.09)
    assert_allclose(seen[3:], 0.0)


def test_contrast_by_hand() -> None:
    """Flat 3 a sector, a window of 12 + 12: k = 6, z = 18 / 3, clipped to 4."""
    counts = np.full((6, SECTORS), 3, np.int32)
    counts[2, 10], counts[2, 11] = 12, 12
    contrast = window_contrast(counts)
    assert contrast.count[2, 10] == 24
    assert contrast.expected[2, 10] == 6
    assert contrast.flank_weight[2, 10] == pytest.approx(1.0 / 3.0)
    assert contrast.z[2, 10] == 4.0
    assert contrast.z[0, 10] == 0.0
    assert contrast.z[2, 9] == pytest.approx((15 - 6) / 3)
    # Window 16 has the sectors 10 and 11 in its flank: it expects 36 / 3 and sees 6.
    assert contrast.z[2, 16] == pytest.approx((6 - 12) / np.sqrt(12 * 4 / 3 + 1))
    t, window = ray_statistic(counts[None])
    assert window[0] == 10
    assert t[0] == pytest.approx(4.0 / np.sqrt(6.0))


def test_flanks_are_20_25_and_30_degrees_away() -> None:
    counts = np.zeros((6, SECTORS), np.int32)
    counts[0, 0] = 1
    flanked = np.flatnonzero(window_contrast(counts).flank_count[0])
    # The window w, w + 1 has the flanks 4, 5, 6 sectors before w and after w + 1.
    assert_array_equal(flanked, [4, 5, 6, 65, 66, 67])


def test_dispersion_lowers_z_as_the_formula_says() -> None:
    counts = np.full((6, SECTORS), 30, np.int32)
    counts[:, 5:7] = 40
    bare, scattered = window_contrast(counts), window_contrast(counts, None, np.full(6, 0.5))
    k, h = 60.0, 80.0
    assert bare.z[0, 5] == pytest.approx((h - k) / np.sqrt(k * 4 / 3 + 1))
    assert scattered.z[0, 5] == pytest.approx((h - k) / np.sqrt(k * 4 / 3 + 900 + 1))


def test_dispersion_of_even_ground_is_none_and_of_patchy_ground_is_some() -> None:
    rng = np.random.default_rng(1)
    even = rng.poisson(50.0, (400, 6, SECTORS)).astype(np.int32)
    assert (measure_dispersion(even) < 0.05).all()
    # Each sector has its own density with a scatter of 0.3: a window of two against six flanks
    # scatters by 0.3 sqrt(1/2 + 1/6) = 0.245.
    own = rng.gamma(1.0 / 0.09, 0.09, (2000, 6, SECTORS))
    patchy = rng.poisson(200.0 * own).astype(np.int32)
    assert_allclose(measure_dispersion(patchy), 0.245, rtol=0.1)


def test_missing_ground_is_scaled_not_counted_as_empty() -> None:
    counts = np.full((6, SECTORS), 40, np.int32)
    seen = np.ones((6, SECTORS), np.float32)
    counts[:, 20:24], seen[:, 20:24] = 20, 0.5
    contrast = window_contrast(counts, seen)
    assert_allclose(contrast.z, 0.0, atol=1e-9)
    counts[:, 40:60], seen[:, 40:60] = 0, 0.0
    contrast = window_contrast(counts, seen)
    assert_allclose(contrast.z, 0.0, atol=1e-9)
    assert not contrast.known[:, 45].any()


def test_a_planted_ray_has_the_highest_contrast() -> None:
    rng = np.random.default_rng(2)
    lon, lat = WHOLE.draw(100_000, rng)
    edges = FIELDS["near"].edges_deg(np.array([20_000.0]), MARS_M)
    ray = plant_rays(
        170.0,
        -70.0,
        np.array([137.0]),
        rng,
        width_deg=6.0,
        inner_deg=float(edges[0, 0]),
        outer_deg=float(edges[0, -1]),
        excess_per_sr=2.0 * 100_000 / (4.0 * np.pi),
    )
    x, y = np.append(lon, ray.lon_deg), np.append(lat, ray.lat_deg)
    counts = SmallCraters(x, y, np.full(len(x), 100.0)).count(170.0, -70.0, edges[0], 1000.0)
    along = profile(window_contrast(counts.astype(np.int32)))
    assert abs((along.argmax() + 1) * 5.0 - 137.0) <= 5.0


def test_patchy_ground_has_the_asked_scatter() -> None:
    fields = [np.log(patchy_density(4, 0.3, 4.0, np.random.default_rng(k))) for k in range(4)]
    assert_allclose(np.std(fields), 0.3, rtol=0.05)
    assert_allclose(np.mean(fields), -0.045, atol=0.02)
