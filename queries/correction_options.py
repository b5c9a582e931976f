"""Options with which commands correct counts: by an evaluation's file, or one in the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cda_db.connection import Connection
    from cda_db.runs import Run
    from queries.density.correction import Correction

_Command = TypeVar("_Command", bound=Callable[..., Any])
_STORED = "stored"


def correction_options(command: _Command) -> _Command:
    """Add ``--correct`` and ``--correct-scale`` to a command."""
    for option in (
        click.option(
            "--correct-scale", type=float, metavar="M",
            help="Metres a pixel of the file's sizes, as the run saw them.",
        ),
        click.option(
            "--correct", metavar="stored[:NAME]|FILE",
            help="Correct by an evaluation of the run's detector in the database, or by the JSON of"
            " `cda model evaluate`.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def correction_of(
    conn: Connection, run: Run, wanted: str | None, metres_a_pixel: float | None
) -> Correction | None:
    """The correction that a person named, and a line on stderr that says which it is.

    Raises:
        InputError: no or several evaluations fit; an unreadable file, or one without its scale; a
            scale where the scenes' own count.
    """
    from cda_db.errors import InputError
    from queries.density.completeness import read_curve
    from queries.density.correction import Correction, Scale
    from queries.stored_correction import stored_correction

    if wanted is None:
        return None
    if wanted == _STORED or wanted.startswith(f"{_STORED}:"):
        if metres_a_pixel is not None:
            raise InputError("The run's scenes know their scale.", "Leave --correct-scale away.")
        made = stored_correction(conn, run, wanted.partition(":")[2] or None)
        click.echo(f"Corrected by {made.origin}.", err=True)
        return made
    if metres_a_pixel is None:
        raise InputError(
            "The evaluation's sizes are pixels.", "Say how large one is: --correct-scale 100."
        )
    return Correction(read_curve(Path(wanted)), (Scale(metres_a_pixel),), wanted)
