"""The root command: fast, light, helpful, and in words where something is wrong."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cda_db import command
from cda_db.errors import LeaseLostError, SceneError, ServerError

PROGRAM = Path(sys.executable).parent / "cda"
LIGHT = """
import sys
from importlib.metadata import entry_points
for entry in entry_points(group="cda.commands"):
    entry.load()
print(*sys.modules)
"""


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from _commands(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


COMMANDS = dict(_commands(command.cda, ("cda",)))


def test_help_takes_less_than_half_a_second() -> None:
    """In the processor's time, which other work on the machine does not stretch."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([PROGRAM, "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5


def test_groups_load_without_anything_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], check=True, capture_output=True, text=True)
    heavy = "numpy pandas torch sqlalchemy psycopg rich rasterio pyproj shapely scipy openvino"
    assert set(heavy.split()).isdisjoint(done.stdout.split())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_an_example(name: str) -> None:
    _, example, lines = (COMMANDS[name].help or "").partition("\b\n")
    assert example, "no paragraph that begins with \\b"
    assert any(name in line for line in lines.splitlines()), f"no line with '{name} ...'"


def test_every_group_of_the_project_loads() -> None:
    assert {"db", "ingest", "query", "model"} <= {e.name for e in entry_points(group=command.GROUP)}
    assert not [name for name, cmd in COMMANDS.items() if "does not load" in (cmd.help or "")]


def test_version() -> None:
    result = CliRunner().invoke(command.cda, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("cda 0.")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root command with one group that does not import and one that is no command."""
    entries = {
        "lost": EntryPoint("lost", "no_such_module:group", command.GROUP),
        "odd": EntryPoint("odd", "cda_db.errors:CdaError", command.GROUP),
    }
    monkeypatch.setattr(command, "_entry_points", lambda: entries)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(("name", "reason"), [("lost", "no_such_module"), ("odd", "no click")])
def test_a_broken_group_says_why(name: str, reason: str) -> None:
    for words in ([name], [name, "sub", "--option", "1"], [name, "--help"]):
        result = CliRunner().invoke(command.cda, words)
        assert result.exit_code == 1
        assert f"Error: The group '{name}' does not load" in result.stderr
        assert reason in result.stderr
        assert "Traceback" not in result.output


@pytest.mark.usefixtures("broken")
def test_a_broken_group_does_not_break_help() -> None:
    result = CliRunner().invoke(command.cda, ["--help"])
    assert result.exit_code == 0
    assert "does not load" in result.stdout


@pytest.mark.parametrize(("kind", "code"), [(SceneError, 2), (ServerError, 3), (LeaseLostError, 4)])
def test_errors_are_a_problem_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch, kind: type[SceneError], code: int
) -> None:
    @click.command()
    def fail() -> None:
        raise kind("a.tif has no CRS.", "Give it one.")

    monkeypatch.setitem(command.cda.commands, "fail", fail)
    result = CliRunner().invoke(command.cda, ["fail"])
    assert result.exit_code == code
    assert result.stderr == "Error: a.tif has no CRS.\n  Give it one.\n"
    assert result.stdout == ""


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(command.cda, ["paint"])
    assert result.exit_code == 2
    assert "No such command 'paint'" in result.stderr
