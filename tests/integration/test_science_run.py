"""Secondaries, rays and sources of a run: craters and imaged ground from a real server."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from conftest import run_cda
from rows import LEVEL, Detections, scene, store

from cda_db.bodies import get_body
from cda_db.connection import connect
from cda_db.models import register_model
from cda_db.runs import RunConfig, add_scenes, create_run
from cda_db.scenes import register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress
from queries.coverage import Coverage
from queries.random_populations import plant_clusters

MARS = get_body("mars")
ORDER = 6
# At 100 m/px a level of 6 to 92 px sees 0.6 to 9.2 km, here on the northern three quarters.
IMAGED = Coverage.from_ranges(ORDER, [[0, 36_864]], at_order=ORDER)


@pytest.fixture(scope="module")
def target(module_database: Target) -> Target:
    """A run with 40 primaries and 3,000 small craters, two clusters of 40 among them."""
    rng = np.random.default_rng(0)
    small = plant_clusters(*IMAGED.draw(2920, rng), IMAGED, rng, clusters=2, size=40, contrast=40.0)
    large = IMAGED.draw(40, rng)
    lon, lat = np.append(large[0], small.lon_deg), np.append(large[1], small.lat_deg)
    diameter = np.append(rng.uniform(4000.0, 8000.0, 40), np.full(3000, 800.0))
    score = rng.uniform(0.5, 1.0, 3040).astype(np.float32)
    found = Detections(lon, lat, diameter.astype(np.float32), score, np.zeros(3040, np.int64))
    with connect(module_database) as conn:
        model = register_model(conn, "m", bytes(32), {"architecture": "n", "diameter_factor": 1.0})
        run = create_run(conn, "s", MARS, model, RunConfig(416, (LEVEL,), score_threshold=0.0))
        seen = scene("a", coverage_order=ORDER, coverage=np.array([[0, 36_864]]))
        add_scenes(conn, run, [register_scene(conn, seen)[0]])
        conn.commit()
        store(conn, run, found)
    suppress(module_database, run)
    return module_database


def test_secondaries_of_a_run(target: Target, tmp_path: Path) -> None:
    out = tmp_path / "flags.parquet"
    words = ["--run", "s", "--range", "0.71,1", "--out", out, "--format", "json"]
    result = run_cda(target, "query", "secondaries", *words)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["craters"] == 3000
    assert figures["area_km2"] == pytest.approx(0.75 * MARS.area_km2)
    assert 40 <= figures["clustered"] <= 110
    flags = gpd.read_parquet(out)
    assert int(flags["clustered"].sum()) == figures["clustered"]


def test_sizes_that_were_not_imaged_are_refused(target: Target) -> None:
    result = run_cda(target, "query", "secondaries", "--run", "s", "--range", "0.4,1")
    assert result.exit_code == 2
    assert "Nothing is imaged" in result.stderr


def test_rays_and_sources_of_a_run(target: Target, tmp_path: Path) -> None:
    out = tmp_path / "rays.gpkg"
    result = run_cda(
        target, "query", "rays", "--run", "s", "--small", "0.71,1", "--primaries", "3,9",
        "--controls", 600, "--out", out, "--format", "json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["primaries"] == 40
    result = run_cda(
        target, "query", "sources", "--run", "s", "--meteorite", "nakhlites", "--primaries", "3,9",
        "--rays", out, "--ejecta", "0.71,1", "--system", "mars-hartmann-daubar-2016",
        "--format", "json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["candidates"] == 40
    assert found["reported_crater"] is None or found["posterior_none"] < 0.5
