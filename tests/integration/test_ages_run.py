"""Ages of a run's craters: imaged area by size, count files, commands, on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
from click.testing import Result
from conftest import run_cda
from rows import LEVEL, Detections, scene, store
from shapely import LineString

from cda_db.bodies import get_body
from cda_db.connection import connect
from cda_db.errors import InputError
from cda_db.models import register_model
from cda_db.runs import Run, RunConfig, add_scenes, create_run, get_run
from cda_db.scenes import register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress
from queries import moc
from queries.ages.buffered import make_feature
from queries.ages.buffered_run import buffered_run_counts
from queries.ages.counts_io import read_counts
from queries.ages.of_run import run_counts
from queries.ages.poisson import poisson_age
from queries.ages.systems import get_system
from queries.regions import Circle
from queries.session import reading

MARS = get_body("mars")
SYSTEM = get_system("mars-neukum-ivanov-2001")
ORDER = 8
CELL_KM2 = MARS.area_km2 / (12 * 4**ORDER)
# Cells 0..599 seen at 100 m/px (0.6-9.2 km), cells 400..1499 at 400 m/px (2.4-36.8 km).
FINE, COARSE = (0, 600), (400, 1500)
AGE_GA = 1.0


def planted() -> Detections:
    """Craters of a 1 Ga surface: 1-3 km on the fine cells, 3-9 km on all, on a lattice."""
    rng = np.random.default_rng(4)
    n1 = float(SYSTEM.chronology.density(AGE_GA))
    parts = []
    for (low, high), cells in (((1, 2**1.5), FINE), ((2**1.5, 9), (0, COARSE[1]))):
        area = (cells[1] - cells[0]) * CELL_KM2
        grid = np.geomspace(low, high, 2001)
        expected = area * n1 * SYSTEM.production.between(grid, np.full(2001, high))
        d = np.interp(-np.arange(0.5, expected[0]), -expected, grid)
        lon, lat = moc.cell_centres(rng.permutation(np.arange(*cells))[: len(d)], ORDER)
        assert len(lon) == len(d)  # one a cell: no two overlap
        parts.append((lon, lat, d * 1000))
    lon, lat, d = (np.concatenate(column) for column in zip(*parts, strict=True))
    score = rng.uniform(0.5, 1, len(d)).astype(np.float32)
    return Detections(lon, lat, d.astype(np.float32), score, np.zeros(len(d), np.int64))


@pytest.fixture(scope="module")
def target(module_database: Target) -> Target:
    """A database with run ``dated``: two overlapping scenes of unlike resolution."""
    with connect(module_database) as conn:
        model = register_model(conn, "m", bytes(32), {"architecture": "n", "diameter_factor": 1.0})
        config = RunConfig(416, (LEVEL,), score_threshold=0.0)
        run = create_run(conn, "dated", MARS, model, config)
        scenes = (
            scene("a-fine", coverage_order=ORDER, coverage=np.array([FINE])),
            scene("b-coarse", pixel_scale_m=400.0, coverage_order=ORDER,
                  coverage=np.array([COARSE])),
        )  # fmt: skip
        add_scenes(conn, run, [register_scene(conn, s)[0] for s in scenes])
        conn.commit()
        store(conn, run, planted())
    suppress(module_database, run)
    return module_database


@pytest.fixture
def cda(target: Target) -> Callable[..., Result]:
    """Run ``cda WORDS...`` on the module's database."""
    return lambda *words: run_cda(target, *words)


def dated(target: Target) -> Run:
    with reading(target) as conn:
        return get_run(conn, "dated")


def test_imaged_area_by_size_is_the_union(target: Target) -> None:
    with reading(target) as conn:
        found = run_counts(conn, get_run(conn, "dated"), (1, 8))
    # Root-2 bins from 1, 1.41, 2, 2.83, 4, 5.66 km: the fourth and up are in both windows.
    cells = np.array([600, 600, 600, 1500, 1500, 1500])
    assert found.exposure.edges_km == pytest.approx(2 ** (np.arange(7) / 2))
    assert found.exposure.areas_km2 == pytest.approx(cells * CELL_KM2)
    with pytest.raises(InputError, match="changes with diameter"):
        _ = found.area_km2


def test_each_size_counts_on_its_own_ground(target: Target) -> None:
    with reading(target) as conn:
        found = run_counts(conn, get_run(conn, "dated"), (1, 8))
    age = poisson_age(found.diameters_km, found.exposure, SYSTEM, (1, 8))
    # Some 60 craters without noise: the median of n + 1 events lies 2/3 of a crater high.
    assert age.age_ga.value == pytest.approx(AGE_GA, rel=0.03)
    assert 40 < age.n < 80
    # All ground for all sizes would make the same craters look younger.
    wrong = poisson_age(found.diameters_km, 1500 * CELL_KM2, SYSTEM, (1, 8))
    assert wrong.age_ga.value < 0.7


def test_age_command_on_a_run(cda: Callable[..., Result], tmp_path: Path) -> None:
    words = ("query", "age", "--run", "dated", "--system", "ni2001", "--format", "json")
    result = cda(*words, "--range", "1,8")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["age_ga"] == pytest.approx(AGE_GA, rel=0.03)
    result = cda(*words, "--range", "3,8", "--method", "cumulative", "--plot", tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["area_km2"] == pytest.approx(1500 * CELL_KM2)
    assert (tmp_path / "a.png").stat().st_size > 10_000
    refused = cda(*words, "--range", "1,8", "--method", "cumulative")
    assert refused.exit_code == 2 and "--method poisson" in refused.stderr
    other = cda("query", "age", "--run", "dated", "--system", "n83", "--range", "1,8")
    assert other.exit_code == 2 and "mars" in other.stderr


def test_count_file_of_a_region(target: Target, cda: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "unit.scc"
    result = cda("query", "counts", "--run", "dated", "--circle", "45,12,300", "--range", "3,8",
                 "--out", out, "--format", "json")  # fmt: skip
    assert result.exit_code == 0, result.output
    counts = read_counts(out)
    figures = json.loads(result.stdout)
    assert figures["craters"] == len(counts.diameters_km)
    assert figures["area_km2"] == pytest.approx(counts.area_km2)
    with reading(target) as conn:
        run = get_run(conn, "dated")
        found = run_counts(conn, run, (3, 8), Circle(run.body, 45, 12, 300))
    assert len(counts.diameters_km) == len(found.craters) > 0
    assert counts.radius_km == pytest.approx(3396.19)
    assert counts.area_km2 == pytest.approx(float(found.exposure.areas_km2[0]))
    ring = counts.rings[0]
    distance_m = MARS.geod().inv(
        ring.lon_deg, ring.lat_deg, np.full(len(ring.lon_deg), 45.0),
        np.full(len(ring.lon_deg), 12.0),
    )[2]  # fmt: skip
    assert np.asarray(distance_m) == pytest.approx(300_000, rel=1e-3)


def test_buffered_count_of_a_line(cda: Callable[..., Result], tmp_path: Path) -> None:
    lat = np.arange(1.0, 8.0, 0.5)
    line = LineString(np.stack([np.full(len(lat), 45.0), lat], axis=1))
    path = tmp_path / "line.gpkg"
    geopandas.GeoDataFrame(geometry=[line], crs=MARS.crs()).to_file(path, engine="pyogrio")
    words = ("query", "age", "--run", "dated", "--system", "ni2001", "--region", path)
    result = cda(*words, "--buffered", "--reach", "20", "--range", "1,8", "--format", "json")
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)[0]
    # Great-circle distance to the meridian 45 E between its ends, on the stored diameters.
    found = planted()
    nearest = np.clip(found.lat, lat[0], lat[-1])
    n = len(found.lat)
    distance = MARS.geod().inv(found.lon, found.lat, np.full(n, 45.0), nearest)[2]
    sized = (found.diameter_m >= 1000) & (found.diameter_m < 8000)
    assert row["n"] == np.sum(sized & (np.asarray(distance) <= 20 * found.diameter_m)) > 3
    # A strip of 20 D on either side and its ends, for the smallest and the largest D.
    length_km = float(lat[-1] - lat[0]) * np.pi / 180 * 3396.19
    low, high = (40 * d * length_km + np.pi * (20 * d) ** 2 for d in (1, 8))
    assert 0.9 * low < row["area_km2"] < high
    refused = cda(*words, "--buffered", "--range", "3,8", "--method", "cumulative")
    assert refused.exit_code == 2 and "poisson" in refused.stderr


def test_buffer_beyond_the_images_does_not_count(target: Target) -> None:
    # The middle of the southern hemisphere was never imaged.
    feature = make_feature(LineString([(45, -40), (45, -38)]), MARS)
    with reading(target) as conn:
        d, exposure = buffered_run_counts(conn, get_run(conn, "dated"), feature, (3, 8))
    assert len(d) == 0 and np.all(exposure.areas_km2 == 0)
    with pytest.raises(InputError, match="No ground"):
        poisson_age(d, exposure, SYSTEM, (3, 8))
