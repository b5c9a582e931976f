"""The commands over a file, from end to end, without a database."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from queries.coverage import Coverage
from queries.random_populations import plant_clusters
from queries.ray_commands import rays
from queries.secondary_commands import randomness, secondaries
from queries.source_commands import meteorites, sources


@pytest.fixture(scope="module")
def crater_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 primaries and 6,000 small craters with four clusters, on a whole Mars."""
    rng = np.random.default_rng(0)
    whole = Coverage.whole()
    small = plant_clusters(*whole.draw(5800, rng), whole, rng, clusters=4, size=50, contrast=50.0)
    large = whole.draw(30, rng)
    lon = np.concatenate([large[0], small.lon_deg])
    lat = np.concatenate([large[1], small.lat_deg])
    km = np.concatenate([rng.uniform(5.0, 30.0, 30), np.full(6000, 0.1)])
    path = tmp_path_factory.mktemp("craters") / "mars.csv"
    np.savetxt(path, np.c_[lon, lat, km], delimiter=",", header="lon,lat,diameter_km", comments="")
    return path


def _run(command: object, *words: str) -> Result:
    result = CliRunner().invoke(command, list(words), catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result


def _file(path: Path) -> list[str]:
    return ["--craters", str(path), "--body", "mars", "--imaged", "whole"]


def test_secondaries_of_a_file(crater_file: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "flags.gpkg", tmp_path / "flags.png"
    words = [*_file(crater_file), "--range", "0.05,1", "--out", str(out), "--plot", str(plot)]
    figures = json.loads(_run(secondaries, *words, "--format", "json").stdout)
    assert figures["craters"] == 6000
    assert 100 <= figures["clustered"] <= 300
    assert "not secondary" in figures["meaning"]
    flags = gpd.read_file(out, layer="clustered")
    assert int(flags["clustered"].sum()) == figures["clustered"]
    assert "Mars" in flags.crs.name
    assert plot.stat().st_size > 10_000


def test_the_older_rule_stands_beside_it(crater_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "flags.csv"
    words = [*_file(crater_file), "--range", "0.05,1", "--circle", "0,0,800", "--asci"]
    figures = json.loads(_run(secondaries, *words, "--out", str(out), "--format", "json").stdout)
    flags = pd.read_csv(out)
    assert len(flags) == figures["craters"] > 50
    assert int(flags["asci"].sum()) == figures["asci_flagged"]


def test_randomness_of_a_region(crater_file: Path) -> None:
    words = [*_file(crater_file), "--range", "0.05,1", "--circle", "0,0,3000"]
    rows = json.loads(_run(randomness, *words, "--simulations", "19", "--format", "json").stdout)
    assert [row["measure"] for row in rows] == ["m2cnd_deg", "sdaa_sr"]
    # A cap of 3,000 km holds 18 % of Mars.
    assert 900 < rows[0]["craters"] < 1300


def test_rays_and_sources_of_a_file(crater_file: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "rays.gpkg", tmp_path / "rays.png"
    words = [*_file(crater_file), "--small", "0.05,1", "--controls", "600"]
    found = json.loads(
        _run(rays, *words, "--out", str(out), "--plot", str(plot), "--format", "json").stdout
    )
    assert found["primaries"] == 30
    assert len(found["first"]) == 10
    assert len(gpd.read_file(out, layer="primaries")) == 30
    clusters = gpd.read_file(out, layer="clusters")
    assert clusters["members"].sum() >= 100  # of the 200 planted
    assert "Mars" in clusters.crs.name
    assert plot.stat().st_size > 10_000
    page, table = tmp_path / "page.png", tmp_path / "sources.gpkg"
    words = [
        *_file(crater_file), "--meteorite", "nakhlites", "--rays", str(out), "--ejecta",
        "0.05,0.2", "--system", "mars-hartmann-daubar-2016", "--plot", str(page), "--out",
        str(table),
    ]  # fmt: skip
    ranked = json.loads(_run(sources, *words, "--format", "json").stdout)
    assert ranked["candidates"] == 30
    assert len(ranked["constraints"]) == 50
    verdicts = {row["name"]: row["verdict"] for row in ranked["constraints"]}
    assert verdicts["ground_age"] == verdicts["composition"] == "unknown"
    assert verdicts["rays"] != "unknown"
    assert page.stat().st_size > 10_000
    text = _run(sources, *words).stdout
    assert "would settle it" in text


def test_meteorites_are_listed() -> None:
    rows = json.loads(_run(meteorites, "--format", "json").stdout)
    assert any(row["group"] == "black-beauty" for row in rows)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ([], "--run or --craters"),
        (["--craters", "FILE"], "--body"),
        (["--craters", "FILE", "--body", "mars", "--imaged", "north"], "S,N"),
        (["--craters", "FILE", "--body", "mars", "--imaged", "whole", "--range", "5"], "0.05,0.5"),
    ],
)
def test_nothing_is_guessed(crater_file: Path, words: list[str], remedy: str) -> None:
    from cda_db.errors import InputError

    given = [str(crater_file) if word == "FILE" else word for word in words]
    given += [] if "--range" in given else ["--range", "0.1,1"]
    with pytest.raises(InputError, match=remedy):
        CliRunner().invoke(secondaries, given, catch_exceptions=False)


@pytest.mark.parametrize("command", [secondaries, randomness, rays, sources, meteorites])
def test_every_help_has_an_example(command: object) -> None:
    assert "cda query" in _run(command, "--help").stdout
