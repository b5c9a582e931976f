"""Meteorite groups go into the database and come back; what is no range is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from cda_db.command import cda as root
from cda_db.connection import Connection
from cda_db.meteorites import MeteoriteGroup, store_groups, stored_groups
from cda_db.settings import Target
from queries.sources.groups import meteorite_groups

GROUP = MeteoriteGroup("one", "A 1, B 2", (1.1, 1.5), (325.0, 475.0), "paper", "another")


def test_the_shipped_table_comes_back(conn: Connection) -> None:
    shipped = meteorite_groups()
    assert stored_groups(conn) == []
    assert store_groups(conn, shipped) == len(shipped)
    stored = {group.name: group for group in stored_groups(conn)}
    assert len(stored) == len(shipped)
    for group in shipped:
        assert stored[group.name].ejection_ma == pytest.approx(group.ejection_ma, rel=1e-6)
        if group.crystallisation_ma is None:
            assert stored[group.name].crystallisation_ma is None
        else:
            assert stored[group.name].crystallisation_ma == pytest.approx(
                group.crystallisation_ma, rel=1e-6
            )
        assert stored[group.name].ejection_reference == group.ejection_reference
    store_groups(conn, [GROUP])
    assert [group.name for group in stored_groups(conn)] == ["one"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ejection_ma": (2.0, 1.0)},
        {"ejection_ma": (0.0, 1.0)},
        {"crystallisation_ma": (4.0, 3.0)},
        {"crystallisation_ma": (4.0, None)},
    ],
)
def test_what_is_no_range_is_refused(conn: Connection, changes: dict[str, object]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        store_groups(conn, [replace(GROUP, **changes)])


def test_the_command_stores_and_lists(
    database: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CDA_DATABASE_URL", database.url)
    table = tmp_path / "mine.csv"
    table.write_text(
        "group,members,ejection_low_ma,ejection_high_ma,crystallisation_low_ma,"
        "crystallisation_high_ma,ejection_reference,crystallisation_reference\n"
        "mine,NWA 1,3.5,4.5,,,a paper,\n"
    )
    run = CliRunner().invoke
    assert run(root, ["query", "meteorites", "--table", str(table), "--store"]).exit_code == 0
    listed = json.loads(run(root, ["query", "meteorites", "--stored", "--format", "json"]).output)
    assert [(row["group"], row["ejection_low_ma"]) for row in listed] == [("mine", 3.5)]
    both = run(root, ["query", "meteorites", "--stored", "--store"])
    assert both.exit_code != 0
