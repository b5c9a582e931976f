"""Printed figures: aligned for people, strict JSON for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cda_db.output import progress, show_figures, show_rows, to_json

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_plain_values_survive(value: object) -> None:
    assert json.loads(to_json(value)) == value


def test_what_a_database_and_numpy_return() -> None:
    value = {
        "count": np.int64(3),
        "sizes": np.array([1.5, np.nan]),
        "ok": np.bool_(True),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "took": timedelta(seconds=90),
        "sha256": b"\x00\xff",
        "area": Decimal("2.5"),
        "path": Path("a/b.tif"),
        "infinite": float("-inf"),
    }
    assert json.loads(to_json(value)) == {
        "count": 3,
        "sizes": [1.5, None],
        "ok": True,
        "at": "2026-01-02T00:00:00+00:00",
        "took": 90.0,
        "sha256": "00ff",
        "area": 2.5,
        "path": "a/b.tif",
        "infinite": None,
    }


def test_other_things_are_refused() -> None:
    with pytest.raises(TypeError, match="object has no place"):
        to_json(object())


def test_a_table_aligns_numbers_right_and_words_left(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"name": "Zunil", "km": 10.26}, {"name": "Tooting", "km": None}])
    assert capsys.readouterr().out == (
        "name        km\n-------  -----\nZunil    10.26\nTooting      -\n"
    )


def test_figures_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    show_figures({"craters": 12, "done": True})
    assert capsys.readouterr().out == "craters  12\ndone     yes\n"
    show_figures({"craters": 12}, "json")
    assert json.loads(capsys.readouterr().out) == {"craters": 12}


def test_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([])
    assert capsys.readouterr().out == ""
    show_rows([], "json")
    assert json.loads(capsys.readouterr().out) == []


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("tiles", total=3) as advance:
        advance()
        advance(2)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
