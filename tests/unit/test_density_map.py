"""Density maps against brute force and hand calculation: sums, areas, poles, +-180, smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import hpgeom
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from scipy import stats

from cda_db.bodies import get_body
from cda_db.errors import InputError
from queries import moc
from queries.density.bins import root2_bin, root2_bins, user_bins
from queries.density.healpix_map import ArraySource, DensityMap, density_map
from queries.density.smoothing import ratio_map, smooth
from queries.polygons import PlanePolygon
from queries.regions import Box, Circle, Region

MARS = get_body("mars")
EVERYWHERE = (0, np.array([[0, 12]], dtype=np.int64))


def craters(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power-law craters over the sphere, crowded at both poles and at +-180."""
    rng = np.random.default_rng(seed)
    lon = rng.uniform(-180, 180, n)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    lon[: n // 5] = np.mod(180 + rng.normal(0, 2, n // 5) + 180, 360) - 180
    lat[n // 5 : 2 * n // 5] = 90 - np.abs(rng.normal(0, 3, n // 5))
    lat[2 * n // 5 : 3 * n // 5] = -90 + np.abs(rng.normal(0, 3, n // 5))
    return lon, lat, 1000 * (1 - rng.uniform(0, 1, n)) ** (-1 / 2)


def source(imaged: tuple[int, moc.Ints] = EVERYWHERE, n: int = 30_000) -> ArraySource:
    return ArraySource(MARS, *craters(n), imaged)


REGIONS: list[Region | None] = [
    None,
    Circle(MARS, 180, 10, 900),
    Box(MARS, 170, -30, -160, 30),
    Circle(MARS, 0, 90, 1200),
    PlanePolygon(MARS, shapely.Point(1e5, 0).buffer(1.2e6), MARS.crs("south_polar")),
]


@pytest.mark.parametrize("region", REGIONS)
def test_sum_over_cells_equals_the_catalogue_in_every_bin(region: Region | None) -> None:
    """Also where half of the ground is not imaged: the catalogue's count is not lost there."""
    ranges = np.array([[0, 6 * 4**5]], dtype=np.int64)
    crater = source((5, ranges))
    bins = root2_bins(0, 12)
    made = density_map(crater, bins, order=4, region=region)
    inside = np.ones(len(crater.lon_deg), dtype=bool)
    if region is not None:
        inside = region.contains(crater.lon_deg, crater.lat_deg)
    k = root2_bin(crater.diameter_m[inside])
    np.testing.assert_array_equal(made.count.sum(axis=1), [(k == b).sum() for b in range(13)])


@pytest.mark.parametrize("place", [(10.0, 89.9), (-100.0, -89.95), (180.0, 1.0), (-180.0, 40.0)])
def test_a_pole_cell_and_a_seam_cell_equal_brute_force(place: tuple[float, float]) -> None:
    """Membership by the cell's own outline on the sphere, not by the library's index."""
    crater = source()
    order = 3
    made = density_map(crater, root2_bins(0, 0), order)
    cell = int(moc.cells_of_points(*place, order))
    lon, lat = hpgeom.boundaries(2**order, cell, step=64)
    # Azimuthal plane about the cell's centre: the outline is an ordinary polygon there.
    lon_0, lat_0 = (float(x) for x in moc.cell_centres(cell, order))
    plane = pyproj.Proj(f"+proj=laea +lon_0={lon_0} +lat_0={lat_0} +R={MARS.radius_m}")
    outline = shapely.Polygon(np.stack(plane(lon, lat), axis=1))
    small = (crater.diameter_m >= 1000) & (crater.diameter_m < 1000 * np.sqrt(2))
    brute = shapely.contains_xy(outline, *plane(crater.lon_deg[small], crater.lat_deg[small]))
    assert brute.sum() > 3
    assert made.count[0, made.cell == cell] == brute.sum()
    assert made.area_km2[0, made.cell == cell] == pytest.approx(MARS.area_km2 / 768)
    assert outline.area / 1e6 == pytest.approx(MARS.area_km2 / 768, rel=1e-3)


@dataclass(frozen=True)
class TwoResolutions(ArraySource):
    """Two overlapping scenes: a fine one that shows bins 0-3, a coarse one that shows 2-5."""

    def coverage(self, root2: int) -> tuple[int, moc.Ints]:
        fine, coarse = np.array([[0, 600]]), np.array([[400, 1500]])
        seen = [r for r, ks in ((fine, range(4)), (coarse, range(2, 6))) if root2 in ks]
        return 8, moc.merge(np.concatenate(seen)) if seen else moc.EMPTY


def test_imaged_area_of_overlapping_scenes_of_unlike_resolution() -> None:
    """By hand: bins 0, 1 see 600 cells; 2, 3 the union 1,500; 4, 5 see 1,100; 6 nothing."""
    crater = TwoResolutions(MARS, *craters(1000), (0, moc.EMPTY))
    made = density_map(crater, root2_bins(0, 6), order=6)
    cells = [600, 600, 1500, 1500, 1100, 1100, 0]
    np.testing.assert_allclose(
        made.area_km2.sum(axis=1), np.array(cells) * MARS.area_km2 / (12 * 4**8)
    )
    assert np.isnan(made.interval()[0][6]).all()


def test_a_wide_bin_counts_only_ground_where_all_its_sizes_were_seen() -> None:
    """One user bin over bins 1-4: both scenes saw all of it only in their overlap, 200 cells."""
    rng = np.random.default_rng(4)
    cell = rng.integers(0, 1500, 4000)
    lon, lat = moc.cell_centres(cell, 8)
    diameter = 1000 * np.exp2(rng.uniform(0.5, 2.5, 4000))
    crater = TwoResolutions(MARS, lon, lat, diameter, (0, moc.EMPTY))
    made = density_map(crater, user_bins([2**0.5, 2**2.5]), order=6)
    assert made.area_km2.sum() == pytest.approx(200 * MARS.area_km2 / (12 * 4**8))
    assert made.count.sum() == 4000
    k = root2_bin(diameter)
    # Outside the overlap a crater is left out if its own size was seen there.
    fine_only, coarse_only = cell < 400, cell >= 600
    left = (fine_only & (k <= 3)) | (coarse_only & (k >= 2))
    assert made.left_out.sum() == left.sum()


def test_rollup_and_points_agree() -> None:
    crater = source()

    class RolledUp(ArraySource):
        def craters(
            self, box: object, min_diameter_m: float, max_diameter_m: float
        ) -> pd.DataFrame:
            raise AssertionError("an aligned bin without a region is counted from the roll-up")

        def rollup(self, order: int) -> pd.DataFrame:
            keys = {
                "bin": root2_bin(self.diameter_m),
                "cell": moc.cells_of_points(self.lon_deg, self.lat_deg, order),
            }
            return pd.DataFrame(keys).value_counts().rename("n").reset_index()

    rolled = RolledUp(MARS, crater.lon_deg, crater.lat_deg, crater.diameter_m, EVERYWHERE)
    for bins in (root2_bins(0, 8), user_bins([1, 2, 8])):
        a, b = density_map(crater, bins, 4), density_map(rolled, bins, 4)
        np.testing.assert_array_equal(a.cell, b.cell)
        np.testing.assert_array_equal(a.count, b.count)


def test_smoothing_equals_brute_force_and_sums() -> None:
    ranges = np.array([[100, 2000], [2500, 3072]], dtype=np.int64)
    made = density_map(source((4, ranges)), user_bins([1, 2, 4]), order=4)
    smoothed = smooth(made, 700)
    lon, lat = made.centres()
    geod = MARS.geod()
    for i in [0, 17, len(lon) // 2, len(lon) - 1]:
        n = len(lon)
        _, _, metres = geod.inv(np.full(n, lon[i]), np.full(n, lat[i]), lon, lat)
        near = metres <= 700_000
        if made.area_km2[0, i] == 0:
            assert smoothed.area_km2[0, i] == 0
            continue
        np.testing.assert_array_equal(smoothed.used[:, i], made.used[:, near].sum(axis=1))
        np.testing.assert_allclose(smoothed.area_km2[:, i], made.area_km2[:, near].sum(axis=1))
    with pytest.raises(InputError):
        smooth(smoothed, 100)


def test_ratio_by_hand() -> None:
    """6 small on 2 km2 against 3 large on 4 km2: 4; its bounds from the binomial law."""
    made = DensityMap(
        MARS,
        0,
        user_bins([1, 2, 4]),
        np.arange(4),
        np.array([[6, 0, 2, 1], [3, 0, 0, 1]]),
        np.zeros((2, 4), np.int64),
        np.array([[2.0, 1.0, 1.0, 0.0], [4.0, 1.0, 1.0, 1.0]]),
    )
    ratio, low, high = ratio_map(made, 0, 1)
    assert ratio[0] == 4
    share_low, share_high = (bound * 2 / (bound * 2 + 4) for bound in (low[0], high[0]))
    assert stats.binom.sf(5, 9, share_low) == pytest.approx(0.025)
    assert stats.binom.cdf(6, 9, share_high) == pytest.approx(0.025)
    assert np.isnan(ratio[1]) and low[1] == 0 and np.isinf(high[1])
    assert np.isinf(ratio[2])
    assert np.isnan([ratio[3], low[3], high[3]]).all()


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="Order"):
        density_map(source(n=10), root2_bins(0, 1), 13)
    with pytest.raises(InputError, match="moon"):
        density_map(source(n=10), root2_bins(0, 1), 3, Circle(get_body("moon"), 0, 0, 9))
