"""Imaged part of spherical triangles, by sampling the coverage mask inside each.

The samples follow the triangle, so the relative error does not grow as cells get small.
"""

from __future__ import annotations

import numpy as np

from queries.coverage import Coverage
from queries.sphere import Floats, lonlat, solid_angle

_RINGS = 11  # rings of doubling radius: the innermost is 1/1024 of the triangle's length
_SPOKES = 16
_BLOCK = 40_000


def imaged_share(a: Floats, b: Floats, c: Floats, coverage: Coverage, steps: int) -> Floats:
    """Imaged share (0..1) of triangles of unit vectors (n, 3), on steps^2 equal sub-triangles."""
    weights = _lattice(steps)
    share = np.empty(len(a))
    for start in range(0, len(a), _BLOCK):
        part = slice(start, start + _BLOCK)
        corners = np.stack([a[part], b[part], c[part]], axis=1)
        lon, lat = lonlat(np.einsum("wk,tkx->twx", weights, corners))
        share[part] = coverage.at(lon.ravel(), lat.ravel()).reshape(lon.shape).mean(axis=1)
    return share


def _lattice(steps: int) -> Floats:
    """Barycentric centroids of the steps^2 congruent sub-triangles, shape (steps^2, 3)."""
    upright = [(i, j, steps - 1 - i - j) for i in range(steps) for j in range(steps - i)]
    flipped = [(i, j, steps - 2 - i - j) for i in range(steps - 1) for j in range(steps - 1 - i)]
    return np.concatenate(
        [
            (np.array(upright, float) + 1.0 / 3.0) / steps,
            (np.array(flipped, float).reshape(-1, 3) + 2.0 / 3.0) / steps,
        ]
    )


def imaged_area_of_long(a: Floats, b: Floats, c: Floats, coverage: Coverage) -> Floats:
    """Imaged area (steradian) of triangles that reach far over unimaged ground.

    A crater at the edge of a small imaged patch owns a cell that spans the sphere; what is imaged
    of it lies near the crater. So the triangle is cut into rings of doubling distance from `a`
    and spokes towards the far side, each piece weighed by its exact solid angle.
    """
    area = np.empty(len(a))
    block = max(_BLOCK // (_RINGS * _SPOKES), 1) * 4
    for start in range(0, len(a), block):
        part = slice(start, start + block)
        area[part] = _ringed(a[part], b[part], c[part], coverage)
    return area


def _ringed(a: Floats, b: Floats, c: Floats, coverage: Coverage) -> Floats:
    reach = np.concatenate([[0.0], 2.0 ** np.arange(1 - _RINGS, 1)])
    node = _spoke_ends(a, b, c)  # (n, spokes + 1, 3)
    grid = _along(a[:, None, :], node, reach)  # (n, spokes + 1, rings + 1, 3)
    apex = a[:, None, None, :]
    nested = solid_angle(apex, grid[:, :-1], grid[:, 1:])  # (n, spokes, rings + 1)
    pieces = np.diff(nested, axis=-1)
    total = np.zeros(len(a))
    for inward in (0.25, 0.75):
        for sideways in (0.25, 0.75):
            near = (1 - sideways) * grid[:, :-1, :-1] + sideways * grid[:, 1:, :-1]
            far = (1 - sideways) * grid[:, :-1, 1:] + sideways * grid[:, 1:, 1:]
            lon, lat = lonlat((1 - inward) * near + inward * far)
            seen = coverage.at(lon.ravel(), lat.ravel()).reshape(lon.shape)
            total += (pieces * seen).sum(axis=(1, 2)) / 4.0
    return total


def _spoke_ends(a: Floats, b: Floats, c: Floats) -> Floats:
    """Where spokes from `a`, even in azimuth from b to c, meet the far side: (n, spokes + 1, 3)."""
    to_b, to_c = _tangent(a, b), _tangent(a, c)
    sine = np.linalg.norm(np.cross(to_b, to_c), axis=1)
    opening = np.arctan2(sine, np.sum(to_b * to_c, axis=1))
    across = np.cross(np.cross(to_b, to_c), to_b) / np.maximum(sine, 1e-300)[:, None]
    turn = opening[:, None] * np.linspace(0.0, 1.0, _SPOKES + 1)
    heading = np.cos(turn)[..., None] * to_b[:, None] + np.sin(turn)[..., None] * across[:, None]
    far_side = np.cross(b, c)[:, None, :]
    ends = np.cross(np.cross(a[:, None, :], heading), far_side)
    ends *= np.where(np.sum(ends * heading, axis=-1) < 0.0, -1.0, 1.0)[..., None]
    ends /= np.linalg.norm(ends, axis=-1, keepdims=True)
    ends[:, 0], ends[:, -1] = b, c
    return np.asarray(ends)


def _tangent(a: Floats, b: Floats) -> Floats:
    """Unit tangent at `a` towards `b`."""
    tangent = b - np.sum(a * b, axis=1)[:, None] * a
    return np.asarray(tangent / np.linalg.norm(tangent, axis=1)[:, None])


def _along(start: Floats, end: Floats, steps: Floats) -> Floats:
    """Unit vectors on the arcs from start to end: shape (..., len(steps), 3)."""
    chord = start[..., None, :] + steps[:, None] * (end - start)[..., None, :]
    return np.asarray(chord / np.linalg.norm(chord, axis=-1, keepdims=True))
