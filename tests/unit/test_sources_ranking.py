"""Evidence, ranking, tables and layers of the ejection sites."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from numpy.testing import assert_allclose
from rasterio.transform import from_origin
from shapely.geometry import box

from cda_db.bodies import get_body
from cda_db.errors import InputError, NotFoundError
from queries.ages.systems import get_system
from queries.coverage import Coverage
from queries.rays.counts import SmallCraters
from queries.sources import layers
from queries.sources.candidates import (
    Candidates,
    Composition,
    EjectaCount,
    FormationAge,
    weigh,
)
from queries.sources.ejecta import ejecta_counts
from queries.sources.evidence import (
    ground_log_ratio,
    value_log_ratio,
)
from queries.sources.groups import get_group, meteorite_groups, rayed_craters
from queries.sources.ranking import NAMES, known, rank
from queries.sources.report import source_report, write_sources
from queries.sphere import cap_area_sr

MARS = get_body("mars")
GROUP = get_group("depleted-shergottites")


def test_the_shipped_tables_are_whole() -> None:
    groups = meteorite_groups()
    assert len({group.name for group in groups}) == len(groups) == 8
    for group in groups:
        assert 0.0 < group.ejection_ma[0] <= group.ejection_ma[1] < 20.0
        assert group.ejection_reference
    assert get_group("alh-84001").crystallisation_ma is None
    tooting = next(c for c in rayed_craters("mars") if c.name == "Tooting")
    assert_allclose(tooting.lon_deg % 360.0, 207.76)
    assert rayed_craters("moon") == []


def test_unknown_groups_and_broken_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nakhlites"):
        get_group("eucrites")
    table = tmp_path / "own.csv"
    table.write_text("group,members\nx,y\n")
    with pytest.raises(InputError, match="ejection_low_ma"):
        meteorite_groups(table)


def test_ground_by_hand() -> None:
    """A fifth of the craters lie on such ground: 0.9 / 0.2 if this one does, 0.1 / 0.8 if not."""
    assert_allclose(ground_log_ratio((100, 400), (330, 475), 0.2), np.log(4.5))
    assert_allclose(ground_log_ratio((500, 900), (330, 475), 0.2), np.log(0.125))


def test_a_composition_that_all_craters_have_says_nothing() -> None:
    assert_allclose(value_log_ratio(18.0, 18.0, 1.0, np.full(50, 18.0)), 0.0, atol=1e-9)
    spread = np.linspace(0.0, 36.0, 200)
    assert value_log_ratio(18.0, 18.0, 1.0, spread) > 1.0
    assert value_log_ratio(30.0, 18.0, 1.0, spread) < 0.0


def _candidates(**more: object) -> Candidates:
    """Four craters: a perfect one, one too small, one old, one of which nothing is known."""
    ages: dict[int, EjectaCount | FormationAge] = {
        0: FormationAge(1.1, 0.9, 1.3),
        1: FormationAge(1.1, 0.9, 1.3),
        2: EjectaCount(5000, 2.0),
    }
    return Candidates(
        crater_id=np.array([10, 11, 12, 13]),
        lon_deg=np.array([-150.0, 10.0, 20.0, 170.0]),
        lat_deg=np.array([23.0, -5.0, 40.0, -60.0]),
        diameter_km=np.array([27.9, 2.0, 10.0, 8.0]),
        ray_p=np.array([1e-3, 1e-3, 0.6, np.nan]),
        ages=ages,
        **more,  # type: ignore[arg-type]
    )


def test_the_ranking_and_its_reasons() -> None:
    candidates = _candidates()
    rows = weigh(candidates, GROUP)
    assert len(rows) == 4 * len(NAMES)
    found = rank(rows, 4, np.linspace(0.0, 5.0, 99))
    assert found.order.tolist() == [0, 3, 2, 1]
    assert found.reported == 0
    assert found.chance == 0.01
    assert_allclose(found.posterior.sum() + found.posterior_none, 1.0)
    assert found.posterior[1] == 0.0
    by_name = {(row.crater, row.name): row for row in rows}
    assert by_name[1, "launch_size"].verdict == "fail"
    assert by_name[2, "formation_age"].verdict == "fail"
    assert by_name[0, "formation_age"].verdict == "pass"
    # A random crater of 1.1 Ma has rays too: with the age known they add nothing.
    assert by_name[0, "rays"].verdict == "neutral"
    unknown = by_name[3, "formation_age"]
    assert unknown.verdict == "unknown"
    assert unknown.log_ratio == 0.0
    assert unknown.lowest < 0.0 < unknown.highest
    assert "ejecta" in unknown.settles


def test_nothing_known_reports_nothing() -> None:
    """Every crater keeps its prior: 0.8 / n each, 0.2 for none of these."""
    n = 50
    blank = Candidates(np.arange(n), np.zeros(n), np.zeros(n), np.full(n, 5.0), np.full(n, np.nan))
    found = rank(weigh(blank, GROUP), n, np.zeros(99))
    assert found.reported is None
    assert found.chance == 1.0
    assert_allclose(found.posterior_none, 0.2)
    assert_allclose(found.posterior, 0.8 / n)


def test_a_report_needs_both_a_rare_first_and_a_clear_one() -> None:
    """One crater of ratio e^9 among 100: posterior 0.99; two of them: 0.5 less each."""
    alone = [known(i, "rays", 0.1, 9.0 if i == 0 else -1.0, "p", "given") for i in range(100)]
    rare, common = np.full(99, 3.0), np.repeat([3.0, 12.0], [93, 6])
    assert rank(alone, 100, rare).reported == 0
    assert rank(alone, 100, common).reported is None
    assert_allclose(rank(alone, 100, common).chance, 0.07)
    two = [known(i, "rays", 0.1, 9.0 if i < 2 else -1.0, "p", "given") for i in range(100)]
    assert rank(two, 100, rare).reported is None


def test_ground_and_composition_rows() -> None:
    candidates = _candidates(
        unit_low_ma=np.array([100.0, 3000.0, 3000.0, np.nan]),
        unit_high_ma=np.array([500.0, 4000.0, 4000.0, np.nan]),
        composition=np.array([18.0, 10.0, 12.0, np.nan]),
    )
    rows = {
        (row.crater, row.name): row for row in weigh(candidates, GROUP, Composition(18.0, 1.0, "%"))
    }
    assert_allclose(rows[0, "ground_age"].log_ratio, np.log(0.9 / (1.0 / 3.0)))
    assert_allclose(rows[2, "ground_age"].log_ratio, np.log(0.1 / (2.0 / 3.0)))
    assert rows[3, "ground_age"].verdict == "unknown"
    assert rows[3, "ground_age"].lowest == rows[2, "ground_age"].log_ratio
    assert rows[0, "composition"].log_ratio > 0.0 > rows[1, "composition"].log_ratio
    assert rows[3, "composition"].verdict == "unknown"


def test_the_geopackage_reads_back_on_mars(tmp_path: Path) -> None:
    report = source_report(_candidates(), GROUP, MARS, np.random.default_rng(1), simulations=99)
    assert report.figures()["chance_without_a_source"] == report.ranking.chance
    path = tmp_path / "sources.gpkg"
    write_sources(path, report)
    first = gpd.read_file(path, layer="candidates")
    assert first["crater_id"].tolist() == [10, 13, 12, 11]
    assert "Mars" in first.crs.name
    reasons = gpd.read_file(path, layer="constraints")
    assert len(reasons) == 20
    assert set(reasons["name"]) == set(NAMES)
    with pytest.raises(InputError, match="GeoPackage"):
        write_sources(tmp_path / "sources.csv", report)


def test_unit_maps_are_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "units.gpkg"
    units = gpd.GeoDataFrame(
        {"age_low_ma": [100.0, 3000.0], "age_high_ma": [500.0, 4000.0]},
        geometry=[box(-10, -10, 0, 10), box(0, -10, 10, 10)],
        crs=MARS.crs(),
    )
    units.to_file(path, driver="GPKG")
    low, high = layers.unit_ages(path, MARS, np.array([-5.0, 5.0, 50.0]), np.zeros(3))
    assert_allclose(low, [100.0, 3000.0, np.nan])
    assert_allclose(high, [500.0, 4000.0, np.nan])
    with pytest.raises(InputError):
        layers.unit_ages(path, get_body("moon"), np.zeros(1), np.zeros(1))


def test_rasters_are_sampled(tmp_path: Path) -> None:
    path = tmp_path / "iron.tif"
    profile = {
        "driver": "GTiff",
        "width": 4,
        "height": 2,
        "count": 1,
        "dtype": "float32",
        "crs": MARS.crs().to_wkt(),
        "transform": from_origin(-180.0, 90.0, 90.0, 90.0),
        "nodata": -1.0,
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.array([[[1, 2, 3, 4], [5, -1, 7, 8]]], np.float32))
    values = layers.raster_values(
        path, MARS, np.array([-135.0, -45.0, 135.0]), np.array([45.0, -45.0, -45.0])
    )
    assert_allclose(values, [1.0, np.nan, 8.0])


def test_given_ages_and_ray_tables(tmp_path: Path) -> None:
    ids = np.array([7, 8, 9])
    ages = tmp_path / "ages.csv"
    ages.write_text("crater_id,age_ma,age_low_ma,age_high_ma\n8,1.2,1.0,1.5\n99,1,1,1\n")
    assert layers.given_ages(ages, ids) == {1: FormationAge(1.2, 1.0, 1.5)}
    ages.write_text("crater_id,age_ma,age_low_ma,age_high_ma\n8,1.2,1.3,1.5\n")
    with pytest.raises(InputError, match="row 1"):
        layers.given_ages(ages, ids)
    rays = tmp_path / "rays.csv"
    rays.write_text("crater_id,p\n9,0.01\n7,0.5\n")
    assert_allclose(layers.ray_p_values(rays, ids), [0.5, np.nan, 0.01])


def test_ejecta_are_counted_without_the_interior() -> None:
    """Evenly spread craters: the count is the density times the area from 1 to 2.5 radii."""
    rng = np.random.default_rng(3)
    n = 400_000
    lon, lat = Coverage.whole().draw(n, rng)
    small = SmallCraters(lon, lat, np.full(n, 100.0))
    system = get_system("mars-hartmann-daubar-2016")
    diameter = np.array([200_000.0, 200_000.0])
    band = Coverage.between_latitudes(-90.0, 10.0, order=6)
    where = np.array([10.0, -120.0]), np.array([-40.0, 70.0])
    found = ejecta_counts(small, band, *where, diameter, MARS.radius_m, system, (0.05, 0.2))
    assert set(found) == {0}  # the other one's blanket was not imaged
    first = found[0]
    assert isinstance(first, EjectaCount)
    radius = np.degrees(100_000.0 / MARS.radius_m)
    area = float(cap_area_sr(2.5 * radius) - cap_area_sr(radius))
    expected = n * area / (4.0 * np.pi)
    assert abs(first.count - expected) < 5.0 * np.sqrt(expected)
    per_km2_ga = system.cumulative([0.05, 0.2], 0.001) * 1000.0
    km2 = area * (MARS.radius_m / 1000.0) ** 2
    assert_allclose(
        first.expected_per_ma, km2 * (per_km2_ga[0] - per_km2_ga[1]) / 1000.0, rtol=1e-3
    )
