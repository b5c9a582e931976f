"""Empty is not unimaged (rule 5): what no worker has seen yet does not count as ground."""

from __future__ import annotations

import numpy as np
from rows import LEVEL, Detections, make_run, scene, store

from cda_db.catalogue import coverage
from cda_db.connection import Connection
from cda_db.rollup import imaged_areas, roll_up
from cda_db.runs import Level, add_scenes
from cda_db.scenes import register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress

# 100 m/px: 0.6-9.2 km at level 1 (bin 0: 1-1.41 km), 4.8-73.6 km at level 8 (bin 9: 22.6-32 km)
LEVELS = (LEVEL, Level(8.0, 96, 6.0, 92.0))


def found(batch: int) -> Detections:
    one = np.array([0.3])
    size, score = np.array([3e3], np.float32), np.array([0.5], np.float32)
    return Detections(one, -one, size, score, np.array([batch]))


def test_a_scene_or_level_without_work_is_not_imaged(database: Target, conn: Connection) -> None:
    """Level 1 done, level 8 not: small bins are imaged, large ones are not; then both."""
    run = make_run(conn, "run", levels=LEVELS)
    for done, small, large in ((0, 1, 0), (1, 1, 1)):
        store(conn, run, found(0), only=[done])
        suppress(database, run)
        roll_up(conn, run)
        areas = imaged_areas(conn, run, 6)
        assert len(areas[areas["bin"] == 0]) == small
        assert len(areas[areas["bin"] == 9]) == large
        assert len(coverage(conn, run, 9)[1]) == large
        conn.rollback()


def test_a_scene_that_was_added_counts_when_it_is_done(database: Target, conn: Connection) -> None:
    run = make_run(conn, "run")
    store(conn, run, found(0))
    suppress(database, run)
    far = np.array([[7, 8]])
    add_scenes(conn, run, [register_scene(conn, scene("run-new", coverage=far))[0]])
    conn.commit()
    for done, cells in (([], {0}), ([1], {0, 7})):
        if done:
            store(conn, run, found(1), only=done)
            suppress(database, run)
        roll_up(conn, run)
        areas = imaged_areas(conn, run, 6)
        assert set(areas[areas["bin"] == 0]["cell"]) == cells
        conn.rollback()
