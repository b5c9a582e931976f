"""The command group ``cda model``: train, evaluate, export, list and show detectors."""

from __future__ import annotations

import click


@click.group()
def model() -> None:
    """Detectors: train, evaluate, export, list, show."""


@model.command()
@click.option("--data", "folders", multiple=True, required=True, type=click.Path(exists=True))
@click.option("--exclude", multiple=True, help="Stem of an image to leave out; repeatable.")
@click.option(
    "--holdout", default=0.1, show_default=True, help="Share of images kept for validation."
)
@click.option(
    "--caps",
    nargs=3,
    default=None,
    metavar="DEM CATALOGUE BODY",
    help="Shade a global elevation model's polar caps as further training pictures.",
)
@click.option("--out", "name", required=True, help="Name of the model.")
@click.option("--epochs", default=14, show_default=True)
@click.option("--hours", type=float, default=None, help="Shorten the schedule to end about then.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option(
    "--work", default="runs/train", show_default=True, help="Folder for runs in progress."
)
def train(folders, exclude, holdout, caps, name, epochs, hours, seed, threads, work):  # type: ignore
    """Train a detector from scratch."""
    from pathlib import Path

    from cda_db.bodies import get_body
    from ingest.training.dataset import Caps, DataRequest
    from ingest.training.train import Recipe, train as run

    chosen = Caps(Path(caps[0]), Path(caps[1]), get_body(caps[2])) if caps else None
    data = DataRequest(tuple(Path(f) for f in folders), tuple(exclude), holdout, chosen, seed=seed)
    run(
        data,
        Recipe(epochs=epochs, seed=seed),
        Path(work) / name,
        threads,
        lambda e, n, loss: click.echo(f"epoch {e}/{n} loss {loss:.3f}", err=True),
        hours=hours,
    )
