"""Where the database is: the embedded cluster of this checkout, or ``CDA_DATABASE_URL``.

Only ``CDA_DATABASE_URL`` leaves the embedded cluster, so that a stray ``PGHOST`` never sends a demo
to a production server. The bare value ``postgresql://`` hands the choice to libpq's own variables.

Settings lie in ``.cda/`` of the *home*: the checkout where the package runs from one, else the
current directory. They say where a cluster is; they never hold data.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from cda_db.errors import InputError, ServerError

URL_VARIABLE = "CDA_DATABASE_URL"
DATABASE = "cda"
LOGIN = "cda"
SUPERUSER = "postgres"
PORT = 5432  # names the socket file only: an embedded cluster listens on no TCP port
SOCKET_LIMIT = 107  # bytes of a Unix socket's path on Linux, without the closing zero
_SYSTEM_ROOT = Path("/var/lib/cda")


@dataclass(frozen=True)
class Cluster:
    """An embedded PostgreSQL cluster: one server process with its own data directory.

    Attributes:
        name: ``main`` for work and the demo, ``test`` for the test suite.
        home: the directory whose ``.cda/`` holds this cluster's settings.
        data_dir: PGDATA.
        socket_dir: private directory (mode 0700) of the Unix socket.
        port: number in the socket's file name.
    """

    name: str
    home: Path
    data_dir: Path
    socket_dir: Path
    port: int = PORT

    @property
    def log_file(self) -> Path:
        """The server's log, beside the data directory."""
        return self.data_dir.parent / "server.log"

    @property
    def settings_file(self) -> Path:
        """``.cda/NAME.json`` of the home."""
        return self.home / ".cda" / f"{self.name}.json"

    @property
    def scratch(self) -> bool:
        """Whether it holds nothing worth keeping, and so need not wait for the disk."""
        return self.name == "test"

    @property
    def label(self) -> str:
        """Name that the server's processes carry in ``ps`` (``cluster_name``)."""
        return f"cda-{_digest(str(self.data_dir))}-{self.name}"

    def url(self, database: str = DATABASE, user: str = LOGIN) -> str:
        """Connection URL over the Unix socket, without a password."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{user}@/{quote(database)}?host={host}&port={self.port}"


@dataclass(frozen=True)
class Target:
    """A database to work with.

    Attributes:
        url: libpq URL that programs connect with.
        admin_url: URL of a superuser at the maintenance database, for ``cda db create``.
        cluster: the embedded cluster behind it, or None where ``CDA_DATABASE_URL`` leads.
    """

    url: str
    admin_url: str
    cluster: Cluster | None = None


def target() -> Target:
    """The database that this process works with, by the rule at the top of this module."""
    url = os.environ.get(URL_VARIABLE, "").strip()
    return external(url) if url else embedded(find_cluster("main"))


def embedded(cluster: Cluster, database: str = DATABASE) -> Target:
    """Target of a database in an embedded cluster."""
    return Target(
        url=cluster.url(database), admin_url=cluster.url("postgres", SUPERUSER), cluster=cluster
    )


def external(url: str) -> Target:
    """Target of a server that is run elsewhere; the administrator's database is ``postgres``.

    A URL (and libpq's variables) without a database's name means ``cda``.

    Raises:
        InputError: the URL is not one that libpq reads.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        unnamed = "dbname" not in conninfo_to_dict(url)
        if unnamed and not os.environ.keys() & {"PGDATABASE", "PGSERVICE"}:
            url = make_conninfo(url, dbname=DATABASE)
        return Target(url=url, admin_url=make_conninfo(url, dbname="postgres"))
    except ProgrammingError as error:
        raise InputError(
            f"The database URL cannot be read: {error}.",
            "Write postgresql://USER@HOST:PORT/DATABASE, or postgresql:// for libpq's variables.",
        ) from error


def home() -> Path:
    """The checkout that this package runs from, else the current directory."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def find_cluster(name: str, base: Path | None = None) -> Cluster:
    """The embedded cluster of that name of ``base`` (default: ``home()``), made or not yet made.

    A settings file wins over the computed place, so that a checkout that was *moved* keeps its
    cluster; one that was *copied* beside the original gets a cluster of its own.

    Raises:
        InputError: the name is not a plain word.
        ServerError: the settings file is damaged, or no socket path is short enough.
    """
    if not (name.isascii() and name.isalnum() and len(name) <= 20):
        raise InputError(f"{name!r} cannot name a cluster.", "Use letters and digits: main, test.")
    base = (base or home()).resolve()
    recorded = _read(base / ".cda" / f"{name}.json", base)
    if recorded is not None:
        return recorded
    root = _data_root() / _digest(str(base)) / name
    return Cluster(name, base, root / "data", _socket_dir(root, str(base), name))


def save_cluster(cluster: Cluster) -> None:
    """Write the cluster's settings file."""
    cluster.settings_file.parent.mkdir(mode=0o755, exist_ok=True)
    text = json.dumps({key: str(value) for key, value in asdict(cluster).items()}, indent=2)
    cluster.settings_file.write_text(text + "\n")


def _read(path: Path, base: Path) -> Cluster | None:
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text())
        found = Cluster(
            name=raw["name"],
            home=base,
            data_dir=Path(raw["data_dir"]),
            socket_dir=Path(raw["socket_dir"]),
            port=int(raw["port"]),
        )
        origin = Path(raw["home"])
    except (ValueError, KeyError, TypeError) as error:
        raise ServerError(
            f"The settings file {path} is damaged ({error}).",
            "Delete it: the cluster is found again by the checkout's path.",
        ) from error
    copied = origin != base and (origin / ".cda" / path.name).is_file()
    return None if copied else found


def _data_root() -> Path:
    # PostgreSQL refuses to run as root, and its user cannot enter a checkout in a home of mode
    # 0700: as root the data lie in a system directory.
    if os.geteuid() == 0:
        return _SYSTEM_ROOT
    share = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(share) / "cda"


def _socket_dir(root: Path, base: str, name: str) -> Path:
    # Not XDG_RUNTIME_DIR: it is deleted at logout while the server goes on.
    short = Path(tempfile.gettempdir()) / f"cda-{os.geteuid()}-{_digest(base)}-{name}"
    for place in (root / "socket", short, Path("/tmp") / short.name):
        if len(os.fsencode(place / f".s.PGSQL.{PORT}")) <= SOCKET_LIMIT:
            return place
    raise ServerError(
        f"No socket directory has a path under {SOCKET_LIMIT} bytes.", "Set TMPDIR to a short path."
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
