"""Levels, size windows and the grid of tiles.

A level of factor f is the scene down-sampled f times (f < 1 up-samples). Its tiles overlap, and
it accepts boxes of a window of sizes such that every one of them is whole, with a margin, in
some tile; the windows of the levels join without a gap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cda_db.errors import InputError
from cda_db.runs import Level

SMALLEST_BOX_PX = 6.0


@dataclass(frozen=True)
class TileGrid:
    """Tiles of one level of one scene; the last row and column are pulled back to the edge.

    Attributes:
        width, height: pixels of the scene as seen, at level 1.
        factor: down-sampling factor.
        tile: pixels a tile's side.
        overlap: pixels shared by neighbours.
        margin: pixels of the level by which the tiles go on past each edge of the scene.
    """

    width: int
    height: int
    factor: float
    tile: int
    overlap: int
    margin: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.tile or self.factor <= 0:
            raise InputError(
                f"Tiles of {self.tile} px with an overlap of {self.overlap} px at level "
                f"{self.factor:g} are no grid.",
                "The overlap must be at least 0 and smaller than the tile, the level above 0.",
            )

    @property
    def stride(self) -> int:
        """Pixels from one tile to the next."""
        return self.tile - self.overlap

    @property
    def level_width(self) -> int:
        """Pixels of the level in x, the last one perhaps partial, with both margins."""
        return math.ceil(self.width / self.factor) + 2 * self.margin

    @property
    def level_height(self) -> int:
        """Pixels of the level in y."""
        return math.ceil(self.height / self.factor) + 2 * self.margin

    @property
    def n_columns(self) -> int:
        """Tiles in x."""
        return self._count(self.level_width)

    @property
    def n_rows(self) -> int:
        """Tiles in y."""
        return self._count(self.level_height)

    def _count(self, size: int) -> int:
        return max(1, math.ceil((size - self.overlap) / self.stride))

    def origin(self, row: int, col: int) -> tuple[int, int]:
        """Level pixel (x, y) of a tile's top left corner; the margin's are negative."""
        return (
            min(col * self.stride, max(self.level_width - self.tile, 0)) - self.margin,
            min(row * self.stride, max(self.level_height - self.tile, 0)) - self.margin,
        )


def default_levels(
    factors: Sequence[float], tile: int, overlap: int, edge_margin_px: float = 2.0
) -> tuple[Level, ...]:
    """Levels of a run with their size windows, finest first.

    Args:
        factors: down-sampling factors, each once.
        tile: pixels a tile's side.
        overlap: pixels that tiles share; the coarsest level shares half a tile.
        edge_margin_px: a box nearer than this to an inner tile edge counts as cut.

    Raises:
        InputError: no or repeated factors, or sizes that no level would accept.
    """
    ordered = sorted(float(factor) for factor in factors)
    if not ordered or len(set(ordered)) != len(ordered) or ordered[0] <= 0:
        raise InputError(
            f"Levels {list(factors)} are no list of down-sampling factors.",
            "Give each once, above 0, e.g. --levels 1,8,32.",
        )
    levels = []
    for factor in ordered:
        shared = tile // 2 if factor == ordered[-1] else overlap
        smallest = max(SMALLEST_BOX_PX, 4.0 / factor) if factor < 1 else SMALLEST_BOX_PX
        level = Level(factor, shared, smallest, shared - 2 * edge_margin_px)
        TileGrid(tile, tile, factor, tile, shared)
        if level.max_px <= level.min_px:
            raise InputError(
                f"Level {factor:g} accepts no box: from {level.min_px:g} px to its overlap less "
                f"two margins, {level.max_px:g} px.",
                f"Use an overlap above {level.min_px + 2 * edge_margin_px:g} px.",
            )
        levels.append(level)
    _refuse_gaps(levels, edge_margin_px)
    return tuple(levels)


def _refuse_gaps(levels: Sequence[Level], edge_margin_px: float) -> None:
    for fine, coarse in pairwise(levels):
        ends, starts = fine.max_px * fine.factor, coarse.min_px * coarse.factor
        if starts > ends:
            needed = math.ceil(starts / fine.factor + 2 * edge_margin_px)
            raise InputError(
                f"Craters between {ends:g} and {starts:g} scene pixels fit neither level "
                f"{fine.factor:g} nor level {coarse.factor:g}.",
                f"Use an overlap of at least {needed} px, or a level between them.",
            )
