"""Thresholds of instruments on real pictures: on whose sets, and by which rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ingest.detector_files import default_model_name, find_model
from ingest.training.folders import find_images
from ingest.training.scan import Scan
from ingest.training.thresholds import LabelFolder, choose_thresholds, threshold_sets

HELD, MARKED, NAC = (
    "mars_themis_yolo, held out",
    "mars_themis_yolo/valid",
    "moon_nac_yolo, held out",
)


def test_each_instrument_has_its_own(sample_data: Callable[[str], Path]) -> None:
    themis, nac = sample_data("mars_themis_yolo"), sample_data("moon_nac_yolo")
    held = {themis.name: find_images(themis)[:6], nac.name: find_images(nac)[:1], "ctx": []}
    valid = LabelFolder(themis / "images/valid", themis / "labels/valid")
    instruments = {themis.name: "THEMIS", nac.name: "LROC NAC", "ctx": "CTX"}
    sets = threshold_sets(held, (valid,), instruments)
    assert [(one.name, one.instrument, one.marked) for one in sets] == [
        (HELD, "THEMIS", False), (NAC, "LROC NAC", False), (MARKED, "THEMIS", True),
    ]  # fmt: skip

    model = find_model(default_model_name())
    chosen, own, report = choose_thresholds(model, sets, {"LROC NAC": 0.9}, Scan((1.0,)), 1)

    curves = {name: {row["threshold"]: row for row in report[name]["curve"]} for name in report}
    marked, precise = curves[MARKED], curves[NAC]
    # of the marked set alone, though the other set is THEMIS's too
    assert marked[own["THEMIS"]]["f1"] == max(row["f1"] or 0 for row in marked.values())
    assert precise[own["LROC NAC"]]["precision"] >= 0.9
    assert all(row["precision"] < 0.9 for t, row in precise.items() if t < own["LROC NAC"])
    assert "CTX" not in own
    sums = {t: sum(curves[name][t]["f1"] or 0 for name in curves) for t in marked}
    assert sums[chosen] == max(sums.values())
    for name, kind in ((HELD, "THEMIS"), (MARKED, "THEMIS"), (NAC, "LROC NAC")):
        assert report[name]["threshold"] == own[kind]
        at = curves[name][own[kind]]
        for figure in ("precision", "recall", "f1"):
            assert abs(report[name]["from_10_px"][figure] - at[figure]) < 1e-3
