"""Ages, formats and functions against Craterstats' own files and published results."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from queries.ages.counts_io import read_counts, write_diam, write_scc
from queries.ages.csfd import csfd
from queries.ages.epochs import list_epochs
from queries.ages.fits import cumulative_fit, differential_fit
from queries.ages.model_age import ModelAge
from queries.ages.poisson import poisson_age
from queries.ages.systems import get_equilibrium, get_system, list_systems, tables

SampleData = Callable[[str], Path]
FOLDER = "csfd_craterstats"
AGES = ("age_ga", "age_lo_ga", "age_hi_ga")
EXACT_OFFSET = 0.0035  # exact Poisson quantiles lie 0.35 % above Craterstats' grid


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def last_digit(printed: str) -> float:
    """Half a unit of the last of the three digits that Craterstats prints, zeros dropped or not.

    And 1 % of it, for the interpolation between its grid's points.
    """
    value = float(printed)
    return 0.505 * 10 ** (math.floor(math.log10(abs(value))) - 2)


def range_of(row: dict[str, str]) -> tuple[float, float]:
    """The range of a row; where it was not snapped to bins, the printed one is rounded."""
    printed = float(row["d_min_km"]), float(row["d_max_km"])
    if "snap=0" not in row["options"]:
        return printed
    pattern = rf"%sample%/{re.escape(row['source_file'])},r\w+=\[([\d.]+),([\d.]+)\]"
    asked = [(float(a), float(b)) for a, b in re.findall(pattern, row["options"])]
    return next(pair for pair in asked if pair == pytest.approx(printed, rel=0.05))


def dated(row: dict[str, str], folder: Path) -> ModelAge:
    counts = read_counts(folder / "sample" / row["source_file"])
    system = get_system(row["chronology_system"])
    if row["method"] == "poisson":
        return poisson_age(counts.diameters_km, counts.area_km2, system, range_of(row))
    return cumulative_fit(
        counts.diameters_km,
        counts.area_km2,
        system,
        range_of(row),
        resurfacing=row["resurf"] == "1",
    )


def printed_row(sample_data: SampleData, number: int) -> tuple[dict[str, str], ModelAge]:
    folder = sample_data(FOLDER)
    reference = rows(folder / "reference_ages.csv")
    assert len(reference) == 25
    return reference[number], dated(reference[number], folder)


@pytest.mark.parametrize("number", range(25))
def test_a_printed_age_as_craterstats_reads_it(sample_data: SampleData, number: int) -> None:
    """`as_craterstats_ga` of Poisson ages, `age_ga` of fits: the printed digits and bounds."""
    row, age = printed_row(sample_data, number)
    assert age.n == float(row["n"])
    assert (age.as_craterstats is not None) == (row["method"] == "poisson")
    printed = age.as_craterstats or age.age_ga
    for name, ours in zip(AGES, vars(printed).values(), strict=True):
        assert ours == pytest.approx(float(row[name]), abs=last_digit(row[name])), name


@pytest.mark.parametrize("number", range(25))
def test_a_printed_age_exactly(sample_data: SampleData, number: int) -> None:
    """`age_ga`: at most 0.35 % past the printed digits, and never below them; a0 in 0.005 dex."""
    row, age = printed_row(sample_data, number)
    assert age.a0.value == pytest.approx(float(row["a0"]), abs=0.005)
    for name, ours in zip(AGES, vars(age.age_ga).values(), strict=True):
        printed, digits = float(row[name]), last_digit(row[name])
        assert printed - digits <= ours <= printed * (1.0 + EXACT_OFFSET) + digits, name


def test_a_running_sum_half_a_step_low_makes_the_difference(sample_data: SampleData) -> None:
    """Pickering, 0.2-0.7 km, by the arithmetic of Craterstats 3.2.1 (Craterpdf.py), by hand.

    The likelihood is sampled at 5,000 steps of log N from -10 to 5 about that of 1 Ga, summed up
    to and with each sample, and read by interpolation: the printed 0.631 (0.596-0.667). Summed up
    to the middle of each sample it gives the exact 0.6329 (0.5978-0.6693).
    """
    row, age = printed_row(sample_data, 1)
    assert [row[name] for name in AGES] == ["0.631", "0.596", "0.667"]
    system = age.system
    density = float(system.chronology.density(1.0)) * 10.0 ** np.linspace(-10.0, 5.0, 5000)
    mu = 3036.6 * float(system.production.between(0.2, 0.7)) * density
    times = np.asarray(system.chronology.age(density))
    mass = np.exp(313 * np.log(mu / 313) - mu + 313) * np.diff(times, prepend=0.0)
    mass /= mass.sum()
    shares = [0.5, *(0.5 * (1.0 + sign * math.erf(0.5**0.5)) for sign in (-1, 1))]
    summed = np.interp(shares, mass.cumsum(), times)
    middle = np.interp(shares, mass.cumsum() - mass / 2.0, times)
    assert age.as_craterstats is not None
    assert summed == pytest.approx(list(vars(age.as_craterstats).values()), rel=1e-4)
    assert summed == pytest.approx([0.631, 0.596, 0.667], abs=0.0005)
    assert middle == pytest.approx(list(vars(age.age_ga).values()), rel=3e-4)
    assert middle == pytest.approx([0.6329, 0.5978, 0.6693], abs=0.0002)


def test_all_drawn_ages(sample_data: SampleData) -> None:
    folder = sample_data(FOLDER)
    craters: dict[str, list[float]] = {}
    for row in rows(folder / "drawn_craters.csv"):
        craters.setdefault(row["set"], []).append(float(row["diameter_km"]))
    drawn = rows(folder / "drawn_ages.csv")
    assert len(drawn) == 36
    for row in drawn:
        system = get_system(row["chronology_system"])
        span = float(row["d_min_km"]), float(row["d_max_km"])
        given = craters[row["set"]], float(row["area_km2"]), system, span
        poisson = poisson_age(*given)
        assert poisson.n == int(row["n_in_range"])
        names = ("poisson_ga", "poisson_lo_ga", "poisson_hi_ga")
        wanted = [float(row[name]) for name in names]
        exact, grid = poisson.age_ga, poisson.as_craterstats
        assert grid is not None
        assert [exact.value, exact.low, exact.high] == pytest.approx(wanted, rel=0.005)
        assert [grid.value, grid.low, grid.high] == pytest.approx(wanted, rel=1e-4)
        for fit, name in (
            (differential_fit(*given), "differential"),
            (cumulative_fit(*given), "cumulative"),
        ):
            assert fit.a0.value == pytest.approx(float(row[f"{name}_a0"]), abs=0.005)
            assert fit.age_ga.value == pytest.approx(float(row[f"{name}_fit_ga"]), rel=0.005)


def blocks(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Kind and fields of every block of functions.txt."""
    found = []
    for kind, body in re.findall(r"^(\w+)=\{(.*?)^\}", text, re.S | re.M):
        fields: dict[str, Any] = {
            key: value for key, _, value in re.findall(r"^\s*(\w+)=([\"'])(.*?)\2", body, re.M)
        }
        for key, numbers in re.findall(r"^\s*(\w+)=\*?\[([-+.\deE,\s]*?)\]", body, re.M):
            fields[key] = [float(x) for x in numbers.split(",")]
        for key, number in re.findall(r"^\s*(index_1km)=(\d+)", body, re.M):
            fields[key] = int(number)
        if code := re.search(r'n1_code="(.*?)"', body, re.S):
            fields["n1_code"] = code[1]
        found.append((kind, fields))
    return found


def test_every_function_of_craterstats_is_here_with_its_numbers(sample_data: SampleData) -> None:
    text = sample_data(f"{FOLDER}/functions.txt").read_text(encoding="utf-8-sig")
    ours = {
        kind: {row["name"]: row for row in tables()[table]}
        for kind, table in (
            ("production", "production"), ("chronology", "chronology"),
            ("chronology_system", "system"), ("equilibrium", "equilibrium"), ("epochs", "epochs"),
        )
    }  # fmt: skip
    seen = {kind: set() for kind in ours}
    for kind, theirs in blocks(text):
        mine = ours[kind][theirs["name"]]
        seen[kind].add(theirs["name"])
        if kind == "chronology_system":
            assert mine["production"] == theirs["pf"] and mine["chronology"] == theirs["cf"]
            assert mine["body"] == theirs["body"].lower()
        elif kind == "chronology" and "coefficients" in theirs:
            assert [mine["a"], mine["b"], 0, mine["c"]] == theirs["coefficients"]
        elif "H" in theirs:
            assert mine["craters_per_bin"] == theirs["H"]
            assert mine["index_1km"] == theirs["index_1km"]
        elif kind in ("production", "equilibrium"):
            assert mine["coefficients"] == theirs["coefficients"]
        elif "density" in theirs:
            assert mine["densities_per_1e6_km2"] == theirs["density"]
            assert mine["diameters_km"] == theirs["ref_diameter"]
        elif "time" in theirs:
            assert mine["times_ga"] == theirs["time"]
    assert {kind: set(names) for kind, names in ours.items()} == seen
    assert len(list_systems()) == 21 and len(list_epochs()) == 3


def test_vesta_chronology_is_that_formula(sample_data: SampleData) -> None:
    # The file's own formula, evaluated as written, without a unit; times 10^-1.723 (Marchi 2014).
    text = sample_data(f"{FOLDER}/functions.txt").read_text(encoding="utf-8-sig")
    code = next(f["n1_code"] for k, f in blocks(text) if k == "chronology" and "n1_code" in f)
    formula = "\n".join(line.strip() for line in code.splitlines())
    chronology = get_system("vesta-marchi-obrien-2014").chronology
    for age in (0.01, 0.5, 1.0, 3.0, 4.0, 4.099, 4.1, 4.3, 4.5, 4.56):
        scope: dict[str, Any] = {"t": age, "exp": math.exp}
        exec(formula, scope)  # a sample file, run in this test only
        # Python's power of a negative number is complex; the branch that is used is real.
        n1 = complex(scope["n1"])
        assert n1.imag == 0
        assert chronology.density(age) == pytest.approx(n1.real * 10**-1.723, rel=1e-9)


def test_binned_values_of_a_published_stat_file(sample_data: SampleData) -> None:
    # Echus Chasma: diameter, n, N_dif, error, n_cum, N_cum, error, as counted by a person.
    text = sample_data(f"{FOLDER}/sample/ECHUS_CHAP_AR1_A.stat").read_text()
    area = float(re.search(r"Area\s*:\s*([\d.]+)", text)[1])  # type: ignore[index]
    table = np.array([line.split() for line in text.splitlines() if re.match(r"\s+\d*\.\d", line)])
    d, n, n_dif, n_cum = (table[:, i].astype(float) for i in (0, 1, 2, 5))
    beyond = int(table[-1, 4]) - int(n[-1])
    craters = np.concatenate([np.repeat(d, n.astype(int)), np.full(beyond, 90.0)])
    counts = csfd(craters, area, "pseudo-log", (0.06, 100))
    at = np.searchsorted(counts.edges_km, d * (1 + 1e-9)) - 1
    assert counts.counts[at].tolist() == n.astype(int).tolist()
    assert counts.values("cumulative")[at] == pytest.approx(n_cum, rel=0.005)
    # Where the next bin is empty the old format widens a bin over it: compare the others.
    whole = np.append(np.diff(at) == 1, False)
    assert whole.sum() > 15
    assert counts.values("differential")[at][whole] == pytest.approx(n_dif[whole], rel=0.005)


def test_all_sample_files_are_read_and_written_back(
    sample_data: SampleData, tmp_path: Path
) -> None:
    files = sorted(
        path
        for path in sample_data(f"{FOLDER}/sample").iterdir()
        if path.suffix in (".scc", ".diam")
    )
    assert len(files) == 28
    for path in files:
        counts = read_counts(path)
        writer = write_scc if path.suffix == ".scc" else write_diam
        writer(tmp_path / path.name, counts)
        again = read_counts(tmp_path / path.name)
        assert again.area_km2 == counts.area_km2
        assert np.array_equal(again.diameters_km, counts.diameters_km)
        assert len(again.rings) == len(counts.rings)
        if counts.lon_deg is not None and again.lon_deg is not None:
            assert np.array_equal(again.lon_deg, counts.lon_deg)


def test_sample_scc_by_hand(sample_data: SampleData) -> None:
    # Three areas of 64674.1, 100332.2 and 59662.9 km2; 7 rings, 4 of them holes; 30 craters.
    counts = read_counts(sample_data(f"{FOLDER}/sample/sample.scc"))
    assert counts.area_km2 == pytest.approx(64674.1040107 + 100332.206922 + 59662.9421015)
    assert (len(counts.rings), sum(ring.hole for ring in counts.rings)) == (7, 4)
    assert len(counts.diameters_km) == 30 and counts.radius_km == 3396.19
    assert get_equilibrium("trask").cumulative(1.0) == pytest.approx(10**-1.1)
