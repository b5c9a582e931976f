"""Evaluations in the database: stored once, by size with exact errors, from pictures and runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hpgeom
import numpy as np
import pytest
from click.testing import CliRunner, Result
from cratered import cratered_ground
from PIL import Image
from rows import Detections, make_run, store
from scipy import stats

from cda_db.command import cda as root
from cda_db.connection import Connection, connect
from cda_db.errors import NotFoundError
from cda_db.evaluations import (
    Evaluation,
    SizeBin,
    evaluation_bins,
    list_evaluations,
    scene_scales,
    store_evaluation,
)
from cda_db.models import register_model
from cda_db.runs import Run
from cda_db.settings import Target
from cda_db.suppression import suppress
from ingest.detector_files import SHIPPED, default_model_name, find_model

BINS = (
    SizeBin(8.0, 11.3, 10, 7, 9, 7, 1.02, 0.05),
    SizeBin(11.3, 16.0, 4, 4, 4, 4, 0.99, 0.03),
    SizeBin(16.0, 22.6, 0, 0, 1, 0),
)


def an_evaluation(**changes: Any) -> Evaluation:
    values: dict[str, Any] = {
        "name": "CTX", "kind": "CTX", "body": "mars", "data_sha256": bytes(32),
        "rules": {"threshold": 0.45, "rules": {"iou": 0.3}}, "threshold": 0.45, "size_unit": "px",
        "n_truth": 14, "n_found": 11, "n_detections": 14, "n_right": 11, "bins": BINS,
        "recall_95": (0.5, 0.9), "report": {"by_size": []},
    }  # fmt: skip
    return Evaluation(**(values | changes))


@pytest.fixture
def model_id(conn: Connection) -> int:
    return register_model(conn, "m", b"m" * 32, {"architecture": "none", "diameter_factor": 1.0})


def test_the_same_model_data_and_rules_are_stored_once(conn: Connection, model_id: int) -> None:
    first = store_evaluation(conn, model_id, an_evaluation())
    assert first == (1, True)
    assert store_evaluation(conn, model_id, an_evaluation(name="again")) == (1, False)
    others = ({"data_sha256": b"x" * 32}, {"rules": {"threshold": 0.5}})
    assert all(store_evaluation(conn, model_id, an_evaluation(**one))[1] for one in others)
    rows = list_evaluations(conn, model_sha256=b"m" * 32)
    assert [row["name"] for row in rows] == ["CTX", "CTX", "CTX"]
    assert list_evaluations(conn, model_sha256=b"n" * 32) == []
    (count,) = conn.execute("SELECT count(*) FROM cda.evaluation_bin").fetchone() or (0,)
    assert count == 9


def test_figures_follow_from_the_counts(conn: Connection, model_id: int) -> None:
    store_evaluation(conn, model_id, an_evaluation())
    (row,) = list_evaluations(conn)
    assert row["recall"] == row["precision"] == row["f1"] == pytest.approx(11 / 14)
    assert row["threshold"] == 0.45 and row["model"] == "m"
    assert (row["recall_low"], row["recall_high"]) == (0.5, 0.9)


def test_bins_carry_exact_binomial_bounds(conn: Connection, model_id: int) -> None:
    stored, _ = store_evaluation(conn, model_id, an_evaluation())
    rows = evaluation_bins(conn, stored).to_dict("records")
    for row, given in zip(rows, BINS, strict=True):
        for name, hits, total in (
            ("recall", given.n_found, given.n_truth),
            ("precision", given.n_right, given.n_detections),
        ):
            if not total:
                assert np.isnan([row[name], row[f"{name}_low"], row[f"{name}_high"]]).all()
                continue
            assert hits is not None
            exact = stats.binomtest(hits, total).proportion_ci(0.95, method="exact")
            assert row[name] == hits / total
            bounds = (row[f"{name}_low"], row[f"{name}_high"])
            assert bounds == pytest.approx((exact.low, exact.high), abs=1e-9)
    with pytest.raises(NotFoundError):
        evaluation_bins(conn, stored + 1)


def a_run(conn: Connection, target: Target) -> tuple[Run, float, float]:
    """Four craters in the one cell that the run has seen: its centre, and 0.15 degrees around."""
    run = make_run(conn, "r")
    lon, lat = (float(x) for x in hpgeom.pixel_to_angle(2**6, 0))
    at = np.array([[lon, lat], [lon + 0.15, lat], [lon - 0.15, lat], [lon, lat + 0.15]])
    found = Detections(
        at[:, 0], at[:, 1], np.array([2000, 3000, 4000, 1500], np.float32),
        np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.zeros(4, np.int64),
    )  # fmt: skip
    store(conn, run, found)
    suppress(target, run)
    return run, lon, lat


def test_a_run_is_judged_where_it_looked(
    conn: Connection, database: Target, cda: Callable[..., Result], tmp_path: Path
) -> None:
    """Listed: two of the run's craters, one that it missed, and one far away."""
    _, lon, lat = a_run(conn, database)
    listed = [(lon, lat, 2.0), (lon + 0.15, lat, 3.15), (lon, lat - 0.15, 2.5), (lon + 90, lat, 3)]
    path = tmp_path / "listed.csv"
    path.write_text(
        "lon_deg,lat_deg,diameter_km\n" + "\n".join(",".join(map(str, row)) for row in listed)
    )
    words = ("model", "evaluate", "--run", "r", "--against", path, "--complete", "--min-km", 1)
    words += ("--store", "listed", "--format", "json")
    done = cda(*words)
    assert done.exit_code == 0, done.stderr
    assert "stored" in done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert (figures["right"], figures["false"], figures["missed"]) == (2, 2, 1)
    assert "known" in cda(*words).stderr
    (row,) = list_evaluations(conn)
    assert (row["size_unit"], row["body"], row["n_truth"]) == ("m", "mars", 3)
    assert evaluation_bins(conn, row["evaluation_id"])["n_detections"].sum() == 4
    shown = cda("model", "evaluations", "--id", row["evaluation_id"])
    assert "recall_low" in shown.stdout
    assert "listed" in cda("model", "evaluations").stdout


def test_a_run_against_itself_is_perfect_and_wrong_words_are_refused(
    conn: Connection, database: Target, cda: Callable[..., Result]
) -> None:
    a_run(conn, database)
    done = cda("model", "evaluate", "--run", "r", "--against", "run:r", "--complete",
               "--min-km", 1, "--format", "json")  # fmt: skip
    assert json.loads(done.stdout)["figures"]["f1"] == 1.0
    table = cda("model", "evaluate", "--run", "r", "--against", "run:r", "--min-km", 1)
    assert table.exit_code == 0 and "circle IoU 0.3" in table.stdout
    assert cda("model", "evaluate", "--run", "r").exit_code == 2
    assert cda("model", "evaluate", "--run", "r", "--against", "nowhere.csv").exit_code == 2


def test_scales_of_scenes(conn: Connection, database: Target) -> None:
    run, _, _ = a_run(conn, database)
    (row,) = scene_scales(conn, run).to_dict("records")
    assert row["pixel_scale_m"] == 100 and row["cells"] == 1
    assert (row["least_m"], row["most_m"]) == (600, 9200)


def judge_drawing(folder: Path, *more: str) -> tuple[str, ...]:
    """Words of ``cda`` that judge the copied model on the drawn picture."""
    return (
        "model", "evaluate", "--images", str(folder / "images"), "--labels",
        str(folder / "labels"), "--model", str(folder / "copy"), "--levels", "1", *more,
        "--kind", "drawing", "--format", "json",
    )  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn picture with a label, and a copy of the shipped model that was judged by it."""
    folder = tmp_path_factory.mktemp("drawn")
    for name in ("images", "labels"):
        (folder / name).mkdir()
    Image.fromarray(cratered_ground(416, 416, 12, 3)).save(folder / "images" / "a.png")
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    shutil.copytree(SHIPPED / default_model_name(), folder / "copy")
    done = CliRunner().invoke(root, judge_drawing(folder, "--record", "drawn"))
    assert done.exit_code == 0, done.stderr
    return folder


def test_pictures_into_the_database(drawn: Path, cda: Callable[..., Result]) -> None:
    """Stored by name; the card's entry of the same data and rules is then known."""
    done = cda(*judge_drawing(drawn, "--store", "drawn"))
    assert done.exit_code == 0, done.stderr
    (stored,) = json.loads(cda("model", "evaluations", "--format", "json").stdout)
    assert (stored["name"], stored["kind"], stored["body"]) == ("drawn", "drawing", None)
    assert stored["data_sha256"] == json.loads(done.stdout)["data_sha256"]
    known = json.loads(cda("model", "register", drawn / "copy", "--format", "json").stdout)
    assert "drawn" in known["known"] and "drawn" not in known["stored"]


def test_a_new_database_learns_them_from_the_card(
    drawn: Path, cda: Callable[..., Result], database: Target
) -> None:
    figures = find_model(drawn / "copy").card["evaluations"]["drawn"]["figures"]
    done = json.loads(cda("model", "register", drawn / "copy", "--format", "json").stdout)
    assert "drawn" in done["stored"]
    shipped = find_model(default_model_name()).card.get("evaluations", {})
    assert set(done["stored"] + done["incomplete"]) == {*shipped, "drawn"}
    with connect(database, role="cda_reader") as reader:
        rows = {row["name"]: row for row in list_evaluations(reader)}
        bins = evaluation_bins(reader, rows["drawn"]["evaluation_id"])
    assert bins["n_truth"].sum() == 1
    assert rows["drawn"]["n_truth"] == figures["right"] + figures["missed"]
