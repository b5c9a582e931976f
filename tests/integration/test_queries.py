"""Queries on a real server: counts and areas against brute force, exports, provenance, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from click.testing import Result
from conftest import run_cda
from PIL import Image
from rows import LEVEL, Detections, scene, store

from cda_db import catalogue, rollup
from cda_db.bodies import get_body
from cda_db.connection import Connection, connect
from cda_db.models import register_model
from cda_db.runs import Run, RunConfig, add_scenes, create_run, get_run
from cda_db.scenes import register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress
from queries import moc
from queries.density.bins import root2_bins, user_bins
from queries.density.healpix_map import density_map
from queries.density.of_run import RunSource, density_of_run
from queries.polygons import PlanePolygon
from queries.regions import Box, Circle, Region
from queries.session import reading

MARS = get_body("mars")
ORDER = 8
# Cells 0..599 seen at 100 m/px (0.6-9.2 km), cells 400..1499 at 400 m/px (2.4-36.8 km).
FINE, COARSE = (0, 600), (400, 1500)


def make_scene_file(path: Path) -> None:
    """A real picture of 416 x 416 px, grey ramps with a dark disc and a strip without data."""
    rows, cols = np.mgrid[0:416, 0:416]
    pixels = (cols / 2 + 20).astype(np.uint8)
    pixels[np.hypot(rows - 100, cols - 300) < 40] = 5
    pixels[400:] = 0
    with rasterio.open(
        path, "w", driver="GTiff", width=416, height=416, count=1, dtype="uint8", nodata=0,
        crs=MARS.crs("equirectangular").to_wkt(), transform=rasterio.Affine(100, 0, 0, 0, -100, 0),
    ) as file:  # fmt: skip
        file.write(pixels, 1)


def a_population(n: int = 6000) -> Detections:
    """Detections on cells 0..1499, at both poles and on +-180; some clustered, some alike."""
    rng = np.random.default_rng(12)
    lon, lat = moc.cell_centres(rng.integers(0, 1500, n), ORDER)
    lon[:500], lat[:500] = rng.uniform(-180, 180, 500), 90 - np.abs(rng.normal(0, 2, 500))
    lon[500:900], lat[500:900] = 180 - np.abs(rng.normal(0, 1, 400)), rng.uniform(-60, 60, 400)
    lon[900:1300], lat[900:1300] = -180 + np.abs(rng.normal(0, 1, 400)), rng.uniform(-60, 60, 400)
    lon += rng.normal(0, 0.05, n)
    lon = np.mod(lon + 180, 360) - 180
    diameter = (1000 * (1 - rng.uniform(0, 1, n)) ** -0.5).clip(500, 60_000).astype(np.float32)
    return Detections(
        lon, lat, diameter, rng.uniform(0.2, 1, n).astype(np.float32), rng.integers(0, 2, n)
    )


@pytest.fixture(scope="module")
def target(module_database: Target, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A database with run ``q``: two overlapping scenes of unlike resolution, suppressed."""
    path = tmp_path_factory.mktemp("scene") / "fine.tif"
    make_scene_file(path)
    with connect(module_database) as conn:
        model = register_model(conn, "m", bytes(32), {"architecture": "n", "diameter_factor": 1.0})
        run = create_run(conn, "q", MARS, model, RunConfig(416, (LEVEL,), score_threshold=0.0))
        crs = MARS.crs("equirectangular").to_wkt()
        fine = scene(
            "a-fine", path=str(path), coverage_order=ORDER, coverage=np.array([FINE]),
            radiometry={"stretch": "linear", "limits": [[1.0, 0.0, 255.0]]}, source_crs_wkt=crs,
        )  # fmt: skip
        coarse = scene(
            "b-coarse", pixel_scale_m=400.0, coverage_order=ORDER, coverage=np.array([COARSE])
        )
        add_scenes(conn, run, [register_scene(conn, s)[0] for s in (fine, coarse)])
        conn.commit()
        store(conn, run, a_population())
    suppress(module_database, run)
    return module_database


@pytest.fixture
def conn(target: Target) -> Iterator[Connection]:
    """A connection of the kind that commands open."""
    with reading(target) as connection:
        yield connection


@pytest.fixture
def run(conn: Connection) -> Run:
    """The run ``q``."""
    return get_run(conn, "q")


@pytest.fixture
def cda(target: Target) -> Callable[..., Result]:
    """Run ``cda WORDS...`` on the module's database."""
    return lambda *words: run_cda(target, *words)


REGIONS: list[Region | None] = [
    None,
    Circle(MARS, 180, 10, 900),
    Circle(MARS, 20, 90, 500),
    Box(MARS, 175, -30, -176, 30),
    Box(MARS, 43, 1, 47, 5),
    PlanePolygon(MARS, shapely.Point(1e5, 0).buffer(3e5), MARS.crs("north_polar")),
    PlanePolygon(MARS, shapely.Polygon([(176, -9), (189, 0), (184, 30)]), MARS.crs()),
]


class FromPoints(RunSource):
    """The run read as if nobody had made its roll-up."""

    def rollup(self, order: int) -> pd.DataFrame | None:
        return None


@pytest.mark.parametrize("rolled", [False, True])
def test_sum_over_cells_equals_the_catalogue(target: Target, rolled: bool) -> None:
    with connect(target) as conn:
        run = get_run(conn, "q")
        if rolled:
            rollup.roll_up(conn, run)
        source = RunSource(conn, run) if rolled else FromPoints(conn, run)
        assert (source.rollup(3) is not None) == rolled
        every = catalogue.craters(conn, run)
        assert 1000 < len(every) < 6000
        for region in REGIONS:
            density = density_map(source, root2_bins(-4, 14), 5, region)
            inside = np.ones(len(every), bool)
            if region is not None:
                inside = region.contains(every["lon"], every["lat"])
            assert inside.sum() > 20
            km = every["diameter_m"].to_numpy()[inside] / 1000
            edges = 2 ** (np.arange(-4, 16) / 2)
            np.testing.assert_array_equal(density.count.sum(axis=1), np.histogram(km, edges)[0])


def test_imaged_area_by_bin(conn: Connection, run: Run) -> None:
    """By hand: 0.6-9.2 km on 600 cells, 2.4-36.8 km on 1,100, 2.83-8 km on their union."""
    density = density_of_run(conn, run, root2_bins(-2, 11), 6)
    cell_km2 = MARS.area_km2 / (12 * 4**ORDER)
    cells = {-1: 600, 0: 600, 1: 600, 2: 600, 3: 1500, 4: 1500, 5: 1500, 6: 1100, 9: 1100}
    got = dict(zip(range(-2, 12), density.area_km2.sum(axis=1) / cell_km2, strict=True))
    for k, n in cells.items():
        assert got[k] == pytest.approx(n), k
    assert got[-2] == 0 and got[10] == 0


def test_areas_equal_the_roll_up_s(target: Target) -> None:
    with connect(target) as conn:
        run = get_run(conn, "q")
        rollup.roll_up(conn, run)
        density = density_of_run(conn, run, root2_bins(-1, 9), 4)
        areas = rollup.imaged_areas(conn, run, 4)
        for i, k in enumerate(range(-1, 10)):
            rows = areas[areas["bin"] == k]
            mine = density.area_km2[i] > 0
            np.testing.assert_array_equal(density.cell[mine], rows["cell"])
            np.testing.assert_allclose(density.area_km2[i, mine], rows["area_km2"])


def test_a_bin_across_both_windows_counts_the_overlap(conn: Connection, run: Run) -> None:
    density = density_of_run(conn, run, user_bins([1, 16]), 6)
    assert density.area_km2.sum() == pytest.approx(200 * MARS.area_km2 / (12 * 4**ORDER))
    every = catalogue.craters(conn, run, min_diameter_m=1000, max_diameter_m=16000)
    assert density.count.sum() == len(every)
    cell = moc.cells_of_points(every["lon"], every["lat"], ORDER)
    km = every["diameter_m"] / 1000
    fine_only = (cell < 400) & (km < 8)
    coarse_only = (cell >= 600) & (cell < 1500) & (km >= 2**1.5)
    assert density.left_out.sum() == (fine_only | coarse_only).sum()


@pytest.mark.parametrize("suffix", ["gpkg", "parquet", "csv", "json"])
def test_craters_in_every_format(
    conn: Connection, run: Run, cda: Callable[..., Result], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"craters.{suffix}"
    words = ["--bbox", "175,-30,-176,30", "--min-diameter", "1", "--out", path]
    result = cda("query", "craters", "--run", "q", *words)
    assert result.exit_code == 0, result.output
    every = catalogue.craters(conn, run, min_diameter_m=1000)
    inside = every[((every["lon"] >= 175) | (every["lon"] <= -176)) & (every["lat"].abs() <= 30)]
    if suffix == "json":
        data = json.loads(path.read_text())
        assert data["crs"] == "IAU_2015:49900" and data["body"] == "mars"
        back = pd.DataFrame(data["craters"])
    elif suffix == "csv":
        back = pd.read_csv(path)
        assert set(back.pop("crs")) == {"IAU_2015:49900"}
    else:
        read = gpd.read_parquet(path) if suffix == "parquet" else gpd.read_file(path)
        assert read.crs.name == "Mars (2015) - Sphere / Ocentric"
        if suffix == "parquet":
            assert read.crs.to_authority() == ("IAU_2015", "49900")
        else:
            assert pyogrio.list_layers(path)[0, 0] == "craters"
        np.testing.assert_array_equal(read.geometry.x, read["lon"])
        back = pd.DataFrame(read.drop(columns="geometry"))
    assert list(back.columns) == ["crater_id", "lon", "lat", "diameter_m", "score"]
    pd.testing.assert_frame_equal(back, inside.reset_index(drop=True), check_dtype=False)


def test_density_command_writes_what_it_says(
    cda: Callable[..., Result], tmp_path: Path, conn: Connection, run: Run
) -> None:
    names = ["d.tif", "d.png", "d.gpkg", "d.parquet"]
    outs = [word for name in names for word in ("--out", tmp_path / name)]
    words = ["--bins", "1,2,4,8,100", "--order", "5", "--format", "json"]
    result = cda("query", "density", "--run", "q", *words, *outs)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    every = catalogue.craters(conn, run)
    counts = np.histogram(every["diameter_m"] / 1000, [1, 2, 4, 8, 100])[0]
    assert [row["n"] for row in rows] == counts.tolist()
    assert rows[3]["density_per_km2"] is None and rows[3]["area_km2"] == 0
    # 1-2 km is seen on 600 cells of order 8, which lie in the first 10 of order 5.
    small = every[every["diameter_m"].between(1000, 2000, inclusive="left")]
    n = (moc.cells_of_points(small["lon"], small["lat"], 5) < 10).sum()
    area = 600 * MARS.area_km2 / (12 * 4**ORDER)
    assert rows[0]["density_per_km2"] == pytest.approx(n / area)
    with rasterio.open(tmp_path / "d.tif") as file:
        assert file.crs.to_authority() == ("IAU_2015", "49910")
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags()["run"] == "q" and file.count == 15  # the last bin is nowhere imaged
    assert gpd.read_parquet(tmp_path / "d.parquet").crs.to_authority() == ("IAU_2015", "49900")
    assert Image.open(tmp_path / "d.png").size[0] > 600
    table = cda("query", "density", "--run", "q", "--circle", "180,0,500")
    assert table.exit_code == 0 and "density_per_km2" in table.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["density", "--run", "q", "--bins", "a,b"], "no list of numbers"),
        (["density", "--run", "q", "--bins", "1,2", "--circle", "1,2"], "LON,LAT,KM"),
        (["density", "--run", "q", "--bins", "100,200", "--out", "x.tif"], "size windows"),
        (["density", "--run", "q", "--bins", "1,2", "--out", "x.jpg"], "cannot be written"),
        (["density", "--run", "q", "--feature", "Zunil"], "gazetteer"),
        (["density", "--run", "q", "--circle", "1,2,3", "--bbox", "1,2,3,4"], "More than one"),
        (["craters", "--run", "nosuch"], "nosuch"),
        (["craters", "--run", "q", "--format", "gpkg"], "--out"),
        (["annotate", "--run", "q", "--out", "x"], "Which scenes"),
        (["annotate", "--run", "q", "--out", "x", "b-coarse"], "gone"),
        (["provenance", "1"], "no detection 1"),
    ],
)
def test_mistakes_are_told_in_words(
    cda: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cda("query", *words)
    assert result.exit_code == 2, result.output
    assert says in result.stderr and "Traceback" not in result.stderr


def test_provenance_tells_the_chain(cda: Callable[..., Result], conn: Connection, run: Run) -> None:
    lost = conn.execute(
        "SELECT detection_id, crater_id FROM cda.suppression WHERE run_id = %s LIMIT 1",
        [run.run_id],
    ).fetchone()
    assert lost is not None
    result = cda("query", "provenance", lost[1], "--format", "json")
    chain = json.loads(result.stdout)
    assert chain["verdict"] == "kept" and chain["run"]["name"] == "q"
    assert chain["model"]["weights_sha256"] == "00" * 32
    assert lost[0] in [row["detection_id"] for row in chain["suppressed"]]
    text = cda("query", "provenance", lost[0]).stdout
    assert f"suppressed by crater {lost[1]}" in text and "file_sha256" in text


def test_annotated_picture(cda: Callable[..., Result], tmp_path: Path) -> None:
    result = cda("query", "annotate", "--run", "q", "--out", tmp_path, "a-fine", "--format", "json")
    assert result.exit_code == 0, result.output
    picture = Path(json.loads(result.stdout)[0]["picture"])
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert min(pixels.shape[:2]) > 800
    green = (pixels[..., 1] - pixels[..., 0] > 40) & (pixels[..., 1] - pixels[..., 2] > 60)
    assert green.sum() > 100  # the detections' circles
