"""Remote pictures become local files first: a scene is known by content, and read many times."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cda_db.errors import InputError

_TIMEOUT_S = 60.0


def is_url(path: str) -> bool:
    """Whether a path is a URL of the web."""
    return path.lower().startswith(("http://", "https://"))


def fetch(url: str, folder: Path) -> Path:
    """Download a file into a folder, unless one of its name lies there.

    The download goes to a ``.part`` file that takes the name when it is whole.

    Raises:
        InputError: the URL names no file, or cannot be read to its end.
    """
    name = Path(unquote(urlsplit(url).path)).name
    if not name:
        raise InputError(f"{url} names no file.", "Give the URL of a raster.")
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{name}.part")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, part.open("wb") as out:
            shutil.copyfileobj(answer, out, 2**20)
            expected = answer.headers.get("Content-Length")
        if expected is not None and part.stat().st_size != int(expected):
            raise InputError(f"{url} ended after {part.stat().st_size} bytes.", "Try again.")
        part.replace(target)
    except (urllib.error.URLError, OSError) as error:
        raise InputError(f"{url} cannot be fetched ({error}).", "Check the address.") from error
    finally:
        part.unlink(missing_ok=True)
    return target
