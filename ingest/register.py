"""Many files at once: found, opened side by side, registered, and every refusal reported."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from cda_db.connection import Connection
from cda_db.errors import CdaError, InputError
from cda_db.scenes import Scene, register_scene, scenes_of_file
from ingest.scene import open_scenes
from ingest.source import ReadOptions

EXTENSIONS = frozenset(
    (".tif", ".tiff", ".jp2", ".j2k", ".cub", ".img", ".lbl", ".xml", ".vic", ".vicar", ".png")
)


@dataclass(frozen=True)
class SceneSettings:
    """How the files of one call are opened; see ``ingest.scene.open_scenes``."""

    body: str | None = None
    kind: str = "image"
    options: ReadOptions = field(default_factory=ReadOptions)


class Refusal(NamedTuple):
    """Why a file cannot become a scene. (An error with two arguments would not pickle.)"""

    problem: str
    remedy: str


@dataclass(frozen=True)
class Outcome:
    """What became of one scene, or of one file that was refused.

    Attributes:
        path: the file as given.
        state: registered, known or refused.
        scene: the scene's name; None when refused.
        scene_id: its id.
        facts: body, size, pixel scale and the like, for printing.
        problem, remedy: why it was refused and what to do.
    """

    path: str
    state: str
    scene: str | None = None
    scene_id: int | None = None
    facts: dict[str, Any] | None = None
    problem: str | None = None
    remedy: str | None = None


def find_files(paths: Iterable[str]) -> list[str]:
    """Files that paths mean: files, folders, quoted patterns, and text lists (``@list.txt``).

    A folder gives its rasters by extension, sorted, one level deep; a list gives one path a
    line, relative to itself, ``#`` for remarks.

    Raises:
        InputError: a folder, pattern or list without any file.
    """
    found: list[str] = []
    for path in paths:
        found += _expand(path)
    return list(dict.fromkeys(found))


def _expand(path: str) -> list[str]:
    if path.startswith("@"):
        return _from_list(Path(path[1:]))
    if Path(path).is_dir():
        files = sorted(
            str(file) for file in Path(path).iterdir() if file.suffix.lower() in EXTENSIONS
        )
    elif glob.has_magic(path) and not Path(path).exists():
        files = sorted(glob.glob(path, recursive=True))
    else:
        return [path]
    if not files:
        raise InputError(
            f"{path} holds no raster.", f"Known extensions: {', '.join(sorted(EXTENSIONS))}."
        )
    return files


def _from_list(file: Path) -> list[str]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a list of paths ({error}).", "") from error
    named = [line.split("#")[0].strip() for line in lines]
    paths = [line if _absolute(line) else str(file.parent / line) for line in named if line]
    if not paths:
        raise InputError(f"{file} lists no path.", "Write one path a line.")
    return paths


def _absolute(path: str) -> bool:
    return "://" in path or os.path.isabs(path)


def known_files(conn: Connection, paths: Iterable[str]) -> dict[str, list[str]]:
    """Names of the scenes of files that are registered from the same path with the same bytes.

    Asking costs a hash of the file; opening one costs a survey of its pixels.
    """
    known: dict[str, list[str]] = {}
    for path in paths:
        file = Path(path).resolve()
        if file.is_file():
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").digest()
            if found := scenes_of_file(conn, str(file), digest):
                known[path] = [name for _, name in found]
    return known


def register_files(
    conn: Connection,
    paths: Iterable[str],
    settings: SceneSettings,
    *,
    jobs: int = 1,
    on_done: Callable[[], object] = lambda: None,
) -> list[Outcome]:
    """Open files and register their scenes, each file in a transaction of its own.

    Args:
        conn: a connection of the owner, not in autocommit.
        paths: files, as ``find_files`` gives them.
        settings: how they are opened.
        jobs: files that are opened at once, in processes of their own.
        on_done: called after each file.

    Returns:
        Outcomes in the order of the paths.
    """
    ordered = list(paths)
    outcomes: dict[str, list[Outcome]] = {}
    for path, opened in _open_all(ordered, settings, jobs):
        outcomes[path] = _store(conn, path, opened)
        on_done()
    return [outcome for path in ordered for outcome in outcomes[path]]


def _open_all(
    paths: list[str], settings: SceneSettings, jobs: int
) -> Iterator[tuple[str, tuple[Scene, ...] | Refusal]]:
    if jobs <= 1 or len(paths) <= 1:
        for path in paths:
            yield path, _open(path, settings)
        return
    # Spawned, because GDAL and the database connection do not survive a fork.
    pool = ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn"))
    with pool:
        futures = {pool.submit(_open, path, settings): path for path in paths}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _open(path: str, settings: SceneSettings) -> tuple[Scene, ...] | Refusal:
    try:
        return open_scenes(path, body=settings.body, kind=settings.kind, options=settings.options)
    except CdaError as error:
        return Refusal(error.problem, error.remedy)


def _store(conn: Connection, path: str, opened: tuple[Scene, ...] | Refusal) -> list[Outcome]:
    if isinstance(opened, Refusal):
        return [Outcome(path, "refused", problem=opened.problem, remedy=opened.remedy)]
    outcomes = []
    try:
        with conn.transaction() if not conn.autocommit else nullcontext():
            for scene in opened:
                scene_id, created = register_scene(conn, scene)
                state = "registered" if created else "known"
                outcomes.append(Outcome(path, state, scene.name, scene_id, facts(scene)))
    except InputError as error:
        return [Outcome(path, "refused", problem=error.problem, remedy=error.remedy)]
    return outcomes


def facts(scene: Scene) -> dict[str, Any]:
    """What a person checks of a new scene: body, map, size, scale, place."""
    west, south, east, north = scene.footprint.bounds
    return {
        "body": scene.body,
        "projection": scene.projection,
        "width": scene.width,
        "height": scene.height,
        "pixel_scale_m": scene.pixel_scale_m,
        "west_deg": west,
        "south_deg": south,
        "east_deg": east,
        "north_deg": north,
        "instrument": scene.label.get("instrument"),
        "product_id": scene.label.get("product_id"),
    }
