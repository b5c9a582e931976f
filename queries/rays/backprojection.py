"""A second witness: clusters of craters point back at the primary that threw them.

Secondaries land in streaks along their flight. The long axis of a cluster, carried on as a great
circle, passes the primary; the great circles of many clusters cross there. A candidate's score is
the sum over the clusters in its reach of a log likelihood ratio: the axis points at it within its
own error, against any direction. Scores depend on how many clusters lie in reach, so they are
ranked among control sites like the ray statistic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from queries.sphere import (
    Floats,
    bearing_deg,
    great_circle_pole,
    local_frame,
    lonlat,
    separation_deg,
    unit_vectors,
)

LEAST_MEMBERS = 5
_SCATTER_DEG = 5.0  # how far true streaks turn away from their primary, 1 sigma
_POINTING = 0.5  # share of clusters in reach of a true primary that are its own
_LONG = 4.0  # links longer than so many crater distances, of the denser end, do not join


@dataclass(frozen=True)
class Clusters:
    """Clusters of flagged craters, arrays of shape (m,).

    Attributes:
        lon_deg, lat_deg: mean position.
        members: craters in it.
        length_deg, width_deg: root-mean-square extent along and across the long axis.
        axis_deg: azimuth of the long axis, 0..180 clockwise from north.
        axis_error_deg: its standard error; 52 degrees means that it points nowhere.
        label: shape (n,) of the craters given: the cluster of each, -1 for none.
    """

    lon_deg: Floats
    lat_deg: Floats
    members: NDArray[np.int64]
    length_deg: Floats
    width_deg: Floats
    axis_deg: Floats
    axis_error_deg: Floats
    label: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of clusters."""
        return len(self.lon_deg)


def no_clusters(craters: int) -> Clusters:
    """Nothing found among so many craters."""
    none = np.zeros(0)
    label = np.full(craters, -1)
    return Clusters(none, none, np.zeros(0, np.int64), none, none, none, none, label)


def find_clusters(
    lon_deg: Floats,
    lat_deg: Floats,
    flagged: NDArray[np.bool_],
    area_sr: Floats,
    edges: NDArray[np.int64],
    least: int = LEAST_MEMBERS,
) -> Clusters:
    """Connected flagged craters as clusters with their axes.

    Args:
        lon_deg, lat_deg, flagged, area_sr: of every crater, shape (n,) (see `clustered`).
        edges: (k, 2) neighbouring craters.
        least: members that a cluster has at least.
    """
    joined = edges[flagged[edges].all(axis=1)]
    arc = separation_deg(
        lon_deg[joined[:, 0]], lat_deg[joined[:, 0]], lon_deg[joined[:, 1]], lat_deg[joined[:, 1]]
    )
    local = np.degrees(np.sqrt(np.minimum(*area_sr[joined].T))) if len(joined) else arc
    joined = joined[arc <= _LONG * local]
    n = len(lon_deg)
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    component = np.where(flagged, component, -1)
    names, size = np.unique(component[flagged], return_counts=True)
    names = names[size >= least]
    label = np.full(n, -1)
    inside = np.isin(component, names)
    label[inside] = np.searchsorted(names, component[inside])
    members = np.flatnonzero(inside)[np.argsort(label[inside], kind="stable")]
    groups = np.split(members, np.cumsum(np.bincount(label[inside], minlength=len(names)))[:-1])
    rows = [_axis(lon_deg[group], lat_deg[group]) for group in groups if len(group)]
    table = np.array(rows, float).reshape(-1, 6)
    return Clusters(
        lon_deg=table[:, 0],
        lat_deg=table[:, 1],
        members=np.bincount(label[inside], minlength=len(names)),
        length_deg=table[:, 2],
        width_deg=table[:, 3],
        axis_deg=table[:, 4],
        axis_error_deg=table[:, 5],
        label=label,
    )


def _axis(lon: Floats, lat: Floats) -> tuple[float, float, float, float, float, float]:
    """Mean place, extents, azimuth and its error of one cluster, in the tangent plane."""
    vectors = unit_vectors(lon, lat)
    lon0, lat0 = (float(x) for x in lonlat(vectors.mean(axis=0)))
    east, north, _ = local_frame(lon0, lat0) @ vectors.T
    values, axes = np.linalg.eigh(np.cov(np.degrees(np.stack([east, north]))))
    small, large = float(max(values[0], 1e-12)), float(max(values[1], 1e-12))
    azimuth = float(np.degrees(np.arctan2(axes[0, 1], axes[1, 1]))) % 180.0
    # Girshick (1939): variance of the direction of a principal axis of normal scatter.
    spread = max(large - small, 1e-12)
    error = float(np.degrees(np.sqrt(large * small / (len(lon) * spread**2))))
    uniform = 180.0 / np.sqrt(12.0)
    return lon0, lat0, large**0.5, small**0.5, azimuth, min(error, uniform)


def pointing_scores(
    clusters: Clusters, lon_deg: Floats, lat_deg: Floats, inner_deg: Floats, outer_deg: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Sum of log likelihood ratios of each site, and the clusters in its reach.

    Args:
        lon_deg, lat_deg: the sites, shape (n,).
        inner_deg, outer_deg: arcs between which clusters count, shape (n,).
    """
    score, reach = np.zeros(len(lon_deg)), np.zeros(len(lon_deg), np.int64)
    sigma = np.hypot(clusters.axis_error_deg, _SCATTER_DEG)
    for k in range(len(clusters)):
        lon, lat = clusters.lon_deg[k], clusters.lat_deg[k]
        arc = separation_deg(lon, lat, lon_deg, lat_deg)
        near = (arc >= inner_deg) & (arc <= outer_deg)
        turn = bearing_deg(lon, lat, lon_deg[near], lat_deg[near]) - clusters.axis_deg[k]
        score[near] += _log_ratio((turn + 90.0) % 180.0 - 90.0, float(sigma[k]))
        reach[near] += 1
    return score, reach


def _log_ratio(off_axis_deg: Floats, sigma_deg: float) -> Floats:
    """log of (pointing density / uniform density) of an angle in [-90, 90)."""
    wraps = off_axis_deg[..., None] + np.array([-180.0, 0.0, 180.0])
    scale = sigma_deg * np.sqrt(2.0 * np.pi)
    pointing = (np.exp(-0.5 * (wraps / sigma_deg) ** 2) / scale).sum(axis=-1)
    return np.asarray(np.log(_POINTING * pointing * 180.0 + 1.0 - _POINTING))


def crossings(
    clusters: Clusters,
    outer_deg: float,
    *,
    largest_error_deg: float = 15.0,
    least_angle_deg: float = 10.0,
    most: int = 1000,
) -> tuple[Floats, Floats]:
    """Where the great circles of two clusters' axes cross, lon_deg and lat_deg.

    Only axes known within `largest_error_deg`, of these the `most` best known; crossings within
    `outer_deg` of both clusters, and circles that meet at `least_angle_deg` or more.
    """
    sharp = np.argsort(clusters.axis_error_deg, kind="stable")[:most]
    sharp = sharp[clusters.axis_error_deg[sharp] <= largest_error_deg]
    lon, lat = clusters.lon_deg[sharp], clusters.lat_deg[sharp]
    pole = great_circle_pole(lon, lat, clusters.axis_deg[sharp])
    first, second = np.triu_indices(len(lon), k=1)
    meet = np.cross(pole[first], pole[second])
    length = np.linalg.norm(meet, axis=1)
    steep = length >= np.sin(np.radians(least_angle_deg))
    first, second = first[steep], second[steep]
    meet = meet[steep] / length[steep][:, None]
    first, second = np.tile(first, 2), np.tile(second, 2)
    x, y = lonlat(np.concatenate([meet, -meet]))
    near = (separation_deg(x, y, lon[first], lat[first]) <= outer_deg) & (
        separation_deg(x, y, lon[second], lat[second]) <= outer_deg
    )
    return x[near], y[near]
