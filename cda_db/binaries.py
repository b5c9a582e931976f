"""Find PostgreSQL's programs with PostGIS and Q3C on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cda_db.errors import ServerError

MINIMUM_VERSION = 15
EXTENSIONS = ("postgis", "q3c")
_PATTERNS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")
REMEDY = (
    "Run 'make setup' in the checkout, or install them: "
    "apt-get install postgresql postgresql-15-postgis-3 postgresql-15-q3c "
    "(with your PostgreSQL's number in place of 15)."
)


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's programs of one version.

    Attributes:
        bin_dir: directory with ``initdb``, ``pg_ctl``, ``postgres``, ``psql``.
        version: major version.
    """

    bin_dir: Path
    version: int

    def program(self, name: str) -> str:
        """Absolute path of one program."""
        return str(self.bin_dir / name)


def find_binaries(version: int | None = None) -> Binaries:
    """The newest installed PostgreSQL that has every needed extension.

    Args:
        version: take this major version only: an existing data directory wants its own.

    Raises:
        ServerError: there is none; the message says whether PostgreSQL, its version or an
            extension is what is missing.
    """
    found = [item for item in _installed() if version in (None, item.version)]
    if not found:
        wanted = f"PostgreSQL {version}" if version else f"PostgreSQL {MINIMUM_VERSION} or newer"
        raise ServerError(f"{wanted} is not installed.", REMEDY)
    recent = [item for item in found if item.version >= MINIMUM_VERSION]
    if not recent:
        raise ServerError(
            f"PostgreSQL {found[0].version} is too old; {MINIMUM_VERSION} is the least.", REMEDY
        )
    complete = [item for item in recent if not missing_extensions(item)]
    if not complete:
        names = " and ".join(missing_extensions(recent[0]))
        raise ServerError(f"PostgreSQL {recent[0].version} lacks the extension {names}.", REMEDY)
    return complete[0]


def missing_extensions(binaries: Binaries) -> list[str]:
    """Names of the needed extensions whose control file this PostgreSQL does not have."""
    answer = subprocess.run(
        [binaries.program("pg_config"), "--sharedir"], capture_output=True, text=True, check=True
    )
    share = Path(answer.stdout.strip()) / "extension"
    return [name for name in EXTENSIONS if not (share / f"{name}.control").is_file()]


def _installed(root: Path = Path("/")) -> list[Binaries]:
    """Every complete installation, newest first."""
    places = {place for pattern in _PATTERNS for place in root.glob(pattern)}
    on_path = shutil.which("pg_ctl")
    if on_path:
        places.add(Path(on_path).resolve().parent)
    needed = ("initdb", "pg_ctl", "postgres", "pg_config")
    complete = [p for p in places if all((p / name).is_file() for name in needed)]
    return sorted((Binaries(p, _version(p)) for p in complete), key=lambda b: -b.version)


def _version(bin_dir: Path) -> int:
    answer = subprocess.run(
        [str(bin_dir / "postgres"), "--version"], capture_output=True, text=True, check=True
    )
    match = re.search(r"(\d+)", answer.stdout)
    return int(match.group(1)) if match else 0
