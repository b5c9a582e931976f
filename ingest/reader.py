"""Tiles of a scene's level for the detector: 8 bits, stretched alike, empty ones left out.

Pixels that are not imaged are filled with the mean of the tile's imaged ones, so that the edge
of the picture is as faint as it can be without inventing ground; ``valid`` says which they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import SceneError
from cda_db.margins import Neighbour
from cda_db.scenes import Scene
from ingest.brightness import level_pixels
from ingest.radiometry import limits_at, to_bytes
from ingest.scene import check_unchanged, open_seen
from ingest.seen import SeenPixels
from ingest.shading import Shading
from ingest.source import Mask
from ingest.tiling import TileGrid

Bytes = NDArray[np.uint8]
_CHUNK_COLUMNS = 4096


class TileReader:
    """Reads one level of a scene, a row of tiles at a time. Use it as a context manager.

    Args:
        scene: a registered scene.
        level: down-sampling factor.
        tile, overlap: pixels of the level.
        margin: pixels of the level by which the tiles go on past the scene's edges.
        neighbours: scenes whose pixels lie there; without, the margin is not imaged.

    Raises:
        SceneError: (on entry) the file is gone or was replaced; (on reading) it is damaged.
    """

    def __init__(
        self,
        scene: Scene,
        level: float,
        tile: int,
        overlap: int,
        margin: int = 0,
        neighbours: Sequence[Neighbour] = (),
    ) -> None:
        self.scene, self.level, self.neighbours = scene, float(level), tuple(neighbours)
        self.grid = TileGrid(scene.width, scene.height, self.level, tile, overlap, margin)
        self._limits = limits_at(scene.radiometry, self.level)
        self._shading = Shading(**scene.shading) if scene.shading is not None else None
        self._stack = ExitStack()
        self._seen: SeenPixels | None = None

    def __enter__(self) -> Self:
        for scene in (self.scene, *(other.scene for other in self.neighbours)):
            check_unchanged(scene)
        self._seen = self._stack.enter_context(open_seen(self.scene, self.neighbours))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        self._seen = None

    def rows(self) -> range:
        """The level's tile rows."""
        return range(self.grid.n_rows)

    def read_row(self, row: int) -> tuple[list[int], Bytes, Mask]:
        """The tiles of a row that have a valid pixel of the scene's own ground.

        Returns:
            their columns, the pictures uint8 (n, tile, tile), the validity bool of that shape.
        """
        tile = self.grid.tile
        strip, valid = self._strip(self.grid.origin(row, 0)[1])
        margin = self.grid.margin
        origins = [self.grid.origin(row, col)[0] + margin for col in range(self.grid.n_columns)]
        own = valid & self._own(self.grid.origin(row, 0)[1])
        columns = [i for i, x in enumerate(origins) if own[:, x : x + tile].any()]
        tiles = np.zeros((len(columns), tile, tile), dtype=np.uint8)
        masks = np.zeros((len(columns), tile, tile), dtype=bool)
        for i, column in enumerate(columns):
            part = np.s_[:, origins[column] : origins[column] + tile]
            width = strip[part].shape[1]
            masks[i, :, :width] = valid[part]
            tiles[i, :, :width] = strip[part]
            _fill(tiles[i], masks[i])
        return columns, tiles, masks

    def _own(self, top: int) -> Mask:
        """Pixels of the strip that are not margin."""
        row = top + np.arange(self.grid.tile)
        col = np.arange(self.grid.level_width) - self.grid.margin
        high = self.grid.level_height - 2 * self.grid.margin
        wide = self.grid.level_width - 2 * self.grid.margin
        inside: Mask = ((row >= 0) & (row < high))[:, None] & ((col >= 0) & (col < wide))
        return inside

    def _strip(self, top: int) -> tuple[Bytes, Mask]:
        """One tile's height of the level from pixel row ``top``, over its whole width."""
        if self._seen is None:
            raise SceneError(f"Scene {self.scene.name} is not open.", "Use `with TileReader(..)`.")
        height, width = self.grid.tile, self.grid.level_width
        strip = np.zeros((height, width), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=bool)
        for left in range(0, width, _CHUNK_COLUMNS):
            part = np.s_[:, left : left + _CHUNK_COLUMNS]
            size = (strip[part].shape[1], height)
            values, valid[part] = level_pixels(
                self._seen, self.level, (left - self.grid.margin, top), size, self._shading
            )
            strip[part] = to_bytes(values, self._limits)
        return strip, valid


def _fill(tile: Bytes, valid: Mask) -> None:
    """Give pixels that are not imaged the mean of those that are, in place."""
    if not valid.all():
        tile[~valid] = np.uint8(np.rint(tile[valid].mean()))
