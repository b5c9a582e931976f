"""Groups of scenes for the cluster workflow: files in, lists of scene names out.

Runs under Snakemake's own Python, so it imports the standard library only.
"""

from __future__ import annotations

import argparse
import glob
import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

EXTENSIONS = (".tif", ".tiff", ".jp2", ".cub", ".img", ".lbl", ".xml", ".vic", ".vicar")


def picture_files(words: str) -> list[str]:
    """Absolute paths that a folder, a pattern or ``@list.txt`` means, sorted."""
    if words.startswith("@"):
        listed = Path(words[1:])
        lines = [line.split("#")[0].strip() for line in listed.read_text().splitlines()]
        found = [str(listed.parent / line) for line in lines if line]
    elif Path(words).is_dir():
        found = [str(path) for path in Path(words).iterdir() if path.suffix.lower() in EXTENSIONS]
    else:
        found = glob.glob(words, recursive=True)
    if not found:
        raise SystemExit(f"{words} names no picture: set 'pictures' in the configuration.")
    return sorted(str(Path(path).resolve()) for path in found)


def group_names(n_files: int, group_size: int) -> list[str]:
    """Names of the groups: known from the number of files, before anything is registered."""
    count = max(1, math.ceil(n_files / group_size))
    return [f"{number:04d}" for number in range(1, count + 1)]


def split(names: Sequence[str], groups: Sequence[str]) -> dict[str, list[str]]:
    """Names dealt to the groups in their order, as evenly as can be.

    A file seen in several views is several scenes, so a group may hold more scenes than files.
    """
    cuts = [round(i * len(names) / len(groups)) for i in range(len(groups) + 1)]
    return {group: list(names[cuts[i] : cuts[i + 1]]) for i, group in enumerate(groups)}


def find_command(configured: str, checkout: Path) -> str:
    """The command ``cda``: as configured, of the checkout's environment, or of the PATH."""
    own = checkout / ".venv" / "bin" / "cda"
    found = configured or (str(own) if own.exists() else shutil.which("cda"))
    if not found:
        raise SystemExit("There is no command cda: run `make setup`, or configure 'cda'.")
    return found


def write_groups(registered: Path, out: Path, groups: Sequence[str]) -> None:
    """From the answer of ``cda ingest scenes`` to ``scenes.txt`` and ``groups/*.txt``."""
    names = sorted({row["scene"] for row in json.loads(registered.read_text()) if row["scene"]})
    if not names:
        raise SystemExit("No picture could be registered: see the messages above.")
    (out / "scenes.txt").write_text(_lines(names))
    for group, members in split(names, groups).items():
        path = out / "groups" / f"{group}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_lines(members))


def require_whole(status: Path) -> None:
    """End with an error if batches of the run are not done."""
    batches = json.loads(status.read_text())["batches"]
    rest = {state: n for state, n in batches.items() if state != "done" and n}
    if rest:
        raise SystemExit(
            f"Batches are not done: {rest}. Why: cda ingest status. Then: cda ingest repeat"
            " --run NAME --failed, and the workflow again with --forcerun work."
        )


def join(out: Path, parts: Sequence[Path]) -> None:
    """One JSON object of the steps' own, by their names; other files are only named."""
    joined = {part.stem: json.loads(part.read_text()) for part in parts if part.suffix == ".json"}
    files = [str(part) for part in parts if part.suffix != ".json"]
    out.write_text(json.dumps(joined | {"files": files}, indent=2) + "\n")


def _lines(names: Sequence[str]) -> str:
    return "".join(f"{name}\n" for name in names)


def main(arguments: Sequence[str] | None = None) -> None:
    """``groups.py split SCENES.json OUT GROUP... | whole STATUS.json | join OUT PART...``"""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("step", choices=["split", "whole", "join"])
    parser.add_argument("words", nargs="+")
    given = parser.parse_args(arguments)
    paths = [Path(word) for word in given.words]
    if given.step == "split":
        write_groups(paths[0], paths[1], given.words[2:])
    elif given.step == "whole":
        require_whole(paths[0])
    else:
        join(paths[0], paths[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
