"""Files and directories of an embedded cluster, and the user whose they are."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from cda_db.binaries import REMEDY
from cda_db.errors import ServerError
from cda_db.settings import Cluster

SERVER_USER = "postgres"


def server_user() -> pwd.struct_passwd:
    """The user that the server runs as: oneself, or ``postgres`` where one is root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError as error:
        raise ServerError(
            f"PostgreSQL does not run as root and there is no user {SERVER_USER}.", REMEDY
        ) from error


def make_directories(cluster: Cluster) -> None:
    """The places of socket and log and that around the data, with the rights that they need."""
    for place in reversed((cluster.data_dir.parent, *cluster.data_dir.parent.parents)):
        if not place.is_dir():
            place.mkdir()
            if os.geteuid() == 0:
                place.chmod(0o755)  # whatever root's umask: the server's user must pass
    make_private(cluster.socket_dir)
    if not cluster.log_file.exists():
        cluster.log_file.touch(mode=0o600)
        _give_to_server(cluster.log_file)


def make_private(place: Path) -> None:
    """A directory of mode 0700 that is the server's user's own."""
    if not place.exists():
        place.mkdir(mode=0o700)
        _give_to_server(place)
    # A socket directory may lie in /tmp, where others could have made it first.
    if place.is_symlink() or place.stat().st_uid != server_user().pw_uid:
        raise ServerError(
            f"{place} belongs to another user.", "Remove it, or set TMPDIR to a place of yours."
        )
    place.chmod(0o700)


def _give_to_server(place: Path) -> None:
    if os.geteuid() == 0:
        owner = server_user()
        os.chown(place, owner.pw_uid, owner.pw_gid)


def remove_surroundings(cluster: Cluster) -> None:
    """Delete what surrounds the data: only files and directories that this module makes."""
    socket = cluster.socket_dir / f".s.PGSQL.{cluster.port}"
    files = (socket, Path(f"{socket}.lock"), cluster.log_file, cluster.settings_file)
    for file in files:
        file.unlink(missing_ok=True)
    parents = (cluster.data_dir.parent, cluster.data_dir.parent.parent)
    for place in (cluster.socket_dir, cluster.data_dir, *parents):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
