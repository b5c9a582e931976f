"""Pictures: unimaged, empty and counted ground look unlike each other; every kind is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from cda_db.bodies import get_body
from cda_db.errors import InputError
from queries import moc
from queries.density.bins import user_bins
from queries.density.grid import default_pixel_km, grid_for, map_bounds, refined
from queries.density.healpix_map import ArraySource, DensityMap, density_map
from queries.density.map_axes import east_label, north_label
from queries.density.picture import (
    UNIMAGED,
    draw_composite,
    draw_density,
    draw_ratio,
    write_png,
)
from queries.region_files import Feature

MARS = get_body("mars")
FEATURES = [Feature("Gale", "AA", 137.8, -5.4, 154.0), Feature("Arcadia", "AL", -100.0, 45.0, None)]


def half_imaged() -> DensityMap:
    """Base cells 0-5 imaged; craters in one cell of order 3 only, sizes 1-8 km."""
    lon, lat = moc.cell_centres(np.full(60, 300), 3)
    diameter = np.repeat([1500.0, 3000.0, 6000.0], 20)
    ranges = np.array([[0, 6]], dtype=np.int64)
    return density_map(
        ArraySource(MARS, lon, lat, diameter, (0, ranges)), user_bins([1, 2, 4, 8]), 3
    )


def colours(path: Path) -> dict[tuple[int, ...], float]:
    """Share of the picture that each colour covers."""
    image = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    values, counts = np.unique(image, axis=0, return_counts=True)
    return {tuple(v.tolist()): float(n) / len(image) for v, n in zip(values, counts, strict=True)}


def rgb(name: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(name))


def test_unimaged_empty_and_counted_are_three_colours(tmp_path: Path) -> None:
    density = half_imaged()
    grid = grid_for(MARS, "equirectangular", default_pixel_km(density), map_bounds(density))
    figure = draw_density(density, refined(grid, map_bounds(density)), (0,), title="t")
    write_png(tmp_path / "d.png", figure, dpi=60)
    seen = colours(tmp_path / "d.png")
    # The northern cells and two of four around the equator are imaged.
    assert 0.1 < seen[rgb(UNIMAGED)] < 0.5
    assert 0.2 < seen[rgb("#f7f2fa")] < 0.5
    counted = [share for colour, share in seen.items() if max(colour) - min(colour) > 60]
    assert sum(counted) > 0.002  # one cell and the colour bar


@pytest.mark.parametrize("frame", ["sinusoidal_180", "north_polar"])
def test_every_kind_is_drawn_in_every_frame(tmp_path: Path, frame: str) -> None:
    density = half_imaged()
    grid = grid_for(MARS, frame, 120, (-180, -90, 180, 90))
    for draw, bins in ((draw_density, (2,)), (draw_ratio, (0, 1)), (draw_composite, (0, 1, 2))):
        write_png(tmp_path / "x.png", draw(density, grid, bins, features=FEATURES), dpi=40)
        assert len(colours(tmp_path / "x.png")) > 20


def test_composite_mixes_equal_excesses_to_grey(tmp_path: Path) -> None:
    """All three bins hold 20 craters in the one cell: it is white, and empty ground is black."""
    density = half_imaged()
    grid = grid_for(MARS, "equirectangular", 60, map_bounds(density))
    write_png(tmp_path / "c.png", draw_composite(density, grid, (0, 1, 2)), dpi=60)
    seen = colours(tmp_path / "c.png")
    assert seen[(0, 0, 0)] > 0.2


def test_nothing_imaged_is_told() -> None:
    density = half_imaged()
    empty = density_map(
        ArraySource(MARS, np.zeros(1), np.zeros(1), np.full(1, 1500.0), (0, moc.EMPTY)),
        user_bins([1, 2, 4, 8]),
        3,
    )
    grid = grid_for(MARS, "equirectangular", 200, map_bounds(density))
    with pytest.raises(InputError, match="imaged"):
        draw_density(empty, grid, (0,))
    with pytest.raises(InputError, match="imaged"):
        draw_composite(empty, grid, (0, 1, 2))


def test_labels() -> None:
    assert [east_label(x) for x in (-170, 0, 137.5)] == ["190°E", "0°E", "137.5°E"]
    assert [north_label(x) for x in (-30, 0, 5.5)] == ["30°S", "0°", "5.5°N"]
