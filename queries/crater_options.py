"""Options with which the science commands take craters: of a run, or of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from queries.crater_sets import CraterSet
    from queries.region_options import RegionChoice

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--run", "crater_run", metavar="NAME", help="Craters of a run."),
    click.option(
        "--craters", "crater_file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Or of a file: CSV, GeoPackage, GeoParquet with lon, lat, diameter_m or _km.",
    ),
    click.option("--body", "crater_body", help="Body of the file's craters."),
    click.option(
        "--imaged", "crater_imaged", metavar="whole|S,N",
        help="Ground that the file's craters were sought on: whole, or between two latitudes.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class CraterChoice:
    """What a person said about the craters; ``read`` gets them."""

    run: str | None
    file: Path | None
    body: str | None
    imaged: str | None

    def read(self, low_m: float, high_m: float, region: RegionChoice | None = None) -> CraterSet:
        """Craters with low <= D < high and the ground imaged for them.

        Raises:
            InputError: neither or both of a run and a file were named, or the file's body or
                ground is missing: nothing is guessed.
        """
        from cda_db.errors import InputError
        from queries.crater_sets import file_craters, run_craters

        if (self.run is None) == (self.file is None):
            raise InputError("No craters were named, or two kinds.", "Give --run or --craters.")
        if self.run is not None:
            return run_craters(self.run, low_m, high_m, region)
        assert self.file is not None
        if self.body is None or self.imaged is None:
            raise InputError(
                f"{self.file.name} says neither its body nor where craters were sought.",
                "Give --body NAME and --imaged whole (or S,N in degrees of latitude).",
            )
        return file_craters(self.file, self.body, self.imaged, low_m, high_m, region)


def crater_options(command: _Command) -> _Command:
    """Add the options to a command, as one argument ``craters``."""

    @wraps(command)
    def chosen(**values: Any) -> Any:
        names = ("run", "file", "body", "imaged")
        choice = CraterChoice(*(values.pop(f"crater_{name}") for name in names))
        return command(craters=choice, **values)

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen  # type: ignore[return-value]


def kilometres(text: str, what: str) -> tuple[float, float]:
    """``LOW,HIGH`` in km as metres.

    Raises:
        InputError: not two ascending numbers.
    """
    from cda_db.errors import InputError

    try:
        low, high = (float(part) * 1000.0 for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not 0.0 <= low < high:
        raise InputError(f"{what} {text!r} is not LOW,HIGH in km.", "Give e.g. 0.05,0.5.")
    return low, high
