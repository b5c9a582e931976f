"""Count files, commands on them, and pictures: no database anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from cda_db.command import cda
from cda_db.errors import InputError
from queries.ages.age_text import format_age, format_time
from queries.ages.counts_io import CraterCounts, Ring, read_counts, write_diam, write_scc
from queries.ages.csfd import csfd
from queries.ages.epochs import get_epochs
from queries.ages.isochrons import equilibrium_line, isochron
from queries.ages.model_age import Estimate
from queries.ages.plots import AgePlot, age_figure
from queries.ages.poisson import poisson_age
from queries.ages.systems import get_equilibrium, get_system

MARS = get_system("mars-neukum-ivanov-2001")

SCC = """# Spatial crater count
a-axis radius = 3396.19 <km>
unit_boundary = {vertex, sub_area, tag, lon, lat
# Area_name 1 = west
# Area_size 1 = 100.5 <km^2>
1	1	ext	10	0
2	1	ext	11	0
3	1	ext	11	1
4	1	ext	10	0
# Area_size 2 = 20.25 <km^2>
5	2	ext	20	0
6	2	ext	21	0
7	2	ext	21	1
8	2	ext	20	0
}
crater = {diam, fraction, lon, lat
1.5	1	10.5	0.5
0.5	0.25	20.5	0.5
}
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(cda, ["query", *map(str, words)])


@pytest.fixture
def count_file(tmp_path: Path) -> Path:
    """100 craters of 0.3 km and two larger ones on 1000 km2."""
    path = tmp_path / "plain.diam"
    lines = ["area = 1000", "crater = {diameter", *["0.3"] * 100, "1.2", "2.2", "}"]
    path.write_text("\n".join(lines))
    return path


def test_scc_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.scc"
    path.write_text(SCC)
    counts = read_counts(path)
    assert counts.area_km2 == 120.75  # no total: the sum of the parts
    assert counts.diameters_km.tolist() == [1.5, 0.5]
    assert counts.fraction is not None and counts.fraction.tolist() == [1, 0.25]
    assert counts.radius_km == 3396.19
    assert [ring.lon_deg.tolist() for ring in counts.rings] == [[10, 11, 11, 10], [20, 21, 21, 20]]
    path.write_text(SCC + "Total_area = 99 <km^2>\n")
    assert read_counts(path).area_km2 == 99


floats = st.floats(0.01, 300)


@given(rows=st.lists(st.tuples(floats, floats, floats), max_size=9), area=floats)
def test_what_is_written_is_read_back(rows, area: float, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("counts")
    d, lon, lat = np.array(rows, dtype=float).reshape(-1, 3).T
    hole = np.array([1.0, 2.0, 2.0, 1.0])
    counts = CraterCounts(
        "unit 7", d, area, lon_deg=lon, lat_deg=lat, radius_km=1737.4,
        rings=(Ring(False, hole * 3, hole), Ring(True, hole, hole / 3)),
    )  # fmt: skip
    write_scc(folder / "a.scc", counts)
    write_diam(folder / "a.diam", counts)
    scc, diam = read_counts(folder / "a.scc"), read_counts(folder / "a.diam")
    assert scc.area_km2 == diam.area_km2 == area
    assert scc.diameters_km.tolist() == diam.diameters_km.tolist() == d.tolist()
    assert scc.lon_deg is not None and scc.lon_deg.tolist() == lon.tolist()
    assert [ring.hole for ring in scc.rings] == [False, True]
    assert scc.rings[1].lat_deg.tolist() == (hole / 3).tolist()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("crater = {diameter\n1\n}", "no area"),
        ("area = 5\n", "no table"),
        ("area = 5\ncrater = {size\n1\n}", "no diameter"),
        ("area = 5\ncrater = {diameter, fraction\n1\n}", "line 3"),
        ("area = 5\ncrater = {diameter\n1 km\n}", "line 3"),
        ("area = 5\ncrater = {diameter\nbig\n}", "big"),
        ("area = 0\ncrater = {diameter\n1\n}", "area"),
        ("area = 5\ncrater = {diameter\n-1\n}", "diameter"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "broken.diam"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_counts(path)


def test_scc_needs_centres_and_outline(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outline"):
        write_scc(tmp_path / "a.scc", CraterCounts("x", np.array([1.0]), 5.0))


def test_age_as_json(count_file: Path) -> None:
    result = run("age", "--counts", count_file, "--system", "neukumivanov", "--range", "0.2,0.7",
                 "--range", "1,5", "--epochs", "mars-michael-2013", "--format", "json")  # fmt: skip
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)
    assert (first["n"], second["n"]) == (100, 2)
    assert first["area_km2"] == pytest.approx(1000)
    assert first["range_km"] == [0.2, 0.7] and first["method"] == "poisson"
    # Craterstats 3.6: 313 craters on 3036.6 km2 are 0.631 Ga; N(1) goes with (n + 2/3) / area.
    n1 = 3.07e-4 * (100.67 / 1000) / (313.67 / 3036.6)
    assert first["n1_per_km2"] == pytest.approx(n1, rel=0.006)
    assert first["as_craterstats_ga"] == pytest.approx(first["age_ga"] * 10**-0.0015, rel=2e-3)
    assert first["age_ga_low"] < first["age_ga"] < first["age_ga_high"]
    assert second["epoch"].endswith(("Noachian", "Hesperian"))


def test_other_methods_by_command(count_file: Path) -> None:
    words = ("age", "--counts", count_file, "--system", "neukumivanov", "--range", "0.2,1.5")
    for extra in (("cumulative",), ("cumulative", "--resurfacing"), ("differential",)):
        result = run(*words, "--method", *extra, "--format", "json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)[0]["n"] == 101
    assert "resurfaced" in run(*words, "--method", "cumulative", "--resurfacing").stdout


def test_snap_is_craterstats_default(count_file: Path) -> None:
    result = run("age", "--counts", count_file, "--system", "ni2001", "--range", ".26,.63",
                 "--snap", "--format", "json")  # fmt: skip
    assert json.loads(result.stdout)[0]["range_km"] == [0.25, 0.7]


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (("--system", "neukumivanov", "--range", "0.2"), "LOW,HIGH"),
        (("--system", "neukumivanov", "--range", "a,b"), "a,b"),
        (("--system", "nobody", "--range", "1,2"), "nobody"),
        (("--system", "neukumivanov", "--range", "0.2,1", "--resurfacing"), "poisson"),
        (("--system", "n83", "--range", "0.2,1", "--epochs", "mars-michael-2013"), "mars"),
        (("--system", "n83", "--range", "0.2,1", "--run", "x"), "Which craters"),
        (("--system", "n83", "--range", "0.2,1", "--bbox", "0,0,1,1"), "no region"),
    ],
)
def test_wrong_words_are_explained(count_file: Path, extra: tuple[str, ...], says: str) -> None:
    result = run("age", "--counts", count_file, *extra)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_count_of_another_body_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mars.scc"
    path.write_text(SCC)
    result = run("age", "--counts", path, "--system", "n83", "--range", "0.2,5")
    assert result.exit_code == 2 and "sphere of 3396.19 km" in result.stderr
    assert run("age", "--counts", path, "--system", "ni2001", "--range", "0.2,5").exit_code == 0


def test_csfd_command(count_file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "r.png"
    result = run("csfd", "--counts", count_file, "--presentation", "r", "--plot", picture,
                 "--format", "json")  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert rows[0]["low_km"] == 0.3 and rows[0]["n"] == 100 and rows[0]["n_cumulative"] == 102
    assert rows[0]["differential"] == pytest.approx(100 / 1000 / 0.05)
    assert picture.stat().st_size > 10_000


def test_chronologies_command() -> None:
    rows = json.loads(run("chronologies", "--body", "Mars", "--format", "json").stdout)
    assert len(rows) == 4 and all(row["production"] for row in rows)
    assert run("chronologies", "--body", "pluto").exit_code == 2


@pytest.mark.parametrize("presentation", ["cumulative", "differential", "r", "incremental"])
def test_picture_shows_counts_ages_and_backdrop(presentation: str) -> None:
    d, area = [0.3] * 100 + [0.5] * 10 + [2.2], 1000.0
    age = poisson_age(d, area, MARS, (0.25, 1))
    binning = "root-2" if presentation == "incremental" else "pseudo-log"
    figure = age_figure(
        AgePlot(csfd(d, area, binning), [age], presentation, MARS, [0.1, 1, 3.5],
                get_equilibrium("trask"), get_epochs("mars-michael-2013"), "Unit 7")
    )  # fmt: skip
    axes = figure.axes[0]
    assert axes.get_aspect() == 1 and axes.get_xscale() == axes.get_yscale() == "log"
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any(text.startswith(format_age(age.age_ga)) for text in texts)
    assert "111 craters on 1,000 km²" in texts
    assert len(axes.child_axes) == 1  # the likelihood
    points = axes.containers[0].lines[0].get_xydata()
    assert len(points) == 3
    assert {"100 Ma", "1 Ga", "3.5 Ga"} <= {t.get_text() for t in axes.texts}
    figure.canvas.draw()


def test_incremental_plot_refuses_bins_of_other_width() -> None:
    with pytest.raises(InputError, match="root-2"):
        age_figure(AgePlot(csfd([0.3, 0.4], 10.0, "pseudo-log"), presentation="incremental"))


def test_isochrons_agree_between_presentations() -> None:
    d = np.array([0.2, 1.0, 5.0])
    step = 1e-4
    around = isochron("cumulative", MARS, 1.0, np.stack([d * (1 - step), d * (1 + step)]))
    density = (around[0] - around[1]) / (2 * step * d)
    assert isochron("differential", MARS, 1.0, d) == pytest.approx(density, rel=1e-5)
    assert isochron("r", MARS, 1.0, d) == pytest.approx(density * d**3, rel=1e-5)
    trask = equilibrium_line("r", get_equilibrium("trask"), d)
    assert trask == pytest.approx(2 * 10**-1.1)  # slope -2 is flat in an R-plot


@pytest.mark.parametrize(
    ("age", "text"),
    [
        ((3.738, 3.594, 3.835), "3.74 +0.097 −0.14 Ga"),
        ((0.6329, 0.5978, 0.6693), "633 +36 −35 Ma"),
        ((0.9999, 0.9, 1.1), "1.00 +0.10 −0.10 Ga"),
        ((2.5e-5, 2e-5, 3.1e-5), "25.0 +6.0 −5.0 ka"),
        ((1.678, 0.0, 3.0), "1.68 +1.3 −1.7 Ga"),
    ],
)
def test_ages_in_words(age: tuple[float, float, float], text: str) -> None:
    assert format_age(Estimate(*age)) == text


def test_times_in_words() -> None:
    assert [format_time(t) for t in (3.7, 0.01, 1e-6, 1e-8)] == ["3.7 Ga", "10 Ma", "1 ka", "10 a"]
