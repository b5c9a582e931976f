"""What commands print: figures on stdout as a table or JSON, progress on stderr.

Imports nothing but click and the standard library, so that command modules may import it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

Row = Mapping[str, Any]
_Command = TypeVar("_Command", bound=Callable[..., Any])


def format_option(command: _Command) -> _Command:
    """Add ``--format table|json`` to a command, as argument ``output_format``."""
    option = click.option(
        "--format",
        "output_format",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="How figures are printed on stdout.",
    )
    return option(command)


def show_rows(rows: Sequence[Row], output_format: str = "table") -> None:
    """Print rows of equal keys: a table with aligned columns, or a JSON array of objects."""
    if output_format == "json":
        click.echo(to_json(list(rows)))
    elif rows:
        for line in _table(rows):
            click.echo(line)


def show_figures(figures: Row, output_format: str = "table") -> None:
    """Print named figures: a name and a value a line, or one JSON object."""
    if output_format == "json":
        click.echo(to_json(figures))
    else:
        width = max(map(len, figures), default=0)
        for name, value in figures.items():
            click.echo(f"{name:<{width}}  {_cell(value)}")


def to_json(value: Any) -> str:
    """Strict JSON text of figures: no NaN or infinity (they become null), NumPy values as numbers.

    Raises:
        TypeError: a value of a type that has no place in figures.
    """
    return json.dumps(_plain(value), indent=2, allow_nan=False)


class Advance(Protocol):
    """Moves a progress bar on by a number of steps."""

    def __call__(self, steps: int = 1) -> None: ...


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Advance]:
    """A progress bar on stderr for the length of a block; nothing where stderr is no terminal.

    Args:
        description: what is going on, in a few words.
        total: how many steps there are, None if nobody knows.

    Yields:
        A function that moves the bar on by a number of steps.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def advance(steps: int = 1) -> None:
            bar.advance(task, steps)

        yield advance


def _table(rows: Sequence[Row]) -> Iterator[str]:
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    rule = ["-" * width for width in widths]
    for line in (names, rule, *cells):
        parts = zip(line, widths, numeric, strict=True)
        yield "  ".join(f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in parts).rstrip()


def _cell(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return "-"
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, float):
        return f"{plain:.6g}"
    return json.dumps(plain) if isinstance(plain, dict | list) else str(plain)


def _plain(value: Any) -> Any:
    """The value in JSON's own types."""
    # NumPy's scalars and arrays know it themselves; NumPy is not imported for this.
    plain = value.tolist() if hasattr(value, "tolist") else value
    if plain is None or isinstance(plain, str | bool | int):
        return plain
    if isinstance(plain, Mapping):
        return {str(key): _plain(item) for key, item in plain.items()}
    if isinstance(plain, list | tuple | set | frozenset):
        return [_plain(item) for item in plain]
    return _plain_scalar(plain)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__float__"):  # float, Decimal, Fraction
        number = float(value)
        return number if math.isfinite(number) else None
    raise TypeError(f"{type(value).__name__} has no place among figures")
