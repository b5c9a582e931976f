"""Where the database is: only CDA_DATABASE_URL leaves the embedded cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from cda_db import settings
from cda_db.create import database_name
from cda_db.errors import InputError, ServerError
from cda_db.server_config import MIB, configuration


def test_stray_libpq_variables_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "production.invalid")
    monkeypatch.setenv("PGDATABASE", "precious")
    target = settings.target()
    assert target.cluster is not None
    assert conninfo_to_dict(target.url)["host"] == str(target.cluster.socket_dir)
    assert database_name(target) == "cda"


def test_a_url_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDA_DATABASE_URL", "postgresql://ada@server:5433/craters")
    target = settings.target()
    assert target.cluster is None
    assert database_name(target) == "craters"
    admin = conninfo_to_dict(target.admin_url)
    assert (admin["host"], admin["port"], admin["dbname"]) == ("server", "5433", "postgres")


@pytest.mark.parametrize(("variable", "name"), [(None, "cda"), ("craters", "craters")])
def test_the_bare_url_takes_libpqs_variables(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, name: str
) -> None:
    monkeypatch.setenv("CDA_DATABASE_URL", "postgresql://")
    monkeypatch.delenv("PGDATABASE", raising=False)
    if variable:
        monkeypatch.setenv("PGDATABASE", variable)
    assert database_name(settings.target()) == name
    assert "host" not in conninfo_to_dict(settings.target().url)


def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDA_DATABASE_URL", "mysql://server/cda")
    with pytest.raises(InputError, match="cannot be read"):
        settings.target()


@pytest.mark.parametrize("name", ["", "../x", "a b", "main;", "ma\u00efn", "x" * 21])
def test_cluster_names_are_plain_words(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot name a cluster"):
        settings.find_cluster(name, tmp_path)


def test_two_checkouts_have_two_clusters(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    places = {
        settings.find_cluster(name, tmp_path / side).data_dir
        for name in ("main", "test")
        for side in "ab"
    }
    assert len(places) == 4


def test_settings_hold_no_secrets_and_come_back(tmp_path: Path) -> None:
    cluster = settings.find_cluster("main", tmp_path)
    settings.save_cluster(cluster)
    written = json.loads(cluster.settings_file.read_text())
    assert set(written) == {"name", "home", "data_dir", "socket_dir", "port"}
    assert settings.find_cluster("main", tmp_path) == cluster


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "main"}', '{"name": 1, "port": "x"}'])
def test_a_damaged_settings_file_is_told(tmp_path: Path, text: str) -> None:
    file = settings.find_cluster("main", tmp_path).settings_file
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ServerError, match=r"main\.json is damaged"):
        settings.find_cluster("main", tmp_path)


@pytest.mark.parametrize(
    ("gib", "buffers"), [(0.05, "16MB"), (4, "512MB"), (16, "2048MB"), (256, "2048MB")]
)
def test_memory_is_an_eighth_and_at_most_two_gigabytes(
    tmp_path: Path, gib: float, buffers: str
) -> None:
    cluster = settings.find_cluster("main", tmp_path)
    text = configuration(cluster, int(gib * 1024) * MIB)
    assert f"shared_buffers = '{buffers}'\n" in text
    assert "fsync = 'on'\n" in text
