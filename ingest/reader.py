"""Tiles of a scene's level for the detector: 8 bits, stretched alike, empty ones left out.

Pixels that are not imaged are filled with the mean of the tile's imaged ones, so that the edge
of the picture is as faint as it can be without inventing ground; ``valid`` says which they are.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import SceneError
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

    Raises:
        SceneError: (on entry) the file is gone or was replaced; (on reading) it is damaged.
    """

    def __init__(self, scene: Scene, level: float, tile: int, overlap: int) -> None:
        self.scene, self.level = scene, float(level)
        self.grid = TileGrid(scene.width, scene.height, self.level, tile, overlap)
        self._limits = limits_at(scene.radiometry, self.level)
        self._shading = Shading(**scene.shading) if scene.shading is not None else None
        self._stack = ExitStack()
        self._seen: SeenPixels | None = None

    def __enter__(self) -> Self:
        check_unchanged(self.scene)
        self._seen = self._stack.enter_context(open_seen(self.scene))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        self._seen = None

    def rows(self) -> range:
        """The level's tile rows."""
        return range(self.grid.n_rows)

    def read_row(self, row: int) -> tuple[list[int], Bytes, Mask]:
        """The tiles of a row that have a valid pixel.

        Returns:
            their columns, the pictures uint8 (n, tile, tile), the validity bool of that shape.
        """
        tile = self.grid.tile
        strip, valid = self._strip(self.grid.origin(row, 0)[1])
        origins = [self.grid.origin(row, col)[0] for col in range(self.grid.n_columns)]
        columns = [i for i, x in enumerate(origins) if valid[:, x : x + tile].any()]
        tiles = np.zeros((len(columns), tile, tile), dtype=np.uint8)
        masks = np.zeros((len(columns), tile, tile), dtype=bool)
        for i, column in enumerate(columns):
            part = np.s_[:, origins[column] : origins[column] + tile]
            width = strip[part].shape[1]
            masks[i, :, :width] = valid[part]
            tiles[i, :, :width] = strip[part]
            _fill(tiles[i], masks[i])
        return columns, tiles, masks

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
                self._seen, self.level, (left, top), size, self._shading
            )
            strip[part] = to_bytes(values, self._limits)
        return strip, valid


def _fill(tile: Bytes, valid: Mask) -> None:
    """Give pixels that are not imaged the mean of those that are, in place."""
    if not valid.all():
        tile[~valid] = np.uint8(np.rint(tile[valid].mean()))
