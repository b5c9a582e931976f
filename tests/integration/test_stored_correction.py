"""Counts corrected by an evaluation in the database, against a planted truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from conftest import run_cda
from numpy.typing import NDArray
from rows import Detections, make_run, scene, store

from cda_db.bodies import get_body
from cda_db.connection import connect
from cda_db.errors import InputError
from cda_db.evaluations import Evaluation, SizeBin, store_evaluation
from cda_db.runs import add_scenes, get_run
from cda_db.scenes import register_scene
from cda_db.settings import Target
from cda_db.suppression import suppress
from queries import moc
from queries.ages.systems import get_system
from queries.session import reading
from queries.stored_correction import stored_correction

MARS = get_body("mars")
SYSTEM = get_system("mars-neukum-ivanov-2001")
ORDER, CELLS = 8, 20_000
AREA_KM2 = MARS.area_km2 * CELLS / (12 * 4**ORDER)
AGE_GA = 1.0
# What the detector of the test does: half is found, 10 % too large, and a fifth is no crater.
RECALL, PRECISION, RATIO = 0.5, 0.8, 1.1


def true_diameters() -> NDArray[np.float64]:
    """Diameters (km) from 0.7 to 8 km of a surface of that age, at the quantiles."""
    n1 = float(SYSTEM.chronology.density(AGE_GA))
    grid = np.geomspace(0.7, 8.0, 3001)
    above = AREA_KM2 * n1 * SYSTEM.production.between(grid, np.full(3001, 8.0))
    return np.asarray(np.interp(-np.arange(0.5, above[0]), -above, grid))


def detected() -> Detections:
    """What that detector makes of them, one a cell."""
    rng = np.random.default_rng(3)
    true = true_diameters()
    found = RATIO * true[::2]
    false = RATIO * rng.choice(true, round(len(found) * (1 / PRECISION - 1)), replace=False)
    d = np.concatenate([found, false]) * 1000
    lon, lat = moc.cell_centres(rng.permutation(CELLS)[: len(d)], ORDER)
    score = rng.uniform(0.5, 1, len(d)).astype(np.float32)
    return Detections(lon, lat, d.astype(np.float32), score, np.full(len(d), 1))


def an_evaluation(name: str, **changes: Any) -> Evaluation:
    """Pixels of 100 m: sizes from 5.7 to 90.5 px, that is 0.57 to 9.05 km."""
    edges = 2.0 ** (np.arange(5, 14) / 2)
    bins = tuple(
        SizeBin(low, high, 4000, round(4000 * RECALL), round(4000 * RECALL / PRECISION),
                round(4000 * RECALL), RATIO, 0.02)
        for low, high in pairwise(edges)
    )  # fmt: skip
    values: dict[str, Any] = {
        "name": name, "kind": "drawing", "body": "mars", "data_sha256": name.encode().ljust(32),
        "rules": {"name": name}, "threshold": 0.0, "size_unit": "px", "n_truth": 4000,
        "n_found": 2000, "n_detections": 2500, "n_right": 2000, "bins": bins,
    }  # fmt: skip
    return Evaluation(**(values | changes))


@pytest.fixture(scope="module")
def target(module_database: Target) -> Target:
    """Run ``thin`` of that detector, with one evaluation at its threshold and one at another."""
    with connect(module_database) as conn:
        run = make_run(conn, "thin")
        wide = scene("wide", coverage_order=ORDER, coverage=np.array([[0, CELLS]]))
        add_scenes(conn, run, [register_scene(conn, wide)[0]])
        conn.commit()
        store(conn, run, detected())
        store_evaluation(conn, run.model_id, an_evaluation("fits"))
        store_evaluation(conn, run.model_id, an_evaluation("stricter", threshold=0.5))
    suppress(module_database, run)
    return module_database


@pytest.fixture
def cda(target: Target) -> Callable[..., Result]:
    return lambda *words: run_cda(target, *words)


def rows_of(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_the_true_density_comes_back(cda: Callable[..., Result]) -> None:
    done = cda("query", "density", "--run", "thin", "--bins", "1,2,4", "--correct", "stored",
               "--format", "json")  # fmt: skip
    assert "'fits' (drawing), of rows at 0, 100 to 100 m a pixel" in done.stderr
    true = true_diameters()
    for row, (low, high) in zip(rows_of(done), [(1, 2), (2, 4)], strict=True):
        expected = ((true >= low) & (true < high)).sum() / row["area_km2"]
        assert row["recall"] == RECALL and row["precision"] == pytest.approx(PRECISION)
        assert row["corrected_per_km2"] == pytest.approx(expected, rel=0.1)
        assert row["corrected_lower_per_km2"] < expected < row["corrected_upper_per_km2"]
        assert not row["lower_per_km2"] < expected < row["upper_per_km2"]


def test_the_true_age_comes_back(cda: Callable[..., Result]) -> None:
    words = ("query", "age", "--run", "thin", "--system", SYSTEM.key, "--range", "1,4")
    (plain,) = rows_of(cda(*words, "--format", "json"))
    assert not plain["age_ga_low"] < AGE_GA < plain["age_ga_high"]
    (row,) = rows_of(cda(*words, "--correct", "stored:fits", "--format", "json"))
    assert row["age_ga_low"] < AGE_GA < row["age_ga_high"]
    assert row["age_ga"] == pytest.approx(AGE_GA, rel=0.08)
    # the correction's own error: with 4,000 labels a bin about 2 % beside the count's
    width = np.log(row["n1_per_km2_high"] / row["n1_per_km2_low"])
    counted = np.log(plain["n1_per_km2_high"] / plain["n1_per_km2_low"])
    assert counted < width < counted + 0.2
    assert "as_craterstats_ga" not in row and "corrected" in row["counts"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--correct", "stored:nothing"), "No evaluation 'nothing'"),
        (("--correct", "stored:stricter"), "at its threshold 0"),
        (("--correct", "stored", "--correct-scale", "100"), "scenes know their scale"),
        (("--correct", "nowhere.json"), "pixels"),
        (("--correct", "stored", "--method", "cumulative"), "another area for each size"),
    ],
)
def test_what_does_not_fit_is_refused(
    cda: Callable[..., Result], words: tuple[str, ...], said: str
) -> None:
    done = cda("query", "age", "--run", "thin", "--system", SYSTEM.key, "--range", "1,4", *words)
    assert done.exit_code == 2 and said in done.stderr


def test_several_that_fit_are_named_not_guessed(target: Target) -> None:
    with connect(target) as conn:
        run = get_run(conn, "thin")
        number, _ = store_evaluation(conn, run.model_id, an_evaluation("fits too", size_unit="m"))
        with pytest.raises(InputError, match=r"2 evaluations .* 'fits' .* 'fits too'"):
            stored_correction(conn, run)
        in_metres = stored_correction(conn, run, str(number))
        assert [scale.metres for scale in in_metres.scales] == [1.0]
        conn.rollback()


def test_a_run_s_scales_and_windows(target: Target) -> None:
    with reading(target) as conn:
        (scale,) = stored_correction(conn, get_run(conn, "thin")).scales
    assert scale.metres == pytest.approx(100)
    assert (scale.least_m, scale.most_m) == (600, 9200)
