"""Scenes in the database: registered once, refused without a trace, right through untiling."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from rasterio.transform import Affine
from rows import make_run
from scene_cases import CASES
from scene_files import Disc, apart_m, blobs, draw, write

from cda_db.batches import Boxes, claim_batch, finish_batch
from cda_db.connection import Connection, connect
from cda_db.runs import Level, add_scenes
from cda_db.scenes import get_scene, register_scene
from cda_db.settings import Target
from ingest.reader import TileReader
from ingest.scene import open_scenes

MARS = "IAU_2015:49910"
PLACE = Affine(100, 0, 1e6, 0, -100, 2e5)
GREY = (np.arange(64 * 64).reshape(64, 64) % 199 + 1).astype(np.uint8)
LEVEL = Level(1.0, 176, 6.0, 172.0)


def n_scenes(database: Target) -> int:
    with connect(database) as conn:
        return int(conn.execute("SELECT count(*) FROM cda.scene").fetchone()[0])


def test_a_folder_is_registered_once_and_refusals_leave_nothing(
    cda: Callable[..., Result], database: Target, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.tif", GREY, MARS, PLACE)
    write(folder / "b.tif", 255 - GREY, MARS, PLACE)
    write(folder / "no_map.tif", GREY, None, PLACE)
    write(folder / "empty.tif", 0 * GREY, MARS, PLACE, nodata=0)
    done = cda("ingest", "scenes", folder, "--format", "json")
    assert done.exit_code == 2
    rows = {Path(row["path"]).name: row for row in json.loads(done.stdout)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "a.tif": "registered", "b.tif": "registered", "empty.tif": "refused",
        "no_map.tif": "refused",
    }  # fmt: skip
    assert "has no CRS" in rows["no_map.tif"]["problem"] and rows["no_map.tif"]["remedy"]
    assert rows["a.tif"]["facts"]["pixel_scale_m"] == pytest.approx(100, rel=0.01)
    assert "all nodata" in done.stderr and n_scenes(database) == 2
    again = cda("ingest", "scenes", str(folder / "[ab].tif"), "--body", "mars", "--jobs", "2")
    assert (again.exit_code, n_scenes(database)) == (0, 2)
    assert "2 known" in again.stderr
    listed = json.loads(cda("ingest", "scenes", "--list", "--format", "json").stdout)
    assert [row["name"] for row in listed] == ["a", "b"]
    assert cda("ingest", "scenes").exit_code == 2
    # The same content under another name is the same scene; other content under its name is not.
    write(tmp_path / "copy.tif", GREY, MARS, PLACE)
    assert "1 known" in cda("ingest", "scenes", tmp_path / "copy.tif").stderr
    write(tmp_path / "a.tif", GREY // 2 + 1, MARS, PLACE)
    other = cda("ingest", "scenes", tmp_path / "a.tif")
    assert other.exit_code == 2 and "Another picture" in other.stderr and n_scenes(database) == 2


def test_scene_comes_back_as_it_was_described(conn: Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "globe.tif", np.tile(np.arange(1, 181, dtype=np.uint8)[:, None], 360),
                 "IAU_2015:49900", Affine(1, 0, -180, 0, -1, 90))  # fmt: skip
    for scene in open_scenes(str(path)):
        scene_id, created = register_scene(conn, scene)
        found_id, found = get_scene(conn, scene.name)
        assert created and found_id == scene_id
        assert (found.view, found.transform, found.label) == (
            scene.view, scene.transform, scene.label,
        )  # fmt: skip
        assert found.coverage_order == scene.coverage_order
        for mine, stored in zip(scene.levels_coverage, found.levels_coverage, strict=True):
            assert mine[0] == stored[0]
            np.testing.assert_array_equal(stored[1], mine[1])
            np.testing.assert_array_equal(stored[2], mine[2])
        with TileReader(found, 1, 128, 32) as reader:
            assert len(reader.read_row(0)[0]) == reader.grid.n_columns


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__[5:])
def test_drawn_box_comes_out_of_the_chain_within_a_pixel(
    case: Callable, module_database: Target, tmp_path: Path
) -> None:
    """File to tiles, a stand-in detector, untiling in SQL: place and diameter as drawn."""
    disc, crs, transform, to_lonlat = case()
    name = case.__name__
    pixels = draw((300, 300), transform, to_lonlat, disc)
    (scene,) = open_scenes(str(write(tmp_path / f"{name}.tif", pixels, crs, transform)))
    with connect(module_database) as conn:
        run = make_run(conn, name, n_scenes=0, levels=(LEVEL,))
        scene_id, _ = register_scene(conn, replace(scene, name=name))
        add_scenes(conn, run, [scene_id])
        conn.commit()
        batch = claim_batch(conn, name, threads=1)
        assert batch is not None
        finish_batch(conn, batch, _detected(batch), n_tiles=1, n_empty=0, n_outside=0)
        rows = conn.execute(
            f"SELECT lon, lat, diameter_m FROM cda.detection_r{run.run_id} WHERE NOT cut"
        ).fetchall()
    assert rows
    for lon, lat, diameter_m in rows:
        found = Disc(lon, lat, diameter_m)
        assert apart_m(found, disc) < scene.pixel_scale_m
        assert diameter_m == pytest.approx(disc.diameter_m, abs=scene.pixel_scale_m)


def _detected(batch) -> Boxes:
    """Boxes of the drawn disc in every tile of the batch."""
    found = []
    with TileReader(batch.scene, 1.0, 416, LEVEL.overlap_px) as reader:
        for row in reader.rows():
            for column, picture in zip(*reader.read_row(row)[:2], strict=True):
                found += [(row, column, *box) for box in blobs(picture)]
    table = np.array(found)
    corners = (table[:, i].astype(np.float32) for i in range(2, 6))
    n = len(table)
    return Boxes(
        table[:, 0].astype(np.int16), table[:, 1].astype(np.int16), *corners,
        np.full(n, 0.9, np.float32), np.zeros(n, bool),
    )  # fmt: skip
