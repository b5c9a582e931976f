"""What the detector sees at a level before the stretch: grey values, or shaded slopes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cda_db.errors import SceneError
from ingest.radiometry import shaded_radiometry
from ingest.seen import SeenPixels
from ingest.shading import Shading, shade
from ingest.source import Mask, Values
from ingest.tiling import TileGrid

_PROBE_PX = 256
_PROBES = 6
_DEEPEST_LEVEL = 64


def level_pixels(
    seen: SeenPixels,
    level: float,
    corner: tuple[int, int],
    size: tuple[int, int],
    shading: Shading | None,
) -> tuple[Values, Mask]:
    """Grey values, or brightness of shaded elevations, of a window of a level.

    Args:
        seen: the scene's pixels.
        level: down-sampling factor.
        corner: level pixel (col, row).
        size: columns, rows.
        shading: light for an elevation model, else None.
    """
    (left, top), (columns, rows) = corner, size
    if shading is None:
        return seen.window(level, left, top, columns, rows)
    elevation, valid = seen.window(level, left - 1, top - 1, columns + 2, rows + 2)
    return shade(elevation, valid, seen.grid, corner, level, shading)


def shaded_limits(seen: SeenPixels, shading: Shading) -> dict[str, Any]:
    """The stretch of a shaded elevation model, for each power of two of its levels.

    Brightness is sampled in windows spread evenly over the scene.
    """
    samples: dict[float, Values] = {}
    factor = 1
    while factor <= _DEEPEST_LEVEL:
        grid = TileGrid(seen.grid.width, seen.grid.height, factor, _PROBE_PX, 0)
        found = []
        for row in _spread(grid.n_rows):
            for col in _spread(grid.n_columns):
                corner = grid.origin(row, col)
                size = (
                    min(_PROBE_PX, grid.level_width),
                    min(_PROBE_PX, grid.level_height),
                )
                values, valid = level_pixels(seen, factor, corner, size, shading)
                found.append(values[valid])
        samples[float(factor)] = np.concatenate(found)
        if min(grid.level_width, grid.level_height) < 32:
            break
        factor *= 2
    samples = {level: values for level, values in samples.items() if values.size}
    if not samples:
        raise SceneError(
            f"{seen.source.path}: no slope can be taken anywhere.",
            "Its valid pixels are too scattered for an elevation model.",
        )
    return shaded_radiometry(samples)


def _spread(count: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, _PROBES))})
