"""From labelled folders to the crops that one training run sees, with a record of what they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cda_db.bodies import Body
from cda_db.errors import InputError
from ingest.training.caps import CapRule, write_caps
from ingest.training.crops import CropRule, CropWriter, plain_windows, write_folder
from ingest.training.folders import LabelledImage, find_images, folder_sha256, hold_out
from ingest.training.relabel import RECORD


@dataclass(frozen=True)
class Caps:
    """A global elevation model and a crater catalogue, for shaded training crops of the caps."""

    dem: Path
    catalogue: Path
    body: Body


@dataclass(frozen=True)
class DataRequest:
    """What to train on.

    Attributes:
        folders: YOLO folders; all of each one's train images are used.
        exclude: stems of images to leave out, in any folder.
        holdout: share of each folder's images that is kept for validation.
        caps: shaded polar caps, or None.
        crop: how images become crops.
        cap: how caps become crops.
        seed: of every random choice here.
    """

    folders: tuple[Path, ...]
    exclude: tuple[str, ...] = ()
    holdout: float = 0.1
    caps: Caps | None = None
    crop: CropRule = field(default_factory=CropRule)
    cap: CapRule = field(default_factory=CapRule)
    seed: int = 0


def split_folders(
    request: DataRequest,
) -> list[tuple[Path, list[LabelledImage], list[LabelledImage]]]:
    """Each folder's (path, training images, held-out images)."""
    if not request.folders:
        raise InputError("No training folder.", "Give --data DIR at least once.")
    found = []
    for folder in request.folders:
        images = find_images(folder, request.exclude)
        train, held = hold_out(images, request.holdout)
        found.append((folder, train, held))
    return found


def build(request: DataRequest, out: Path) -> dict[str, Any]:
    """Write crops and ``data.yaml`` under ``out``; return (and store) the record of the data.

    The record names folders and image files, never where they lie on this machine.
    """
    shutil.rmtree(out, ignore_errors=True)
    rng = np.random.default_rng(request.seed)
    train = CropWriter(out, "train", request.crop)
    valid = CropWriter(out, "val", request.crop)
    sources = []
    for folder, images, held in split_folders(request):
        before = train.crops, train.boxes
        write_folder(images, folder.name, train, rng)
        _write_plain(held, folder.name, valid)
        sources.append(_source_record(folder, images, held, train, before))
    if request.caps:
        sources.append(_write_caps(request, request.caps, train, rng))
    record = {
        "sources": sources,
        "excluded": list(request.exclude),
        "crop_rule": request.crop.as_dict(),
        "crops": {"train": train.crops, "held_out": valid.crops},
        "boxes": {"train": train.boxes, "held_out": valid.boxes},
        "seed": request.seed,
    }
    (out / "data.yaml").write_text(
        f"path: {out.resolve()}\ntrain: images/train\nval: images/val\nnc: 1\nnames: [crater]\n"
    )
    (out / "record.json").write_text(json.dumps(record, indent=1))
    return record


def _source_record(
    folder: Path,
    images: Sequence[LabelledImage],
    held: Sequence[LabelledImage],
    train: CropWriter,
    before: tuple[int, int],
) -> dict[str, Any]:
    changed = folder / RECORD
    return {
        "folder": folder.name,
        "relabelled": json.loads(changed.read_text()) if changed.is_file() else None,
        "images": len(images),
        "held_out": [item.name for item in held],
        "sha256": folder_sha256(images),
        "held_out_sha256": folder_sha256(held),
        "crops": train.crops - before[0],
        "boxes": train.boxes - before[1],
    }


def _write_plain(images: Sequence[LabelledImage], prefix: str, writer: CropWriter) -> None:
    """Native crops only: what validation curves are drawn from."""
    for item in images:
        pixels, boxes = item.pixels(), item.boxes()
        for k, affine in enumerate(plain_windows(pixels.shape, writer.rule.side, 1.0)):
            writer.add(f"{prefix}-{item.name}-{k}", pixels, boxes, affine, None)


def _write_caps(
    request: DataRequest, caps: Caps, train: CropWriter, rng: np.random.Generator
) -> dict[str, Any]:
    crops, boxes = train.crops, train.boxes
    write_caps(caps.dem, caps.catalogue, caps.body, request.cap, train, rng)
    both = [LabelledImage(caps.dem, caps.catalogue)]
    return {
        "caps_of": caps.dem.name,
        "catalogue": caps.catalogue.name,
        "body": caps.body.name,
        "rule": asdict(request.cap),
        "sha256": folder_sha256(both),
        "crops": train.crops - crops,
        "boxes": train.boxes - boxes,
    }
