"""Provenance of a detection is complete, and boxes come back in scene pixels."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rows import Detections, make_run, scene, store

from cda_db.batches import Boxes, claim_batch, finish_batch
from cda_db.catalogue import provenance
from cda_db.connection import Connection
from cda_db.errors import NotFoundError
from cda_db.runs import Level, Run, add_scenes
from cda_db.scenes import register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress
from queries.provenance import provenance_text

# One crater seen three times, one other, one alone: the first wins over the next two.
FOUND = Detections(
    np.array([10.0, 10.001, 10.0, 40.0, -90.0]), np.array([5.0, 5.0, 5.001, 5.0, -30.0]),
    np.array([1e4, 1.02e4, 0.9e4, 2e4, 5e3], np.float32),
    np.array([0.9, 0.6, 0.7, 0.8, 0.5], np.float32), np.array([0, 1, 1, 1, 0]),
)  # fmt: skip


@pytest.fixture
def suppressed(database: Target, conn: Connection) -> tuple[Run, list[int]]:
    """A run with the detections of FOUND and its catalogue; their ids."""
    run = make_run(conn, "traced", 2)
    ids = store(conn, run, FOUND)
    suppress(database, run)
    return run, [int(i) for i in ids]


def test_a_crater_names_its_whole_chain(
    conn: Connection, suppressed: tuple[Run, list[int]]
) -> None:
    """Every link of rule 2: file, tile, weights, configuration, code, batch, attempt, rivals."""
    run, ids = suppressed
    chain = provenance(conn, ids[0])
    digest = hashlib.sha256(b"traced-0").hexdigest()
    assert (chain["scene"]["path"], chain["scene"]["file_sha256"]) == (
        "/nowhere/traced-0.tif", digest,
    )  # fmt: skip
    assert chain["model"]["weights_sha256"] == hashlib.sha256(b"rows").hexdigest()
    assert chain["model"]["diameter_factor"] == 1.0
    assert chain["run"]["config"] == run.config
    assert len(chain["run"]["config_sha256"]) == 64
    assert chain["run"]["code_version"]
    assert chain["batch"]["batch_id"] == ids[0] >> 22
    assert chain["batch"]["state"] == "done"
    assert chain["tile"] == {
        "level": 1, "row": 0, "column": 0, "side_px": 416, "centre_in_scene_px": [5, 5],
    }  # fmt: skip
    assert (chain["verdict"], chain["suppressed_by"]) == ("kept", None)
    assert (chain["lon"], chain["lat"], chain["diameter_m"]) == (10.0, 5.0, 1e4)


def test_what_it_suppressed_is_named_with_overlap_and_place(
    conn: Connection, suppressed: tuple[Run, list[int]]
) -> None:
    _, ids = suppressed
    losers = {row["detection_id"]: row for row in provenance(conn, ids[0])["suppressed"]}
    assert set(losers) == {ids[1], ids[2]}
    # concentric to 0.1 %: the overlap is the ratio of areas, less what the offset of 59 m takes
    assert losers[ids[1]]["iou"] == pytest.approx((1 / 1.02) ** 2, abs=0.02)
    assert losers[ids[2]]["iou"] == pytest.approx(0.81, abs=0.02)
    assert losers[ids[1]]["scene"] == "traced-1" and losers[ids[1]]["level"] == 1
    assert provenance(conn, ids[3])["suppressed"] == []


def test_a_suppressed_detection_names_its_crater(
    conn: Connection, suppressed: tuple[Run, list[int]]
) -> None:
    _, ids = suppressed
    chain = provenance(conn, ids[2])
    assert (chain["verdict"], chain["suppressed"]) == ("suppressed", [])
    assert chain["suppressed_by"]["crater_id"] == ids[0]
    assert chain["suppressed_by"]["iou"] == pytest.approx(0.81, abs=0.02)


def test_the_attempt_that_counts_is_the_last(database: Target, conn: Connection) -> None:
    """Who found it: host, process, job, threads and precision of the attempt that finished."""
    make_run(conn, "run")
    for _ in range(2):
        batch = claim_batch(conn, "run", threads=3, lease_s=0.0)
    assert batch is not None
    one = np.zeros(1, np.int16)
    box = [np.array([v], np.float32) for v in (50, 60, 80, 100, 0.5)]
    finish_batch(conn, batch, Boxes(one, one, *box, np.zeros(1, bool)),
                 n_tiles=1, n_empty=0, n_outside=0)  # fmt: skip
    chain = provenance(conn, batch.batch_id << 22)
    attempt = chain["attempt"]
    assert (attempt["attempt"], attempt["threads"], attempt["outcome"]) == (2, 3, "done")
    assert attempt["precision"] == "f32" and attempt["host"] and attempt["pid"]
    assert chain["verdict"] == "undecided"


def test_nobody_knows_an_id_that_is_none(conn: Connection) -> None:
    run = make_run(conn, "run")
    store(conn, run, Detections(*(part[:1] for part in vars(FOUND).values())))
    for stranger in (0, 1, -1, 2**62, (1 << 22) + 1):
        with pytest.raises(NotFoundError, match="no detection"):
            provenance(conn, stranger)


@pytest.mark.parametrize("factor", [0.25, 1.0, 8.0])
def test_boxes_come_back_in_scene_pixels(conn: Connection, factor: float) -> None:
    """Tile origin plus box, times the level's factor, by hand: tiles at 0, 320 and 584."""
    level = Level(factor, 96, 6.0, 92.0)
    run = make_run(conn, "run", n_scenes=0, levels=(level,))
    side = round(1000 * factor)  # 1000 pixels at the level: tiles at 0, 320 and 584
    made = replace(scene("picture"), width=side, height=side)
    add_scenes(conn, run, [register_scene(conn, made)[0]], 10**6)
    conn.commit()
    batch = claim_batch(conn, "run", threads=1)
    assert batch is not None
    row, col = np.array([1], np.int16), np.array([2], np.int16)
    box = [np.array([v], np.float32) for v in (100, 110, 120, 150, 0.5)]
    finish_batch(conn, batch, Boxes(row, col, *box, np.zeros(1, bool)),
                 n_tiles=9, n_empty=0, n_outside=0)  # fmt: skip
    found: Any = conn.execute(
        "SELECT x_px, y_px, w_px, h_px, level, verdict, scene_id, batch_id"
        " FROM cda.detection_detail WHERE run_id = %s",
        [run.run_id],
    ).fetchone()
    assert found[:6] == (
        pytest.approx((584 + 110) * factor), pytest.approx((320 + 130) * factor),
        20 * factor, 40 * factor, factor, "undecided",
    )  # fmt: skip
    assert found[7] == batch.batch_id


def test_every_verdict_has_its_word(conn: Connection, suppressed: tuple[Run, list[int]]) -> None:
    run, ids = suppressed
    conn.execute("UPDATE cda.detection SET cut = true WHERE detection_id = %s", [ids[3]])
    conn.execute("DELETE FROM cda.crater WHERE crater_id = %s", [ids[4]])
    rows = conn.execute(
        "SELECT detection_id, verdict FROM cda.detection_detail WHERE run_id = %s", [run.run_id]
    ).fetchall()
    assert dict(rows) == dict(
        zip(ids, ("kept", "suppressed", "suppressed", "cut", "undecided"), strict=True)
    )


SEAMS = {  # two images of a tile; the second goes on past 180 degrees, a sliver lies over both
    "file": "t_SeamMap.shp",
    "images": [
        ["P01_001", "POLYGON ((176 -4, 178 -4, 178 0, 176 0, 176 -4))"],
        ["P02_002", "POLYGON ((178 -4, 181 -4, 181 0, 178 0, 178 -4))"],
        ["P03_003", "POLYGON ((177 -1, 179 -1, 179 0, 177 0, 177 -1))"],
    ],
}


def test_a_detection_names_its_source_image(database: Target, conn: Connection) -> None:
    """By its centre and the tile's seam map; first listed, on either side of 180 degrees."""
    run = make_run(conn, "mosaic", 0)
    ids = [
        register_scene(conn, scene("tile", label={"seams": SEAMS}))[0],
        register_scene(conn, scene("plain"))[0],
    ]
    add_scenes(conn, run, ids)
    conn.commit()
    places = [(177.0, -2.0), (179.5, -2.0), (-179.5, -3.0), (178.5, -0.5), (175.0, -2.0)]
    lon, lat = np.array([*places, places[0]]).T
    n = len(lon)
    found = Detections(
        lon, lat, np.full(n, 1e3, np.float32), np.linspace(0.5, 0.9, n).astype(np.float32),
        np.array([0] * (n - 1) + [1]),
    )  # fmt: skip
    chains = [provenance(conn, int(one)) for one in store(conn, run, found)]
    assert [chain["source_image"] for chain in chains] == [
        "P01_001", "P02_002", "P02_002", "P02_002", None, None,
    ]  # fmt: skip
    assert chains[0]["scene"]["label"]["seams"] == {"file": "t_SeamMap.shp"}
    assert "source image        P01_001" in provenance_text(chains[0])
    assert "source image" not in provenance_text(chains[5])
