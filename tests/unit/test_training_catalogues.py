"""Two catalogues on the sphere, counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cda_db.bodies import get_body
from cda_db.errors import InputError
from ingest.model_commands import model
from ingest.training.catalogues import Window, compare, read_catalogue

MARS = get_body("mars")
LISTED = np.array(
    [
        [179.99, 0.0, 10_000.0],  # found across +-180
        [10.0, 20.0, 10_000.0],  # found, 5 % large
        [30.0, 20.0, 12_000.0],  # missed
        [50.0, 20.0, 4_000.0],  # outside the window
        [70.0, 80.0, 10_000.0],  # outside the window
    ]
)
FOUND = np.array(
    [
        [-179.99, 0.0, 10_000.0],
        [10.0, 20.0, 10_500.0],
        [50.0, 20.0, 5_500.0],  # in the window by size, right
        [100.0, 0.0, 10_000.0],  # false
    ]
)


def test_recall_precision_and_diameters() -> None:
    report = compare(FOUND, LISTED, MARS, Window(5, 40, 60), complete=True)
    assert (report["listed"], report["listed_found"]) == (3, 2)
    assert report["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["found"] == 4 and report["precision"] == 0.75
    assert report["diameter_bias"] == pytest.approx(0.025, abs=1e-4)
    low, high = report["recall_95"]
    assert 0 <= low <= report["recall"] <= high <= 1


def test_bins_hold_every_listed_crater_once() -> None:
    report = compare(FOUND, LISTED, MARS, Window(5, 40, 60), complete=False)
    assert "precision" not in report
    assert {row["from_km"]: row["listed"] for row in report["by_size"]} == {8.0: 2, 11.314: 1}
    assert [row["listed"] for row in report["by_latitude"]] == [1, 2]


def test_an_incomplete_list_and_nothing_found() -> None:
    report = compare(np.empty((0, 3)), LISTED, MARS, Window(5, 40), complete=True)
    assert report["recall"] == 0 and report["precision"] is None
    assert report["diameter_bias"] is None


def write(path: Path, header: str, rows: list[tuple[float, float, float]]) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def test_columns_are_found_by_name_and_unit(tmp_path: Path) -> None:
    rows = [(10.0, 20.0, 3.5)]
    km = write(tmp_path / "km.csv", "lon_east_deg,lat_deg,diameter_km", rows)
    metres = write(tmp_path / "m.csv", "lon,lat,diameter_m", [(10.0, 20.0, 3500.0)])
    np.testing.assert_array_equal(read_catalogue(km), read_catalogue(metres))
    with pytest.raises(InputError, match="diameter"):
        read_catalogue(write(tmp_path / "bad.csv", "lon,lat,size", rows))


def test_the_command_prints_json(tmp_path: Path) -> None:
    listed = write(tmp_path / "a.csv", "lon,lat,diameter_km", [(10.0, 20.0, 10.0)])
    words = ["compare", "--found", listed, "--listed", listed, "--body", "mars"]
    words += ["--min-km", "1", "--max-km", "40", "--format", "json"]
    done = CliRunner().invoke(model, [str(word) for word in words], catch_exceptions=False)
    assert json.loads(done.stdout)["recall"] == 1.0
