"""Untiling: tile boxes to the sphere against pyproj, flags at every edge, hostile boxes refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from pyproj import Geod, Proj
from rows import make_run, scene

from cda_db.batches import Boxes, claim_batch, finish_batch
from cda_db.connection import Connection, connect
from cda_db.errors import InputError
from cda_db.runs import Level, add_scenes
from cda_db.scenes import Scene, register_scene
from cda_db.settings import Target
from ingest.tiling import TileGrid

TILE = 416
FACTOR = 0.98  # rim diameter over box size, of the test's model
PROJ = {
    "equirectangular": "eqc +lat_ts={lat_ts}",
    "sinusoidal": "sinu",
    "mercator": "merc +lat_ts={lat_ts}",
    "polar_stereographic": "stere +lat_0={pole} +lat_ts={lat_ts}",
}


def a_scene(name: str, projection: str, lon_0: float, lat_ts: float, corner: tuple[float, float],
            turn: float = 0.0, **more: object) -> Scene:  # fmt: skip
    """1500 x 1300 pixels of 100 m whose map corner is given, turned by some degrees."""
    cos, sin = 100 * np.cos(np.radians(turn)), 100 * np.sin(np.radians(turn))
    transform = (float(cos), float(sin), corner[0], float(sin), float(-cos), corner[1])
    return scene(
        name, projection=projection, lon_0_deg=lon_0, lat_ts_deg=lat_ts, transform=transform,
        width=1500, height=1300, **more,
    )  # fmt: skip


SCENES = [
    a_scene("eqc", "equirectangular", 0.0, 0.0, (-5e4, 6e4)),
    a_scene("eqc seam", "equirectangular", 180.0, 40.0, (-8e4, 2.6e6)),
    a_scene("sinu", "sinusoidal", 60.0, 0.0, (9e5, -2.2e6)),
    a_scene("eqc turned", "equirectangular", 10.0, -30.0, (-2e5, -1.9e6), turn=12.0),
    a_scene("merc", "mercator", -30.0, 20.0, (2e5, 1.1e6)),
    a_scene("merc turned", "mercator", -30.0, 20.0, (2e5, 1.1e6), turn=33.0),
    a_scene("north", "polar_stereographic", 0.0, 90.0, (-7e4, 7e4)),
    a_scene("south turned", "polar_stereographic", 20.0, -75.0, (-9e5, 4e5), turn=-71.0),
    # degrees: a hundredth of one and a half is 890 by 593 m on Mars
    replace(a_scene("lonlat", "lonlat", 0.0, 0.0, (0.0, 0.0)),
            transform=(0.015, 0.0, 170.0, 0.0, -0.01, 62.0)),
]  # fmt: skip


def claim_scene(conn: Connection, made: Scene, level: Level, name: str) -> tuple[str, TileGrid]:
    """A run over one scene with one batch of all its rows."""
    run = make_run(conn, name, n_scenes=0, levels=(level,))
    digest = hashlib.sha256(name.encode()).digest()
    scene_id, _ = register_scene(conn, replace(made, name=name, sha256=digest))
    add_scenes(conn, run, [scene_id], 10**6)
    conn.commit()
    return name, TileGrid(made.width, made.height, level.factor, TILE, level.overlap_px)


def finish(conn: Connection, run_name: str, found: Boxes) -> int:
    batch = claim_batch(conn, run_name, threads=1)
    assert batch is not None
    return finish_batch(conn, batch, found, n_tiles=1, n_empty=0, n_outside=0)


def make_boxes(
    tile_row: NDArray[np.int16], tile_col: NDArray[np.int16], corners: NDArray[np.float32],
    data_edge: bool = False,
) -> Boxes:  # fmt: skip
    n = len(tile_row)
    x0, y0, x1, y1 = corners.astype(np.float32).T.copy()
    score = np.linspace(0.2, 0.9, n).astype(np.float32)
    return Boxes(tile_row, tile_col, x0, y0, x1, y1, score, np.full(n, data_edge))


def stored(conn: Connection, run_name: str, columns: str) -> list[tuple[object, ...]]:
    """Detections in the order of their scores."""
    return conn.execute(
        f"SELECT {columns} FROM cda.detection JOIN cda.run USING (run_id)"  # type: ignore[arg-type]
        " WHERE name = %s ORDER BY score",
        [run_name],
    ).fetchall()


@pytest.mark.parametrize("made", SCENES, ids=lambda made: made.name)
@pytest.mark.parametrize("factor", [0.5, 1.0, 8.0])
def test_places_and_diameters_equal_pyproj(
    module_database: Target, made: Scene, factor: float
) -> None:
    """Boxes all over a scene: centre to 1e-4 pixels, diameter by PROJ's scale factors to 3e-6."""
    level = Level(factor, 96, 6.0, 92.0) if factor < 8 else Level(factor, 80, 6.0, 76.0)
    rng = np.random.default_rng(int(factor * 10))
    with connect(module_database) as conn:
        name, grid = claim_scene(conn, made, level, f"{made.name} {factor:g}")
        n = 80
        row = rng.integers(0, grid.n_rows, n).astype(np.int16)
        col = rng.integers(0, grid.n_columns, n).astype(np.int16)
        size = rng.uniform(6.5, 70, (n, 2))
        side = min(TILE, grid.level_width, grid.level_height)
        corner = rng.uniform(0, side - 72, (n, 2)).astype(np.float32)
        corners = np.hstack([corner, (corner + size).astype(np.float32)])
        assert finish(conn, name, make_boxes(row, col, corners)) == n
        got = np.array(stored(conn, name, "lon, lat, diameter_m"), dtype=float)
    origin = np.array([grid.origin(int(r), int(c)) for r, c in zip(row, col, strict=True)])
    exact = corners.astype(float)  # the float32 values that were sent
    pixel = (origin + (exact[:, :2] + exact[:, 2:]) / 2) * factor
    if made.projection == "lonlat":  # PROJ's factors want metres: it is the same map
        degree = np.pi / 180 * made.radius_m
        flat = [number * degree for number in made.transform]
        made = replace(
            made, projection="equirectangular",
            transform=(flat[0], flat[1], flat[2], flat[3], flat[4], flat[5]),
        )  # fmt: skip
    a, b, c, d, e, f = made.transform
    x, y = a * pixel[:, 0] + b * pixel[:, 1] + c, d * pixel[:, 0] + e * pixel[:, 1] + f
    words = PROJ[made.projection].format(
        lat_ts=made.lat_ts_deg, pole=90 if made.lat_ts_deg > 0 else -90
    )
    proj = Proj(f"+proj={words} +lon_0={made.lon_0_deg} +R={made.radius_m}")
    lon, lat = proj(x, y, inverse=True)
    apart = Geod(a=made.radius_m, b=made.radius_m).inv(got[:, 0], got[:, 1], lon, lat)[2]
    # 1e-4 pixels: a box's middle is summed in float4
    assert np.max(apart) < 1e-4 * factor * np.hypot(a, d)
    assert ((got[:, 0] >= -180) & (got[:, 0] < 180)).all()
    wide, high = (exact[:, 2:] - exact[:, :2]).T * factor
    want = np.sqrt(wide * high) * pixel_metres(proj, made, np.asarray(lon), np.asarray(lat))
    np.testing.assert_allclose(got[:, 2], want, rtol=3e-6)


def pixel_metres(
    proj: Proj, made: Scene, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ground metres a scene pixel, the geometric mean of across and down a circle's box."""
    factors = proj.get_factors(lon, lat)
    east = 1 / np.cos(np.radians(lat))
    jacobian = np.stack([factors.dx_dlam * east, factors.dx_dphi,
                         factors.dy_dlam * east, factors.dy_dphi], -1)  # fmt: skip
    a, b, _, d, e, _ = made.transform
    pixels = np.linalg.inv([[a, b], [d, e]]) @ jacobian.reshape(-1, 2, 2)
    return np.asarray(1 / np.sqrt(np.linalg.norm(pixels, axis=2).prod(axis=1)))


def test_the_models_factor_scales_the_diameter(conn: Connection) -> None:
    """The rim's diameter is the box's times what was fitted on training data."""
    name, _ = claim_scene(conn, SCENES[0], Level(1.0, 96, 6.0, 92.0), "factor")
    conn.execute("ALTER TABLE cda.model DISABLE TRIGGER model_immutable")
    conn.execute("UPDATE cda.model SET diameter_factor = %s", [FACTOR])
    conn.commit()
    zero = np.zeros(1, np.int16)
    finish(conn, name, make_boxes(zero, zero, np.array([[100, 100, 120, 145]])))
    metres = stored(conn, name, "diameter_m")[0][0]
    # the equator is 0.2 degrees away: its scale factors are those of the very place to 1e-4
    assert metres == pytest.approx(np.sqrt(20 * 45) * 100 * FACTOR, rel=2e-4)


# 1500 px at overlap 96: tiles at 0, 320, 640, 960, 1084; 1300 px: 0, 320, 640, 884.
LAST_COL, LAST_ROW = 4, 3
EDGES = {
    # what, tile row, tile col, box, cut, data_edge
    "middle of a tile": (1, 1, (200, 200, 230, 230), False, False),
    "inner left": (1, 1, (1.5, 200, 30, 230), True, False),
    "inner top": (1, 1, (200, 1.5, 230, 30), True, False),
    "inner right": (1, 1, (380, 200, 414.5, 230), True, False),
    "inner bottom": (1, 1, (200, 380, 230, 414.5), True, False),
    "just inside the margin": (1, 1, (2.5, 2.5, 30, 30), False, False),
    "picture's left": (1, 0, (0, 200, 30, 230), False, True),
    "picture's top": (0, 1, (200, 0, 230, 30), False, True),
    "picture's right": (1, LAST_COL, (380, 200, 416, 230), False, True),
    "picture's bottom": (LAST_ROW, 1, (200, 380, 230, 416), False, True),
    "picture's corner": (0, 0, (0, 0, 30, 30), False, True),
    "inner left of the last column": (1, LAST_COL, (1, 200, 30, 230), True, False),
    "picture's top and inner left": (0, 1, (1, 1, 30, 30), True, True),
}


@pytest.mark.parametrize("cut_edges", [[], ["left"], ["top", "right"], ["bottom", "left"]])
def test_flags_at_every_edge(module_database: Target, cut_edges: list[str]) -> None:
    """Cut at inner tile edges and where a view ends; data_edge at the picture's own edges."""
    name = "edges " + " ".join(cut_edges)
    view = {"kind": "test", "cut_edges": cut_edges} if cut_edges else None
    made = replace(SCENES[0], view=view)
    cases = list(EDGES.values())
    with connect(module_database) as conn:
        claim_scene(conn, made, Level(1.0, 96, 6.0, 92.0), name)
        rows, cols = (np.array([case[i] for case in cases], np.int16) for i in (0, 1))
        finish(conn, name, make_boxes(rows, cols, np.array([case[2] for case in cases])))
        got = stored(conn, name, "cut, data_edge")
        counted = conn.execute(
            "SELECT n_cut FROM cda.batch JOIN cda.run USING (run_id) WHERE name = %s", [name]
        ).fetchone()
    sides = {
        "left": [case[1] == 0 and case[2][0] <= 2 for case in cases],
        "top": [case[0] == 0 and case[2][1] <= 2 for case in cases],
        "right": [case[1] == LAST_COL and case[2][2] >= 414 for case in cases],
        "bottom": [case[0] == LAST_ROW and case[2][3] >= 414 for case in cases],
    }
    want = []
    for i, (what, case) in enumerate(EDGES.items()):
        on_view = any(sides[side][i] for side in cut_edges)
        on_picture = any(sides[side][i] for side in sides if side not in cut_edges)
        want.append((case[3] or on_view, on_picture))
        if not cut_edges:
            assert want[-1] == case[3:], what
    assert got == want
    assert counted == (sum(cut for cut, _ in want),)


# One tile short, exact and over; two tiles exact and over; a last tile moved back by nearly all.
@pytest.mark.parametrize(("width", "height"), [(415, 736), (416, 417), (417, 416), (737, 1055)])
@pytest.mark.parametrize("factor", [1.0, 8.0])
def test_flags_equal_the_tiles_own_edges(
    module_database: Target, width: int, height: int, factor: float
) -> None:
    """Random boxes, most at an edge, against the pixels at which each tile begins and ends."""
    rng = np.random.default_rng(width)
    level = Level(factor, 96, 6.0, 92.0) if factor == 1 else Level(factor, 80, 6.0, 76.0)
    made = replace(SCENES[0], width=int(width * factor), height=int(height * factor))
    with connect(module_database) as conn:
        name, grid = claim_scene(conn, made, level, f"sides {width} {factor:g}")
        n = 400
        row = rng.integers(0, grid.n_rows, n).astype(np.int16)
        col = rng.integers(0, grid.n_columns, n).astype(np.int16)
        end = np.minimum(TILE, [grid.level_width, grid.level_height])
        size = rng.uniform(7, 60, (n, 2)).astype(np.float32)
        at = rng.choice(["first", "last", "inside"], (n, 2))
        low, high = rng.uniform(0, 4, (n, 2)), end - size - rng.uniform(0, 4, (n, 2))
        corner = np.select([at == "first", at == "last"], [low, high], (low + high) / 2)
        corners = np.hstack([corner, corner + size]).astype(np.float32)
        finish(conn, name, make_boxes(row, col, corners))
        got = stored(conn, name, "cut, data_edge")
    want = []
    for r, c, (x0, y0, x1, y1) in zip(row, col, corners, strict=True):
        x, y = grid.origin(int(r), int(c))
        inner, outer = False, False
        for touches, ends_here in (
            (x0 <= 2, x == 0), (y0 <= 2, y == 0),
            (x1 >= end[0] - 2, x + TILE >= grid.level_width),
            (y1 >= end[1] - 2, y + TILE >= grid.level_height),
        ):  # fmt: skip
            inner |= bool(touches and not ends_here)
            outer |= bool(touches and ends_here)
        want.append((inner, outer))
    assert got == want
    assert len(set(want)) >= 3


def test_a_picture_smaller_than_a_tile(conn: Connection) -> None:
    """Its right and bottom edges lie inside the tile: boxes there are incomplete, none is cut."""
    made = replace(SCENES[0], width=200, height=120)
    name, _ = claim_scene(conn, made, Level(1.0, 96, 6.0, 92.0), "small")
    corners = np.array([[170, 50, 199, 80], [50, 90, 80, 119], [50, 50, 80, 80]])
    zero = np.zeros(3, np.int16)
    finish(conn, name, make_boxes(zero, zero, corners))
    assert stored(conn, name, "cut, data_edge") == [(False, True), (False, True), (False, False)]


def test_nodata_under_a_box_is_kept(conn: Connection) -> None:
    name, _ = claim_scene(conn, SCENES[0], Level(1.0, 96, 6.0, 92.0), "nodata")
    one = np.ones(1, np.int16)
    finish(conn, name, make_boxes(one, one, np.array([[200, 200, 230, 230]]), data_edge=True))
    assert stored(conn, name, "cut, data_edge") == [(False, True)]


def test_ids_are_of_batch_and_content_not_of_arrival(conn: Connection) -> None:
    """The same boxes shuffled give the same ids; nothing in an id comes from a sequence."""
    rng = np.random.default_rng(4)
    corner = rng.uniform(10, 300, (50, 2))
    corners = np.hstack([corner, corner + 25]).astype(np.float32)
    rows = rng.integers(0, 3, 50).astype(np.int16)
    cols = rng.integers(0, 4, 50).astype(np.int16)
    boxes = make_boxes(rows, cols, corners)
    name, _ = claim_scene(conn, SCENES[0], Level(1.0, 96, 6.0, 92.0), "ids")
    found = []
    for shuffle in (np.arange(50), rng.permutation(50)):
        finish(conn, name, Boxes(*(part[shuffle] for part in vars(boxes).values())))
        found.append(stored(conn, name, "detection_id, tile_row, tile_col, x0, y0"))
        row = conn.execute("SELECT max(batch_id) FROM cda.batch").fetchone()
        assert row is not None
        conn.execute("SELECT cda.repeat_batch(%s)", [row[0]])
        conn.commit()
    assert found[0] == found[1]
    ids = sorted(row[0] for row in found[0])
    assert ids == list(range(row[0] << 22, (row[0] << 22) + 50))


def test_the_batch_knows_its_bounds(conn: Connection) -> None:
    """Zones of suppression are found by them."""
    name, _ = claim_scene(conn, SCENES[2], Level(1.0, 96, 6.0, 92.0), "bounds")
    rng = np.random.default_rng(9)
    corner = rng.uniform(10, 300, (30, 2))
    rows = rng.integers(0, 3, 30).astype(np.int16)
    finish(conn, name, make_boxes(rows, rows, np.hstack([corner, corner + 30])))
    bounds = conn.execute("SELECT west, east, south, north, max_diameter_m FROM cda.batch")
    places = np.array(stored(conn, name, "lon, lat, diameter_m"), dtype=float)
    (lon, lat, size) = places.T
    assert bounds.fetchall() == [(lon.min(), lon.max(), lat.min(), lat.max(), size.max())]


GOOD = (1, 1, 200.0, 200.0, 230.0, 230.0, 0.5)
HOSTILE = {
    "row before the batch": (-1, *GOOD[1:]),
    "row after the batch": (4, *GOOD[1:]),
    "column past the last": (1, 5, *GOOD[2:]),
    "negative column": (1, -1, *GOOD[2:]),
    "left of the tile": (1, 1, -5.0, *GOOD[3:]),
    "below the tile": (1, 1, 200.0, 380.0, 230.0, 418.0, 0.5),
    "turned inside out": (1, 1, 230.0, 200.0, 200.0, 230.0, 0.5),
    "no height": (1, 1, 200.0, 200.0, 230.0, 200.0, 0.5),
    "smaller than the window": (1, 1, 200.0, 200.0, 205.0, 205.0, 0.5),
    "larger than the window": (1, 1, 200.0, 200.0, 300.0, 300.0, 0.5),
    "score above 1": (*GOOD[:6], 1.5),
    "score below the run's": (*GOOD[:6], -0.1),
    "score is no number": (*GOOD[:6], float("nan")),
    "left is no number": (1, 1, float("nan"), *GOOD[3:]),
    "right is no number": (1, 1, 200.0, 200.0, float("nan"), 230.0, 0.5),
    "infinite": (1, 1, 200.0, 200.0, float("inf"), 230.0, 0.5),
}


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_boxes_are_refused_whole(
    module_database: Target, request: pytest.FixtureRequest, bad: tuple[float, ...]
) -> None:
    """One bad row among good ones: nothing stored, nothing left staged, the batch still mine."""
    with connect(module_database) as conn:
        name, _ = claim_scene(conn, SCENES[0], Level(1.0, 96, 6.0, 92.0), request.node.name)
        batch = claim_batch(conn, name, threads=1)
        assert batch is not None
        columns = list(zip(GOOD, bad, GOOD, strict=True))
        arrays = [np.array(part, np.int16) for part in columns[:2]]
        arrays += [np.array(part, np.float32) for part in columns[2:]]
        hostile = Boxes(*arrays, np.zeros(3, bool))  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"1 boxes of batch \d+ lie outside"):
            finish_batch(conn, batch, hostile, n_tiles=1, n_empty=0, n_outside=0)
        assert stored(conn, name, "1") == []
        assert conn.execute(
            "SELECT state, attempt FROM cda.batch WHERE batch_id = %s", [batch.batch_id]
        ).fetchone() == ("claimed", 1)
        for slot in range(16):
            assert conn.execute(f"SELECT count(*) FROM cda.staging_{slot:02d}").fetchone() == (0,)
        fine = Boxes(*(part[:1] for part in vars(hostile).values()))
        assert finish_batch(conn, batch, fine, n_tiles=1, n_empty=0, n_outside=0) == 1


@pytest.mark.parametrize(
    "staging", ["staging_16", "detection", "staging_00; DROP TABLE x", "", "x"]
)
def test_no_other_table_is_taken_for_staging(conn: Connection, staging: str) -> None:
    make_run(conn, "run")
    batch = claim_batch(conn, "run", threads=1)
    assert batch is not None
    with pytest.raises(psycopg.errors.UndefinedTable):
        conn.execute("SELECT cda.finish_batch(%s, 1, %s, 1, 0, 0)", [batch.batch_id, staging])


def test_no_row_of_staging_has_a_hole(conn: Connection) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation):
        conn.execute("INSERT INTO cda.staging_00 (tile_row, tile_col) VALUES (0, 0)")
