"""Runs with neighbours: tiles go on over the next scene, and a seam is no edge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from numpy.typing import NDArray
from rasterio.transform import Affine
from rows import scene
from scene_files import MARS_R, Disc, apart_m, blobs, draw, proj_lonlat, write

from cda_db.batches import Batch, claim_batch, finish_batch
from cda_db.bodies import get_body
from cda_db.catalogue import craters, provenance
from cda_db.connection import Connection, connect
from cda_db.margins import Neighbour, neighbour_pairs
from cda_db.models import register_model
from cda_db.runs import Level, Run, RunConfig, add_scenes, create_run, get_run
from cda_db.scenes import Scene, register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress
from ingest.batch_search import detect_batch, tile_margin
from ingest.reader import TileReader
from ingest.scene import open_scenes

MARS = "IAU_2015:49910"
DEGREE = np.pi * MARS_R / 180
TILE = 256
LEVELS = (Level(1.0, 100, 6.0, 96.0), Level(4.0, 128, 6.0, 124.0))
# A mosaic of 100 m/px whose scenes meet at column 320 and row 240 of it; a disc on the seam, one
# where four scenes meet, one inside.
PLACE = Affine(100, 0, 10 * DEGREE - 32_000, 0, -100, 5 * DEGREE + 24_000)
ON_SEAM, ON_CORNER, INSIDE = (
    Disc(10.0, 5.2, 6000.0), Disc(10.0, 5.0, 5000.0), Disc(9.7, 5.2, 4000.0)
)  # fmt: skip


class StandIn:
    """A detector that finds every bright blob, whole or cut, as the drawn disc's box."""

    at_once = 64

    def detect(self, tiles: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        found = [[(*np.clip(box, 0, TILE), 0.9) for box in blobs(tile)] for tile in tiles]
        return [np.array(boxes, np.float32).reshape(-1, 5) for boxes in found]


def picture(*discs: Disc) -> NDArray[np.uint8]:
    to_lonlat = proj_lonlat(f"+proj=eqc +R={MARS_R}")
    drawn = [draw((480, 640), PLACE, to_lonlat, disc) for disc in discs]
    return np.maximum.reduce(drawn)


def quarters(folder: Path, pixels: NDArray[np.uint8]) -> list[Scene]:
    """The picture in four files: north west, north east, south west, south east."""
    found = []
    for name, row, col in (("nw", 0, 0), ("ne", 0, 320), ("sw", 240, 0), ("se", 240, 320)):
        part = pixels[row : row + 240, col : col + 320]
        file = write(folder / f"{name}.tif", part, MARS, PLACE @ Affine.translation(col, row))
        found += open_scenes(str(file))
    return found


@pytest.mark.parametrize("level", [1.0, 8.0, 0.5])
def test_margin_holds_the_neighbours_pixels(level: float, tmp_path: Path) -> None:
    """Every tile of a quarter with its margin equals that window of the whole picture."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(1, 255, (480, 640)).astype(np.uint8)
    scenes = quarters(tmp_path, pixels)
    (whole,) = open_scenes(str(write(tmp_path / "all.tif", pixels, MARS, PLACE)))
    own = scenes[3]
    around = [Neighbour(scenes[0], -320, -240), Neighbour(scenes[1], 0, -240),
              Neighbour(scenes[2], -320, 0)]  # fmt: skip
    corner = int(320 / level), int(240 / level)  # the quarter's in the whole, level pixels
    size = int(480 / level), int(640 / level)
    with TileReader(whole, level, max(size), 0) as reader:
        every = reader.read_row(0)[1][0]
    margin = 24
    with TileReader(own, level, 64, 32, margin, around) as reader:
        seen = np.zeros((int(240 / level) + margin, int(320 / level) + margin), bool)
        for row in reader.rows():
            for column, tile, valid in zip(*reader.read_row(row), strict=True):
                x, y = reader.grid.origin(row, column)
                rows, cols = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
                want = every[y + corner[1] + rows][:, x + corner[0] + cols]
                got = tile[rows][:, cols]
                assert valid[rows][:, cols].all()
                np.testing.assert_array_equal(got, want)
                seen[np.ix_(y + margin + rows, x + margin + cols)] = True
        assert seen.all()


def make_run(conn: Connection, name: str, neighbours: bool) -> Run:
    model = register_model(conn, "m", bytes(32), {"architecture": "n", "diameter_factor": 1.0})
    config = RunConfig(TILE, LEVELS, score_threshold=0.0, neighbours=neighbours)
    return create_run(conn, name, get_body("mars"), model, config)


def do_all(target: Target, conn: Connection, run: Run) -> pd.DataFrame:
    """A worker's work on every open batch, then suppression; the catalogue, smallest first."""
    conn.commit()
    while (batch := claim_batch(conn, run.name, threads=1)) is not None:
        found: dict[str, Any] = detect_batch(batch, StandIn())  # type: ignore[arg-type]
        finish_batch(conn, batch, **found)
    suppress(target, run)
    return craters(conn, run).sort_values("diameter_m", ignore_index=True)


def add(conn: Connection, run: Run, scenes: list[Scene]) -> None:
    add_scenes(conn, run, [register_scene(conn, one)[0] for one in scenes])


def checksum(conn: Connection, run: Run) -> object:
    row = conn.execute("SELECT cda.content_checksum(%s)", [run.run_id]).fetchone()
    assert row is not None
    return row[0]


def test_craters_on_seams_are_found_whole(database: Target, tmp_path: Path) -> None:
    scenes = quarters(tmp_path, picture(ON_SEAM, ON_CORNER, INSIDE))
    with connect(database) as conn:
        run = make_run(conn, "with", True)
        add(conn, run, scenes)
        found = do_all(database, conn, run)
        assert len(found) == 3
        for got, disc in zip(found.itertuples(), (INSIDE, ON_CORNER, ON_SEAM), strict=True):
            assert apart_m(Disc(got.lon, got.lat, got.diameter_m), disc) < 100
            assert got.diameter_m == pytest.approx(disc.diameter_m, abs=100)
        rows = conn.execute(
            f"SELECT data_edge FROM cda.detection_r{run.run_id} JOIN cda.crater_r{run.run_id}"
            " ON crater_id = detection_id"
        ).fetchall()
        assert rows == [(False,)] * 3
        chain = provenance(conn, int(found["crater_id"].iloc[2]))
        assert len(chain["neighbours"]) == 3 and len(chain["neighbours"][0]["file_sha256"]) == 64
        x, y = chain["tile"]["centre_in_scene_px"]
        side = {"nw": (320, 121.5), "ne": (0, 121.5)}[chain["scene"]["name"]]
        assert (x, y) == pytest.approx(side, abs=1)
        without = make_run(conn, "without", False)
        add(conn, without, scenes)
        halves = do_all(database, conn, without)
        right = [
            disc
            for disc in (INSIDE, ON_CORNER, ON_SEAM)
            for got in halves.itertuples()
            if apart_m(Disc(got.lon, got.lat, got.diameter_m), disc) < 100
            and abs(got.diameter_m - disc.diameter_m) < 100
        ]
        assert right == [INSIDE] and len(halves) > 3  # the others lie in pieces


def test_the_order_of_adding_does_not_matter(database: Target, tmp_path: Path) -> None:
    """All at once, one by one with the work done between, and backwards: one checksum."""
    scenes = quarters(tmp_path, picture(ON_SEAM, ON_CORNER, INSIDE))
    sums = set()
    with connect(database) as conn:
        for name, groups in {
            "at once": [scenes],
            "one by one": [[one] for one in scenes],
            "backwards": [[one] for one in scenes[::-1]],
        }.items():
            run = make_run(conn, name, True)
            for group in groups:
                add(conn, run, group)
                do_all(database, conn, run)
            sums.add(checksum(conn, run))
            linked = conn.execute(
                "SELECT count(*) FROM cda.run_neighbour WHERE run_id = %s", [run.run_id]
            ).fetchone()
            assert linked == (12,)
    assert len(sums) == 1


def test_a_neighbour_that_was_replaced_is_refused(database: Target, tmp_path: Path) -> None:
    scenes = quarters(tmp_path, picture(INSIDE))
    with connect(database) as conn:
        run = make_run(conn, "run", True)
        add(conn, run, scenes)
        conn.commit()
        batch = claim_batch(conn, "run", threads=1)
        assert batch is not None and len(batch.neighbours) == 3
        write(tmp_path / "se.tif", np.full((240, 320), 7, np.uint8), MARS, PLACE)
        with pytest.raises(Exception, match=r"se\.tif is not the file any more"):
            detect_batch(batch, StandIn())  # type: ignore[arg-type]


def test_the_option_is_part_of_the_configuration(
    cda: Callable[..., Result], conn: Connection, tmp_path: Path
) -> None:
    """Recorded, in the hash, and not to be changed by --extend; older runs, without the word, go on
    as runs without neighbours."""
    quarters(tmp_path, picture(INSIDE))
    assert cda("ingest", "scenes", tmp_path, "--body", "mars").exit_code == 0
    create = ["ingest", "run", "create", "seams", "nw", "ne", "--levels", "1", "--format", "json"]
    made = cda(*create, "--neighbours")
    assert made.exit_code == 0, made.output
    assert get_run(conn, "seams").config["neighbours"] is True
    assert conn.execute("SELECT count(*) FROM cda.run_neighbour").fetchone() == (2,)
    assert cda(*create, "--extend").exit_code == 2
    assert cda(*create, "sw", "--neighbours", "--extend").exit_code == 0
    conn.rollback()
    assert conn.execute("SELECT count(*) FROM cda.run_neighbour").fetchone() == (6,)
    plain = [word if word != "seams" else "plain" for word in create]
    assert cda(*plain).exit_code == 0
    assert (
        json.loads(cda(*plain, "--extend").stdout)["config_sha256"]
        != json.loads(made.stdout)["config_sha256"]
    )
    conn.execute("ALTER TABLE cda.run DISABLE TRIGGER run_immutable")
    conn.execute("UPDATE cda.run SET config = config - 'neighbours' WHERE name = 'plain'")
    conn.commit()
    assert cda(*plain, "--extend").exit_code == 0
    assert cda(*plain, "--extend", "--neighbours").exit_code == 2


def table(**changes: object) -> pd.DataFrame:
    """Two scenes of 416 x 416 px of 100 m side by side; changes are of the second."""
    names = ("kind", "projection", "lon_0_deg", "lat_ts_deg", "radius_m", "width", "height")
    rows = []
    for number, made in enumerate((scene("a"), scene("b"))):
        a, b, _, d, e, f = made.transform
        row = {name: getattr(made, name) for name in names}
        row |= {"scene_id": number, "shading": "", "a": a, "b": b, "c": number * 41_600.0}
        row |= {"d": d, "e": e, "f": f}
        rows.append(row)
    rows[1] |= changes
    return pd.DataFrame(rows)


TURN = 2 * np.pi * scene("a").radius_m


@pytest.mark.parametrize(("changes", "offset"), [
    ({}, (416, 0)),
    ({"c": 45_000.0, "f": -2_000.0}, (450, 20)),  # within the margin, off the row
    ({"c": 41_600.5}, (416, 0)),  # within a hundredth of a pixel
    ({"c": 41_650.0}, None),  # off the grid
    ({"c": 60_000.0}, None),  # too far
    ({"a": 100.01}, None),  # drifts by 4 pixels over the scene
    ({"projection": "sinusoidal"}, None),
    ({"lat_ts_deg": 10.0}, None),
    ({"kind": "elevation"}, None),
    ({"c": TURN - 41_600}, (-416, 0)),  # the other end of the map, if whole pixels go round
])  # fmt: skip
def test_which_scenes_are_neighbours(changes: dict[str, object], offset: object) -> None:
    scenes = table(**changes)
    if changes.get("c") == TURN - 41_600:
        scenes["radius_m"] *= round(TURN / 100) * 100 / TURN
        scenes.loc[1, "c"] = round(TURN / 100) * 100 - 41_600
    pairs = neighbour_pairs(scenes, reach_px=100)
    got = [tuple(row) for row in pairs[["scene_id", "x_px", "y_px"]].to_numpy().tolist()]
    want = [] if offset is None else [(0, *offset), (1, -offset[0], -offset[1])]  # type: ignore[misc, index]
    assert sorted(got) == want


def test_views_have_no_margin(conn: Connection) -> None:
    """What is seen through a view ends where the view ends; SQL and the worker agree."""
    run = make_run(conn, "views", True)
    seen = scene("seen", view={"name": "band", "cut_edges": ["left"]})
    stated = scene("stated", view={"name": "as_is", "options": {"nodata": 0}, "cut_edges": []})
    ids = [register_scene(conn, one)[0] for one in (seen, stated)]
    add_scenes(conn, run, ids)
    conn.commit()
    margins = dict(conn.execute(
        "SELECT DISTINCT name, margin_px FROM cda.batch_frame JOIN cda.batch USING (batch_id)"
        " JOIN cda.scene USING (scene_id) WHERE batch_frame.factor = 1"
    ).fetchall())  # fmt: skip
    assert margins == {"seen": 0, "stated": 100}
    found: list[Batch] = []
    while (batch := claim_batch(conn, "views", threads=1)) is not None:
        found.append(batch)
    assert {(b.scene.name, tile_margin(b)) for b in found if b.level["factor"] == 1} == {
        ("seen", 0), ("stated", 100),
    }  # fmt: skip
