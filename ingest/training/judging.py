"""Right, missed, false or ignored: the rules by which boxes are held against labelled boxes.

People and detectors are judged by the same rules. Objects smaller than ``min_px`` or cut by the
picture's edge are ignored on both sides alike: nobody is charged for missing or for marking one,
and nobody is rewarded. A match of a counted label counts whatever the size of its detection (a
crater of 10.2 px marked as 9.8 px is found).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.training.matching import Pairs, box_pairs, circle_iou, disc_pairs, match

Boxes = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """How boxes are matched and counted.

    Attributes:
        measure: ``box`` or ``circle`` IoU, or ``strict``: centres within 0.25 D and a diameter
            ratio of 0.8 to 1.25.
        iou: least overlap of a match (not used by ``strict``).
        min_px: smaller objects are ignored; the size of a box is sqrt(w h).
        edge_px: a box nearer than this to the picture's edge is cut by it.
    """

    measure: str = "box"
    iou: float = 0.3
    min_px: float = 10.0
    edge_px: float = 2.0


@dataclass(frozen=True)
class Picture:
    """A labelled picture: its name, size in pixels, and label boxes (n, 4)."""

    name: str
    width: int
    height: int
    boxes: Boxes


@dataclass(frozen=True)
class Judged:
    """A picture's labels and detections, and what became of each.

    Attributes:
        picture: the labels.
        found: detections (m, 5): box and score.
        label_counts, found_counts: False where ignored, shapes (n,), (m,).
        partner: label matched by each detection, -1 for none, shape (m,).
        matched: whether each label has a detection, shape (n,).
    """

    picture: Picture
    found: Boxes
    label_counts: Flags
    found_counts: Flags
    partner: NDArray[np.intp]
    matched: Flags

    @property
    def right(self) -> Flags:
        """Detections that match a counted label."""
        hit = self.partner >= 0
        hit[hit] = self.label_counts[self.partner[hit]]
        return hit

    @property
    def false(self) -> Flags:
        """Counted detections that match nothing."""
        return self.found_counts & (self.partner < 0)

    @property
    def missed(self) -> Flags:
        """Counted labels that nothing matches."""
        return self.label_counts & ~self.matched


def sizes(boxes: Boxes) -> NDArray[np.float64]:
    """sqrt(w h) of boxes (n, 4+)."""
    return np.asarray(np.sqrt(np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)), dtype=np.float64)


def judge(picture: Picture, found: Boxes, rules: Rules) -> Judged:
    """Match the detections (m, 5) of a picture with its labels one to one, by ``rules``."""
    pairs = _MEASURES[rules.measure](picture.boxes, found, rules.iou)
    labels, partners, _ = match(pairs, len(picture.boxes), len(found))
    partner = np.full(len(found), -1, dtype=np.intp)
    partner[partners] = labels
    matched = np.zeros(len(picture.boxes), dtype=bool)
    matched[labels] = True
    return Judged(
        picture,
        found,
        _counted(picture.boxes, picture, rules),
        _counted(found, picture, rules),
        partner,
        matched,
    )


def judge_all(
    pictures: Sequence[Picture], found: Sequence[Boxes], rules: Rules, threshold: float = 0.0
) -> list[Judged]:
    """``judge`` each picture with its detections of at least ``threshold``."""
    return [
        judge(picture, rows[rows[:, 4] >= threshold], rules)
        for picture, rows in zip(pictures, found, strict=True)
    ]


def _counted(boxes: Boxes, picture: Picture, rules: Rules) -> Flags:
    inside = (boxes[:, :2] >= rules.edge_px).all(axis=1)
    inside &= boxes[:, 2] <= picture.width - rules.edge_px
    inside &= boxes[:, 3] <= picture.height - rules.edge_px
    return np.asarray(inside & (sizes(boxes) >= rules.min_px), dtype=bool)


def discs(boxes: Boxes) -> Boxes:
    """Circles x, y, diameter (n, 3) of boxes: same centre, diameter sqrt(w h)."""
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:4]) / 2, sizes(boxes)])


def _circle(a: Boxes, b: Boxes, least: float) -> Pairs:
    return disc_pairs(discs(a), discs(b), least)


def _strict(a: Boxes, b: Boxes, _: float) -> Pairs:
    """Pairs by the strict rule; D is the label's diameter (list a)."""
    one, two = discs(a), discs(b)
    pairs = disc_pairs(one, two, STRICT_IOU)
    ratio = two[pairs.j, 2] / one[pairs.i, 2]
    distance = np.hypot(*(one[pairs.i, :2] - two[pairs.j, :2]).T)
    near = distance <= 0.25 * one[pairs.i, 2]
    return pairs.where(near & (ratio >= 0.8) & (ratio <= 1.25))


# The farthest pair that the strict rule allows: a search radius, not a criterion.
STRICT_IOU = 0.99 * float(
    min(circle_iou(np.array([0.5]), np.array([1.0]), np.array([r]))[0] for r in (0.8, 1.25))
)
_MEASURES: dict[str, Callable[[Boxes, Boxes, float], Pairs]] = {
    "box": box_pairs,
    "circle": _circle,
    "strict": _strict,
}
