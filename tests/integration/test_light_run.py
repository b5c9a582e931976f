"""A run over pictures whose light is stated: hills fall out of it, craters do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from click.testing import Result
from cratered import write_scenes

from cda_db.connection import connect
from cda_db.settings import Target

# The drawn ground is lit from the west: its negative is the same ground turned inside out.
_LEVEL = ("--levels", "1", "--threshold", "0.4")


def _write(path: Path, like: Path, pixels: np.ndarray) -> None:
    with rasterio.open(like) as source:
        profile = source.profile
    with rasterio.open(path, "w", **profile) as out:
        out.write(pixels, 1)


def test_hills_are_told_by_a_stated_light(cda: Callable[..., Result], tmp_path: Path) -> None:
    drawn = write_scenes(tmp_path)[0]
    with rasterio.open(drawn) as source:
        pixels = source.read(1)
    names = {"west": pixels, "hills": 256 - pixels.astype(int), "north": np.rot90(pixels, -1)}
    found = {}
    for name, picture in names.items():
        _write(tmp_path / f"{name}.tif", drawn, picture.astype(np.uint8))
        azimuth = "0" if name == "north" else "270"
        done = cda("ingest", "scenes", tmp_path / f"{name}.tif", "--light", azimuth)
        assert done.exit_code == 0, done.stderr
        for weight in ("0", "1.5"):
            run = f"{name}-{weight}"
            words = ("--against-light", weight, *_LEVEL)
            assert cda("ingest", "run", "create", run, name, *words).exit_code == 0
            done = cda("ingest", "work", "--run", run, "--format", "json")
            assert done.exit_code == 0, done.stderr
            found[run] = json.loads(done.stdout)["craters"]
    assert found["west-0"] >= 25
    assert found["west-1.5"] >= 0.95 * found["west-0"]
    assert found["hills-0"] >= 0.5 * found["west-0"]  # unknown light: hills pass for craters
    assert found["hills-1.5"] <= 0.15 * found["hills-0"]
    assert found["north-1.5"] >= 0.9 * found["west-1.5"]

    # the light is of the scene, the weight of the run, and either is part of what it is
    again = cda("ingest", "scenes", tmp_path / "west.tif", "--light", "90")
    assert again.exit_code == 2 and "registered" in again.stderr
    other = cda("ingest", "run", "create", "west-1.5", "west", "--extend", *_LEVEL,
                "--against-light", "1")  # fmt: skip
    assert other.exit_code != 0
    same = cda("ingest", "run", "create", "west-1.5", "west", "--extend", *_LEVEL)
    assert same.exit_code == 0, same.stderr


def test_a_run_made_before_lights_were_known_can_be_extended(
    cda: Callable[..., Result], tmp_path: Path, database: Target
) -> None:
    """Its configuration lacks the weight: nothing in it was searched by a light."""
    drawn = write_scenes(tmp_path)
    assert cda("ingest", "scenes", *drawn).exit_code == 0
    words = ("--against-light", "0", *_LEVEL)
    assert cda("ingest", "run", "create", "old", drawn[0].stem, *words).exit_code == 0
    with connect(database, role="cda_owner") as conn:
        conn.execute("ALTER TABLE cda.run DISABLE TRIGGER USER")  # runs never change, but here
        conn.execute("UPDATE cda.run SET config = config - 'against_light' WHERE name = 'old'")
    extended = cda("ingest", "run", "create", "old", drawn[1].stem, "--extend", *words)
    assert extended.exit_code == 0, extended.stderr
