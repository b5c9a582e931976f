"""Labelled images in YOLO folders: reading, filtering, holding out by image.

A folder holds ``images/`` and ``labels/``, either flat or with a ``train`` folder in each. A label
file has one line a box, ``class xc yc w h``, relative to the image. Boxes here are in pixels,
``x0, y0, x1, y1`` float64, origin at the top left corner of the top left pixel.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cda_db.errors import InputError

Boxes = NDArray[np.float64]
Pixels = NDArray[np.uint8]
_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


@dataclass(frozen=True)
class LabelledImage:
    """An image file and its label file; ``name`` is the file's stem."""

    image: Path
    label: Path

    @property
    def name(self) -> str:
        return self.image.stem

    def pixels(self) -> Pixels:
        """The picture as uint8, shape (height, width), grey."""
        with Image.open(self.image) as picture:
            return np.asarray(picture.convert("L"), dtype=np.uint8)

    def boxes(self) -> Boxes:
        """The labelled boxes in pixels, shape (n, 4)."""
        with Image.open(self.image) as picture:
            width, height = picture.size
        return read_yolo(self.label, width, height)


def read_yolo(path: Path, width: int, height: int) -> Boxes:
    """Boxes of a YOLO label file in pixels of an image of that size, shape (n, 4).

    Raises:
        InputError: a line that is not ``class xc yc w h``.
    """
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            _, xc, yc, w, h = (float(field) for field in fields)
        except ValueError:
            raise InputError(
                f"{path}, line {number}: not 'class xc yc w h'.", "Repair or exclude the file."
            ) from None
        rows.append((xc - w / 2, yc - h / 2, xc + w / 2, yc + h / 2))
    scale = np.array([width, height, width, height], dtype=np.float64)
    return np.array(rows, dtype=np.float64).reshape(-1, 4) * scale


def write_yolo(path: Path, boxes: Boxes, width: int, height: int) -> None:
    """Write pixel boxes (n, 4) as a YOLO label file of one class."""
    lines = [
        f"0 {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} "
        f"{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}\n"
        for x0, y0, x1, y1 in boxes
    ]
    path.write_text("".join(lines))


def find_images(
    folder: Path, exclude: Iterable[str] = (), split: str = "train"
) -> list[LabelledImage]:
    """The labelled images of a YOLO folder in natural order (crater2 before crater10).

    Args:
        folder: holds ``images`` and ``labels``, flat or with folders named by split.
        exclude: stems of images to leave out.
        split: which folder, where there are several.

    Raises:
        InputError: no such folders, no images, or an image without a label file.
    """
    images, labels = folder / "images", folder / "labels"
    if (images / split).is_dir():
        images, labels = images / split, labels / split
    if not images.is_dir() or not labels.is_dir():
        raise InputError(f"{folder} has no images/ and labels/.", "Give a folder in YOLO format.")
    left_out = set(exclude)
    files = [p for p in images.iterdir() if p.suffix.lower() in _SUFFIXES]
    found = [
        LabelledImage(path, labels / f"{path.stem}.txt")
        for path in sorted(files, key=lambda p: _natural(p.stem))
        if path.stem not in left_out
    ]
    bare = [item.image.name for item in found if not item.label.is_file()]
    if not found or bare:
        raise InputError(
            f"{images}: no images, or without a label file: {', '.join(bare[:5])}.",
            "Each image needs labels/NAME.txt (empty where it holds no crater).",
        )
    return found


def hold_out(
    images: Sequence[LabelledImage], share: float, blocks: int = 5
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Split into (train, held out) by image, in blocks of neighbours of the natural order.

    Neighbouring files are often near-identical cuts of the same ground; blocks keep them on one
    side. At least one image is held out where share > 0.
    """
    if not 0 <= share < 1:
        raise InputError(f"Hold-out share {share} is not in [0, 1).", "Use for example 0.1.")
    n = len(images)
    wanted = 0 if share == 0 else max(1, round(n * share))
    if wanted >= n:
        raise InputError(f"Only {n} image(s): nothing left to train on.", "Add images.")
    blocks = min(blocks, wanted)
    held: set[int] = set()
    for block in range(blocks):
        size = wanted // blocks + (block < wanted % blocks)
        start = round((block + 0.5) * n / blocks - size / 2)
        held.update(range(start, start + size))
    train = [item for i, item in enumerate(images) if i not in held]
    return train, [item for i, item in enumerate(images) if i in held]


def folder_sha256(images: Iterable[LabelledImage]) -> str:
    """One hash over names and contents of images and labels, in the order given."""
    total = hashlib.sha256()
    for item in images:
        for path in (item.image, item.label):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.name} {digest}\n".encode())
    return total.hexdigest()


def _natural(stem: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", stem)]
