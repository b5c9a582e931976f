"""Every crater of a level's size window is whole in some tile, wherever it lies."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cda_db.errors import InputError
from ingest.tiling import TileGrid, default_levels

MARGIN = 2.0


def whole_in_some_tile(grid: TileGrid, x: float, y: float, size: float) -> bool:
    """Brute force over all tiles: inside, and off every inner edge by the margin."""

    def fits(start: float, origin: int, limit: int) -> bool:
        low = start >= 0 if origin == 0 else start >= origin + MARGIN
        last = origin + grid.tile >= limit
        end = origin + grid.tile - (0 if last else MARGIN)
        return low and start + size <= end

    return any(
        fits(x, grid.origin(row, col)[0], grid.level_width)
        and fits(y, grid.origin(row, col)[1], grid.level_height)
        for row in range(grid.n_rows)
        for col in range(grid.n_columns)
    )


@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    factors=st.sampled_from([(1,), (1, 8), (0.25, 1, 8), (1, 8, 32), (0.5, 3)]),
    tile_overlap=st.sampled_from([(416, 96), (256, 64), (416, 128), (640, 200)]),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    which=st.integers(0, 3),
)
def test_every_circle_of_the_window_is_whole_in_some_tile(
    width, height, factors, tile_overlap, place, which
) -> None:
    tile, overlap = tile_overlap
    level = default_levels(factors, tile, overlap, MARGIN)[which % len(factors)]
    grid = TileGrid(width, height, level.factor, tile, level.overlap_px)
    size = level.min_px + place[0] * (level.max_px - level.min_px)
    assume(size <= min(grid.level_width, grid.level_height))
    x = place[1] * (grid.level_width - size)
    y = place[2] * (grid.level_height - size)
    assert whole_in_some_tile(grid, x, y, size)


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([0.25, 1, 2.5, 8, 32]))
def test_tiles_cover_the_level_and_none_is_superfluous(width, height, factor) -> None:
    grid = TileGrid(width, height, factor, 416, 96)
    assert (grid.level_width, grid.level_height) == (
        math.ceil(width / factor),
        math.ceil(height / factor),
    )
    covered = 0
    for col in range(grid.n_columns):
        x = grid.origin(0, col)[0]
        assert x <= covered  # no gap to the tile before
        assert x + 416 > covered  # brings new pixels
        covered = x + 416
    assert covered >= grid.level_width
    assert grid.origin(0, grid.n_columns - 1)[0] == max(grid.level_width - 416, 0) or (
        covered == grid.level_width
    )


def test_windows_of_the_ctx_levels() -> None:
    # DESIGN section 6: levels 1, 8, 32 with 416 px tiles stop at about 33 km at 5 m/px.
    levels = default_levels((1, 8, 32), 416, 96)
    assert [(lev.factor, lev.overlap_px, lev.min_px) for lev in levels] == [
        (1, 96, 6),
        (8, 96, 6),
        (32, 208, 6),
    ]
    assert levels[-1].max_px * 32 * 5 == pytest.approx(33_000, rel=0.02)
    assert default_levels((0.25, 1), 416, 128)[0].min_px == 16


@pytest.mark.parametrize(
    ("factors", "overlap", "says"),
    [
        ((1, 8), 40, "at least 52 px"),  # 48 px of level 1 must fit: 48 + 2 x 2
        ((), 96, "no list"),
        ((1, 1), 96, "no list"),
        ((0, 1), 96, "no list"),
        ((1, 2), 9, "accepts no box"),
        ((1, 2), 416, "no grid"),
    ],
)
def test_levels_that_leave_gaps_are_refused(factors, overlap, says) -> None:
    with pytest.raises(InputError, match=says):
        default_levels(factors, 416, overlap)
