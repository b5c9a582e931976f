"""Options that several commands of ``cda model`` share."""

from __future__ import annotations

from pathlib import Path

import click

folder = click.Path(exists=True, file_okay=False, path_type=Path)
levels_option = click.option(
    "--levels",
    default="0.5,1,4",
    show_default=True,
    help="Down-sampling factors of the search; below 1 they up-sample.",
)
threads_option = click.option(
    "--threads", default=1, show_default=True, help="CPU threads (1 where others compute too)."
)
