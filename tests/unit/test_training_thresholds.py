"""Which threshold a curve gives, by hand-made curves; and that a wrong request trains nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cda_db.command import cda
from ingest.training.thresholds import best_mean_f1, lowest_precise

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)


def rows(name: str, values: tuple[float | None, ...]) -> list[dict[str, float | None]]:
    return [{"threshold": t, name: v} for t, v in zip(THRESHOLDS, values, strict=True)]


def test_the_best_mean_is_no_curves_own_best() -> None:
    one = rows("f1", (0.9, 0.8, 0.7, 0.2, 0.0))
    two = rows("f1", (0.1, 0.7, 0.7, 0.9, None))
    assert best_mean_f1([one]) == 0.1
    assert best_mean_f1([two]) == 0.7
    assert best_mean_f1([one, two]) == 0.3


@pytest.mark.parametrize(
    ("precision", "expected"),
    # means: 0.25, 0.55, 0.75, 0.70, 0.45 (nothing is found at 0.9 in one of them)
    [(0.2, 0.1), (0.5, 0.3), (0.55, 0.3), (0.6, 0.5), (0.75, 0.5), (0.99, 0.5)],
)
def test_the_lowest_threshold_that_is_so_precise(precision: float, expected: float) -> None:
    one = rows("precision", (0.2, 0.4, 0.6, 0.6, None))
    two = rows("precision", (0.3, 0.7, 0.9, 0.8, 0.9))
    assert lowest_precise([one, two], precision) == expected


def test_a_precision_of_an_unknown_instrument_is_refused(tmp_path: Path) -> None:
    folder, out = str(tmp_path), tmp_path / "made"
    words = ["model", "train", "--data", folder, "--rims", folder, folder, "--out", str(out)]
    more = ["--instrument", "few", "THEMIS", "--least-precision", "CTX", "0.9"]
    result = CliRunner().invoke(cda, words + more)
    assert result.exit_code != 0
    assert "'CTX', which no --instrument does" in result.output
    assert not out.exists()
