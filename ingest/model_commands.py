"""``cda model``: train, evaluate, export, list and show detectors."""

from __future__ import annotations

import click

from cda_db.output import format_option, show_figures, show_rows
from ingest.model_evaluation import compare, evaluate, evaluations, register
from ingest.model_export import export
from ingest.model_relabel import relabel
from ingest.model_training import dataset, train


@click.group()
def model() -> None:
    """Detectors: train, evaluate, export, list, show."""


for command in (train, relabel, dataset, export, evaluate, evaluations, register, compare):
    model.add_command(command)


@model.command("list")
@format_option
def list_models(output_format: str) -> None:
    """List the detectors that come with the project.

    \b
    Example:
      cda model list
    """
    from ingest.detector_files import find_model, shipped_models

    rows = []
    for name in shipped_models():
        found = find_model(name)
        rows.append(
            {
                "name": name,
                "default": bool(found.card.get("default")),
                "architecture": found.card["architecture"],
                "threshold": found.card["threshold"],
                "diameter_factor": found.card["diameter_factor"],
                "sha256": found.sha256.hex()[:12],
            }
        )
    show_rows(rows, output_format)


@model.command()
@click.argument("name", required=False)
@format_option
def show(name: str | None, output_format: str) -> None:
    """Show a detector's card: data, recipe, figures, calibration. Without NAME the default's.

    \b
    Example:
      cda model show
      cda model show runs/mine --format json
    """
    from ingest.detector_files import default_model_name, find_model

    card = find_model(name or default_model_name()).card
    if output_format == "table":
        card = {key: value for key, value in card.items() if not isinstance(value, dict | list)}
    show_figures(card, output_format)
