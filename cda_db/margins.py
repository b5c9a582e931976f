"""Scenes of one pixel grid that fill each other's margins, in runs with neighbours.

A crater on the border of two mosaic tiles is whole in neither. In such a run a scene's tiles go
past its edges by an overlap, over the scenes of the run that lie there on the same grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from cda_db.connection import Connection
from cda_db.scenes import Scene, scene_from_json

_ALIGNED_PX = 0.01
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbour:
    """A scene and its top left corner in the pixels of the scene whose margin it fills."""

    scene: Scene
    x_px: int
    y_px: int

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Neighbour:
        """From the answer of ``cda.claim_batch``."""
        return cls(scene_from_json(data["scene"]), data["x_px"], data["y_px"])


def link_neighbours(conn: Connection, run_id: int, scene_ids: Sequence[int]) -> int:
    """Note the neighbours of scenes new to a run, and open again what they change.

    Returns:
        How many batches of scenes that the run had before were opened again.
    """
    pairs = neighbour_pairs(_scenes(conn, run_id), _reach_px(conn, run_id))
    new = pairs["scene_id"].isin(scene_ids) | pairs["neighbour_id"].isin(scene_ids)
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO cda.run_neighbour (run_id, scene_id, neighbour_id, x_px, y_px)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [[run_id, *row] for row in pairs[new].to_numpy().tolist()],
        )
    widened = sorted(set(pairs[new]["scene_id"]) - set(scene_ids))
    rows = conn.execute(
        "SELECT cda.repeat_batch(batch_id) FROM cda.batch"
        " WHERE run_id = %s AND scene_id = ANY(%s) AND state <> 'open'",
        [run_id, widened],
    ).fetchall()
    return len(rows)


def _reach_px(conn: Connection, run_id: int) -> float:
    """The widest margin of a run's levels, scene pixels."""
    row = conn.execute(
        "SELECT max(overlap_px * factor) FROM cda.run_level WHERE run_id = %s", [run_id]
    ).fetchone()
    return float(row[0]) if row else 0.0


def _scenes(conn: Connection, run_id: int) -> pd.DataFrame:
    """The run's scenes on their file's own grid, with map, affine and size."""
    cursor = conn.execute(
        "SELECT scene_id, kind, coalesce(shading::text, ''), projection, lon_0_deg, lat_ts_deg,"
        " radius_m, a, b, c, d, e, f, width, height"
        " FROM cda.run_scene JOIN cda.scene USING (scene_id)"
        " WHERE run_id = %s AND coalesce(view ->> 'name', 'as_is') = 'as_is' ORDER BY scene_id",
        [run_id],
    )
    names = [column.name for column in cursor.description or ()]
    names[2] = "shading"
    return pd.DataFrame(cursor.fetchall(), columns=names)


def neighbour_pairs(scenes: pd.DataFrame, reach_px: float) -> pd.DataFrame:
    """Ordered pairs of scenes of one grid of which the second reaches into the first's margin.

    Args:
        scenes: columns scene_id, kind, shading, projection, lon_0_deg, lat_ts_deg, radius_m, the
            affine a to f, width, height.
        reach_px: width of the margin.

    Returns:
        Columns scene_id, neighbour_id, x_px, y_px (the neighbour's corner).
    """
    found = [pd.DataFrame(columns=["scene_id", "neighbour_id", "x_px", "y_px"], dtype=np.int64)]
    same_map = ["kind", "shading", "projection", "lon_0_deg", "lat_ts_deg", "radius_m"]
    for _, group in scenes.groupby(same_map, sort=True):
        found += [_pairs_of_map(group, reach_px, turn) for turn in (0, 1, -1)]
    pairs = pd.concat(found, ignore_index=True)
    return pairs.drop_duplicates(["scene_id", "neighbour_id"]).astype(np.int64)


def _pairs_of_map(group: pd.DataFrame, reach_px: float, turn: int) -> pd.DataFrame:
    """Pairs on one map whose second scene is seen ``turn`` times around the sphere."""
    shift = turn * _period(group.iloc[0])
    columns = ["scene_id", "neighbour_id", "x_px", "y_px"]
    if turn and not shift:
        return pd.DataFrame(columns=columns, dtype=np.int64)
    margins = _outlines(group, reach_px, 0.0)
    first, second = shapely.STRtree(_outlines(group, 0.0, shift)).query(margins, "intersects")
    one, other = group.iloc[first], group.iloc[second]
    x, y = _offset(one, other, shift)
    whole = np.maximum(np.abs(x - np.rint(x)), np.abs(y - np.rint(y))) < _ALIGNED_PX
    fits = whole & _same_pixels(one, other)
    fits &= one["scene_id"].to_numpy() != other["scene_id"].to_numpy()
    table = {
        "scene_id": one["scene_id"].to_numpy(), "neighbour_id": other["scene_id"].to_numpy(),
        "x_px": np.rint(x), "y_px": np.rint(y),
    }  # fmt: skip
    return pd.DataFrame(table)[fits]


def _period(scene: pd.Series[Any]) -> float:
    """Map distance of 360 degrees; 0 where the map does not go on past its edges."""
    if scene["projection"] == "lonlat":
        return 360.0
    if scene["projection"] in ("equirectangular", "mercator"):
        return float(2 * np.pi * scene["radius_m"] * np.cos(np.radians(scene["lat_ts_deg"])))
    return 0.0


def _outlines(group: pd.DataFrame, margin_px: float, shift: float) -> NDArray[np.object_]:
    """Boxes on the map around the scenes, widened by pixels and shifted in x."""
    a, b, c, d, e, f, w, h = (
        group[name].to_numpy(np.float64) for name in (*"abcdef", "width", "height")
    )
    m = margin_px
    corners = [(-m, -m), (w + m, -m), (-m, h + m), (w + m, h + m)]
    x = np.array([a * col + b * row + c + shift for col, row in corners])
    y = np.array([d * col + e * row + f for col, row in corners])
    boxes: NDArray[np.object_] = shapely.box(x.min(0), y.min(0), x.max(0), y.max(0))
    return boxes


def _offset(one: pd.DataFrame, other: pd.DataFrame, shift: float) -> tuple[Floats, Floats]:
    """The second scene's corner in pixels of the first."""
    a, b, c, d, e, f = (one[name].to_numpy(np.float64) for name in "abcdef")
    x = other["c"].to_numpy(np.float64) + shift - c
    y = other["f"].to_numpy(np.float64) - f
    det = a * e - b * d
    return (e * x - b * y) / det, (a * y - d * x) / det


def _same_pixels(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether pixels are alike enough that a whole scene does not drift off the grid."""
    side = other[["width", "height"]].to_numpy(np.float64).max(axis=1)
    a, b, d, e = (one[name].to_numpy(np.float64) for name in "abde")
    pixel = np.sqrt(np.abs(a * e - b * d))
    first, second = (table[[*"abde"]].to_numpy(np.float64) for table in (one, other))
    drift = np.abs(first - second).max(axis=1) * side
    return np.asarray(drift < _ALIGNED_PX * pixel, dtype=np.bool_)
