"""``make demo``: real pictures to a crater catalogue, a density map and annotated pictures.

Each step is what a command of ``cda`` does; run again, every step finds its work done.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from cda_db import create, embedded
from cda_db.bodies import Body
from cda_db.connection import Connection, connect, engine
from cda_db.errors import CdaError, NotFoundError
from cda_db.migrate import migrate
from cda_db.output import progress, show_figures
from cda_db.runs import Run, get_run, run_status
from cda_db.settings import home, target
from ingest.crew import run_crew
from ingest.finish import make_catalogue
from ingest.plan import RunRequest, extend_run, plan_run
from ingest.register import SceneSettings, find_files, known_files, register_files
from ingest.source import ReadOptions
from ingest.training.matching import match, sphere_pairs
from ingest.worker import Work
from queries.annotate import annotate_scene, write_picture
from queries.craters import run_craters, write_craters
from queries.density.bins import user_bins
from queries.density.of_run import catalogue_bins
from queries.density.report import MapRequest, make_map, write_outputs
from queries.session import reading
from workflow.demo_data import DemoData, find_demo_data

WORKERS = 2
IOU = 0.3


class Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block and say on stderr that it has begun."""
        click.echo(f"{name} ...", err=True)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


def main() -> None:
    """Run the demo; ends with a table of figures and the paths of what it made."""
    out = home() / "demo-output"
    out.mkdir(exist_ok=True)
    watch = Stopwatch()
    with watch.stage("server"):
        prepare_database()
    data = find_demo_data(out / "data")
    click.echo(data.describes, err=True)
    with watch.stage("scenes"):
        names = register(data)
    with watch.stage("detection"):
        plan(data, names)
        detect(data)
    with watch.stage("suppression"):
        make_catalogue(data.name, workers=WORKERS)
    with reading() as conn:
        run = get_run(conn, data.name)
        with watch.stage("outputs"):
            write_catalogue(conn, run, data, out)
        with watch.stage("pictures"):
            draw(conn, run, names, out / "pictures")
        summary = {**counts(conn, run, data), "data": data.describes, "seconds": watch.seconds}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    report(summary, out)


def prepare_database() -> None:
    """Server, database and schema, each made where it is missing."""
    place = target()
    if place.cluster is not None:
        embedded.start(place.cluster)
    create.create_database(place)
    migrate(engine())


def register(data: DemoData) -> list[str]:
    """Register the pictures; returns the names of their scenes.

    Raises:
        CdaError: a picture was refused.
    """
    files = find_files(data.paths)
    with connect(role="cda_owner") as conn:
        known = known_files(conn, files)
        new = [file for file in files if file not in known]
        with progress("Scenes", len(new)) as advance:
            outcomes = register_files(
                conn,
                new,
                SceneSettings(data.body, data.kind, ReadOptions(light_deg=data.light_deg)),
                jobs=WORKERS,
                on_done=advance,
            )
    for outcome in outcomes:
        if outcome.scene is None:
            raise CdaError(outcome.problem or "", outcome.remedy or "")
    names = [outcome.scene for outcome in outcomes if outcome.scene]
    return sorted(names + [name for scenes in known.values() for name in scenes])


def plan(data: DemoData, names: list[str]) -> None:
    """Make the run, or add to it what scenes it lacks."""
    try:
        with connect(role="cda_reader") as conn:
            get_run(conn, data.name)
    except NotFoundError:
        request = RunRequest(data.name, data.body, data.levels)
        plan_run(request, names, all_scenes=False)
    else:
        extend_run(data.name, names)


def detect(data: DemoData) -> None:
    """Work until every batch of the run is done."""
    with connect(role="cda_reader") as conn:
        states = run_status(conn, get_run(conn, data.name))["batches"]
    waiting = states["open"] + states["claimed"]
    with progress("Batches", waiting) as advance:
        if waiting:
            run_crew(Work(data.name, lease_s=20), WORKERS, lambda _event: advance())


def write_catalogue(conn: Connection, run: Run, data: DemoData, out: Path) -> None:
    """The catalogue as GeoPackage, the density as GeoTIFF and picture."""
    write_craters(out / "craters.gpkg", run_craters(conn, run), run.body)
    bins = MapRequest(bins=catalogue_bins(conn, run), order=data.density_order)
    write_outputs(make_map(conn, run, bins), bins, [out / "density.tif"], title=run.name)
    # one wide bin, smoothed, is what the eye can read
    shown = MapRequest(
        bins=user_bins(data.picture_km), order=data.density_order, smooth_km=data.smooth_km
    )
    write_outputs(make_map(conn, run, shown), shown, [out / "density.png"], title=run.name)


def draw(conn: Connection, run: Run, names: list[str], folder: Path) -> None:
    """An annotated picture a scene; those that are there stay while the catalogue is the same."""
    folder.mkdir(exist_ok=True)
    stamp = folder / ".catalogue"
    row = conn.execute(
        "SELECT decided_at::text FROM cda.catalogue WHERE run_id = %s", [run.run_id]
    ).fetchone()
    made = str(row[0]) if row else ""
    if stamp.exists() and stamp.read_text() != made:
        for picture in folder.glob("*.png"):
            picture.unlink()
    todo = [name for name in names if not (folder / f"{name}.png").exists()]
    with progress("Pictures", len(todo)) as advance:
        for name in todo:
            write_picture(folder / f"{name}.png", annotate_scene(conn, run, name))
            advance()
    stamp.write_text(made)


def counts(conn: Connection, run: Run, data: DemoData) -> dict[str, Any]:
    """The run in figures, and how many of the listed craters it found."""
    status = run_status(conn, run)
    found = run_craters(conn, run)
    hits = n_matched(data.listed, found, run.body)
    names = ("scenes", "tiles", "detections", "cut", "suppressed", "craters")
    return {
        **{name: int(status[name]) for name in names},
        "listed": len(data.listed),
        "listed_found": hits,
        "listed_found_at_random_places": n_matched(data.listed, shuffled(found), run.body),
        "listed_are": data.listed_are,
    }


def n_matched(listed: pd.DataFrame, found: pd.DataFrame, body: Body) -> int:
    """Listed craters with a detection of their own at circle IoU 0.3, matched one to one."""
    columns = ["lon", "lat", "diameter_m"]
    a, b = (table[columns].to_numpy(float) for table in (listed, found))
    return len(match(sphere_pairs(a, b, body.radius_m, IOU), len(a), len(b))[0])


def shuffled(found: pd.DataFrame) -> pd.DataFrame:
    """The same diameters at random places of the sphere: what chance alone would match."""
    rng = np.random.default_rng(0)
    n = len(found)
    places = {
        "lon": rng.uniform(-180, 180, n),
        "lat": np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
    }
    return pd.DataFrame({**places, "diameter_m": found["diameter_m"].to_numpy()})


def report(summary: dict[str, Any], out: Path) -> None:
    """The short table at the end."""
    shown = {key: value for key, value in summary.items() if key not in ("data", "listed_are")}
    shown["listed_found"] = f"{summary['listed_found']} of {summary['listed']}"
    shown.pop("listed")
    show_figures(shown)
    click.echo(f"listed: {summary['listed_are']}")
    for name in ("craters.gpkg", "density.tif", "density.png", "pictures", "summary.json"):
        click.echo(str(out / name))


if __name__ == "__main__":
    try:
        main()
    except CdaError as error:
        click.echo(f"Error: {error.problem}\n  {error.remedy}", err=True)
        sys.exit(error.exit_code)
