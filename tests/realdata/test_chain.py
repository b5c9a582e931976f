"""The whole chain as ``make demo`` runs it: pictures in, craters out, compared with lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cda_db import check
from cda_db.bodies import get_body
from cda_db.catalogue import craters
from cda_db.connection import connect
from cda_db.runs import get_run
from cda_db.settings import Target
from ingest.finish import make_catalogue
from ingest.training.run_evaluation import RunQuestion, evaluate_run
from workflow import demo
from workflow.demo_data import DemoData, find_demo_data

ZUNIL = {"lon": 166.19, "lat": 7.70, "diameter_m": 10_260.0}


def run_chain(data: DemoData) -> pd.DataFrame:
    """Register, plan, detect, suppress; returns the craters of a sound run."""
    names = demo.register(data)
    demo.plan(data, names)
    demo.detect(data)
    make_catalogue(data.name, workers=2)
    with connect() as conn:
        run = get_run(conn, data.name)
        assert set(check.audit(conn, run).values()) == {0}
        return craters(conn, run)


def test_mars(
    sample_data: Callable[[str], Path], database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zunil within 0.5 km and 10 %; 90 % of the listed craters of 1.5-40 km off the tile edges."""
    sample_data("mars_themis_georef/scenes")
    monkeypatch.setenv("CDA_DATABASE_URL", database.url)
    data = find_demo_data(Path("unused"))
    found = run_chain(data)
    mars = get_body("mars")
    n = len(found)
    _, _, away_m = mars.geod().inv(
        found["lon"], found["lat"], np.full(n, ZUNIL["lon"]), np.full(n, ZUNIL["lat"])
    )
    here = (np.asarray(away_m) < 500) & (np.abs(found["diameter_m"] / 10_260 - 1) < 0.1)
    assert here.sum() == 1
    assert demo.n_matched(data.listed, found, mars) >= 0.9 * len(data.listed)
    # the same by `cda model evaluate --run`: one to one, craters whole on imaged ground
    listed = str(sample_data("mars_themis_georef/craters.csv"))
    with connect(role="cda_reader") as conn:
        report = evaluate_run(conn, RunQuestion(data.name, listed, min_km=1.5, max_km=40.0))
    assert report["figures"]["recall"] >= 0.9
    assert abs(report["diameters"]["bias"]) < 0.05


def test_moon(database: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half of the named craters of 60-500 km, and four times what random places would match."""
    monkeypatch.setenv("CDA_DATABASE_URL", database.url)
    monkeypatch.setenv("CDA_SAMPLE_DATA", str(tmp_path / "none"))
    data = find_demo_data(tmp_path)
    found = run_chain(data)
    moon = get_body("moon")
    hits = demo.n_matched(data.listed, found, moon)
    assert hits >= 0.5 * len(data.listed)
    assert hits >= 4 * demo.n_matched(data.listed, demo.shuffled(found), moon)
    # no duplicate where the band meets itself at +-180, or where band and caps meet
    near_seam = found[(found["lon"].abs() > 170) | (found["lat"].abs() > 45)]
    rows = near_seam[["lon", "lat", "diameter_m"]].to_numpy(float)
    pairs = demo.sphere_pairs(rows, rows, moon.radius_m, 0.3)
    assert (pairs.i == pairs.j).all()
