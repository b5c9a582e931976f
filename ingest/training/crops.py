"""Training crops: windows of labelled images at several scales, plain or turned.

A small detector learns small craters from crops, not from whole scenes: each image is cut at
native scale, at half scale (so that craters larger than a crop are seen) and up-sampled twice
(so that craters of 5 px are). *Turned* crops add rotation, shear, scale, an east-west stretch (an
equirectangular map at 55 degrees shows circles 1.7 times as wide as high) and illumination.
A labelled box stands for the ellipse inscribed in it; under an affine map the ellipse's own
bounding box is the label, so that rotation does not inflate boxes as turning their corners would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import ceil, cos, radians, sin, tan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.training.folders import Boxes, LabelledImage, Pixels, write_yolo

Affine = NDArray[np.float64]


@dataclass(frozen=True)
class CropRule:
    """How a folder of images becomes crops.

    Attributes:
        side: crop side in pixels.
        min_box_px: smaller boxes (after clipping) are no labels: slivers and specks.
        min_inside: share of a box's area that must lie inside the crop.
        min_boxes: crops with fewer boxes are dropped (labels of some folders miss craters, so an
            empty crop there is no proof of empty ground).
        double_share: crops up-sampled twice, as a share of the native crops.
        turned: most turned crops a folder gets.
        turned_share: and never more than so many for each of its native crops.
        turned_scale: smallest and largest scale of a turned crop.
    """

    side: int = 224
    min_box_px: float = 4.0
    min_inside: float = 0.5
    min_boxes: int = 2
    double_share: float = 0.3
    turned: int = 600
    turned_share: float = 2.0
    turned_scale: tuple[float, float] = (0.7, 1.6)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def clip_boxes(boxes: Boxes, side: int, min_box_px: float, min_inside: float) -> Boxes:
    """Boxes (n, 4) of crop pixels clipped to the crop; slivers and mostly-outside ones dropped."""
    clipped = np.clip(boxes, 0, side)
    size = clipped[:, 2:] - clipped[:, :2]
    whole = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    keep = (size.min(axis=1) >= min_box_px) & (np.prod(size, axis=1) >= min_inside * whole)
    return np.asarray(clipped[keep], dtype=np.float64)


def warp_boxes(boxes: Boxes, affine: Affine) -> Boxes:
    """Bounding boxes of the inscribed ellipses of ``boxes`` after the map ``affine`` (2, 3)."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    axes = (boxes[:, 2:] - boxes[:, :2]) / 2
    moved = centre @ affine[:, :2].T + affine[:, 2]
    half = np.sqrt(axes**2 @ (affine[:, :2] ** 2).T)
    return np.hstack([moved - half, moved + half])


def grid_starts(length: int, window: float) -> list[float]:
    """Window starts that cover ``length`` evenly with the fewest windows; one if it fits."""
    if window >= length:
        return [0.0]
    count = ceil(length / window)
    return [float(v) for v in np.linspace(0, length - window, count)]


def cut(pixels: Pixels, affine: Affine, side: int) -> Pixels:
    """The crop (side, side) whose pixel q shows image point p with q = affine(p).

    Outside the image it holds the mean of the inside, as a tile does at inference.
    """
    import cv2

    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    source = pixels
    if scale < 0.75:
        # Averaging before a coarse resampling, or small craters alias into noise.
        source = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.3 / scale), dtype=np.uint8)
    shift = affine.copy()
    # OpenCV counts from pixel centres, we from corners.
    shift[:, 2] += affine[:, :2] @ np.array([0.5, 0.5]) - 0.5
    flag = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    crop = np.asarray(
        cv2.warpAffine(source, shift, (side, side), flags=flag, borderMode=cv2.BORDER_REPLICATE),
        dtype=np.uint8,
    )
    ones = np.ones_like(pixels)
    inside = np.asarray(cv2.warpAffine(ones, shift, (side, side), flags=cv2.INTER_NEAREST)) > 0
    return np.where(inside, crop, np.uint8(crop[inside].mean() if inside.any() else 0))


def window_affine(x: float, y: float, scale: float) -> Affine:
    """Map of a plain window with its top left corner at image point (x, y)."""
    return np.array([[scale, 0, -x * scale], [0, scale, -y * scale]], dtype=np.float64)


def turned_affine(centre: NDArray[np.float64], rule: CropRule, rng: np.random.Generator) -> Affine:
    """A random turn about image point ``centre``, which comes to the crop's middle."""
    angle, shear = radians(rng.uniform(-30, 30)), radians(rng.uniform(-6, 6))
    scale = np.exp(rng.uniform(*np.log(rule.turned_scale)))
    stretch = np.exp(rng.uniform(0, np.log(1.7))) if rng.random() < 0.5 else 1.0
    turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    linear = np.diag([stretch, 1.0]) @ turn @ np.array([[1, tan(shear)], [0, 1]])
    linear *= scale / np.sqrt(stretch)
    shift = np.full(2, rule.side / 2) - linear @ centre
    return np.hstack([linear, shift[:, None]])


def relight(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Random gamma and contrast about the mean."""
    gamma, gain = rng.uniform(0.7, 1.4), rng.uniform(0.6, 1.8)
    mean = (float(pixels.mean()) / 255) ** gamma
    table = (np.arange(256) / 255.0) ** gamma
    table = np.clip((table - mean) * gain + mean, 0, 1)
    return np.asarray(np.rint(table * 255).astype(np.uint8)[pixels], dtype=np.uint8)


def plain_windows(shape: tuple[int, ...], side: int, scale: float) -> Iterator[Affine]:
    """Maps of the even grid of windows that covers an image at a scale."""
    for y in grid_starts(shape[0], side / scale):
        for x in grid_starts(shape[1], side / scale):
            yield window_affine(x, y, scale)


class CropWriter:
    """Writes crops and their labels as ``images/SPLIT`` and ``labels/SPLIT`` under a folder."""

    def __init__(self, folder: Path, split: str, rule: CropRule) -> None:
        self.images, self.labels = folder / "images" / split, folder / "labels" / split
        self.rule, self.crops, self.boxes = rule, 0, 0
        self.images.mkdir(parents=True, exist_ok=True)
        self.labels.mkdir(parents=True, exist_ok=True)

    def labels_of(self, boxes: Boxes, affine: Affine) -> Boxes:
        """What would be labelled in the crop of that map."""
        rule = self.rule
        return clip_boxes(warp_boxes(boxes, affine), rule.side, rule.min_box_px, rule.min_inside)

    def add(self, name: str, pixels: Pixels, boxes: Boxes, affine: Affine, light: Any) -> bool:
        """Write one crop unless it holds too few boxes; ``light`` is None or a generator."""
        import cv2

        labels = self.labels_of(boxes, affine)
        if len(labels) < self.rule.min_boxes:
            return False
        side = self.rule.side
        crop = cut(pixels, affine, side)
        if light is not None:
            crop = relight(crop, light)
        cv2.imwrite(str(self.images / f"{name}.png"), crop)
        write_yolo(self.labels / f"{name}.txt", labels, side, side)
        self.crops += 1
        self.boxes += len(labels)
        return True


def write_folder(
    images: Sequence[LabelledImage], prefix: str, writer: CropWriter, rng: np.random.Generator
) -> None:
    """Cut every image of a folder: native and half scale grids, some doubled, some turned."""
    rule = writer.rule
    loaded = [(item.name, item.pixels(), item.boxes()) for item in images]
    native = 0
    doubles: list[tuple[int, Affine, int]] = []
    for index, (name, pixels, boxes) in enumerate(loaded):
        for scale in (1.0, 0.5):
            maps = plain_windows(pixels.shape, rule.side, scale)
            for k, affine in enumerate(maps):
                done = writer.add(f"{prefix}-{name}-s{scale}-{k}", pixels, boxes, affine, None)
                native += done and scale == 1.0
        for affine in plain_windows(pixels.shape, rule.side, 2.0):
            count = len(writer.labels_of(boxes, affine))
            if count >= rule.min_boxes:
                doubles.append((index, affine, count))
    _write_doubles(loaded, doubles, round(native * rule.double_share), prefix, writer, rng)
    turned = min(rule.turned, round(rule.turned_share * native))
    write_turned(loaded, turned, prefix, writer, rng)


def _write_doubles(
    loaded: Sequence[tuple[str, Pixels, Boxes]],
    doubles: Sequence[tuple[int, Affine, int]],
    wanted: int,
    prefix: str,
    writer: CropWriter,
    rng: np.random.Generator,
) -> None:
    if not doubles:
        return
    # Windows with many labels are the ones whose small craters were marked most fully.
    weight = np.array([count for _, _, count in doubles], dtype=np.float64) ** 2
    wanted = min(wanted, len(doubles))
    chosen = rng.choice(len(doubles), wanted, replace=False, p=weight / weight.sum())
    for k in np.sort(chosen):
        index, affine, _ = doubles[k]
        name, pixels, boxes = loaded[index]
        writer.add(f"{prefix}-{name}-s2.0-{k}", pixels, boxes, affine, None)


def write_turned(
    loaded: Sequence[tuple[str, Pixels, Boxes]],
    wanted: int,
    prefix: str,
    writer: CropWriter,
    rng: np.random.Generator,
) -> None:
    """``wanted`` turned crops about random labelled craters of random images."""
    filled = [k for k, (_, _, boxes) in enumerate(loaded) if len(boxes)]
    done = 0
    for attempt in range(20 * wanted if filled else 0):
        if done == wanted:
            return
        name, pixels, boxes = loaded[filled[rng.integers(len(filled))]]
        box = boxes[rng.integers(len(boxes))]
        centre = (box[:2] + box[2:]) / 2 + rng.uniform(-0.3, 0.3, 2) * writer.rule.side
        affine = turned_affine(centre, writer.rule, rng)
        done += writer.add(f"{prefix}-{name}-t-{attempt}", pixels, boxes, affine, rng)
