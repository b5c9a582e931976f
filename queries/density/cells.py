"""Density maps as polygons of cells: GeoPackage and GeoParquet with the body's CRS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import hpgeom
import numpy as np
import shapely
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries import moc
from queries.density.healpix_map import DensityMap
from queries.density.layers import Layer, density_layers
from queries.regions import Region
from queries.rings import as_multipolygon, ring_polygon

_EDGE_STEPS = 8  # points along a cell's edge: edges are curves in longitude and latitude


def cell_polygons(cell: moc.Ints, order: int) -> NDArray[np.object_]:
    """Lon/lat MultiPolygons (m,) of nested cells, cut at +-180 and closed over the poles."""
    lon, lat = hpgeom.boundaries(2**order, np.asarray(cell, dtype=np.int64), step=_EDGE_STEPS)
    lon = np.mod(np.atleast_2d(lon) + 180, 360) - 180
    lat = np.atleast_2d(lat)
    # Almost all cells lie away from the seam and the poles: those are made at once.
    plain = (np.ptp(lon, axis=1) < 180) & (np.abs(lat).max(axis=1) < 90 - 1e-9)
    polygons = np.empty(len(lon), dtype=object)
    if plain.any():
        rings = np.asarray(shapely.polygons(np.stack([lon[plain], lat[plain]], axis=2)))
        polygons[plain] = shapely.multipolygons(rings, indices=np.arange(len(rings)))
    for i in np.flatnonzero(~plain):
        polygons[i] = ring_polygon(lon[i], lat[i])
    return polygons


def cells_frame(
    density: DensityMap, layers: Sequence[Layer] | None = None, region: Region | None = None
) -> gpd.GeoDataFrame:
    """One row a cell and diameter bin in which any ground was imaged.

    Args:
        layers: quantities, ``density_layers`` by default: one column each, named with its unit.
        region: clip the polygons to it.

    Returns:
        columns cell, bin, diameter_min_km, diameter_max_km, then the layers (``density_km2`` is
        craters a km2), geometry; CRS IAU_2015 lon/lat of the body.
    """
    chosen = density_layers(density) if layers is None else layers
    which, place = np.nonzero(density.area_km2 > 0)
    used, row = np.unique(place, return_inverse=True)
    polygons = cell_polygons(density.cell[used], density.order)
    if region is not None:
        clipped = shapely.intersection(polygons, region.polygon())
        polygons = np.array([as_multipolygon(part) for part in clipped], dtype=object)
    columns: dict[str, object] = {
        "cell": density.cell[place],
        "bin": np.array(density.bins.names)[which] if len(which) else np.zeros(0, "U1"),
        "diameter_min_km": density.bins.low_km[which],
        "diameter_max_km": density.bins.high_km[which],
    }
    for layer in chosen:
        values = layer.values[which, place]
        columns[column_name(layer)] = values.astype(np.int64) if layer.whole else values
    return gpd.GeoDataFrame(columns, geometry=polygons[row], crs=density.body.crs())


def column_name(layer: Layer) -> str:
    """A layer's name with its unit, as column: ``density_per_km2``, ``area_km2``, ``n``."""
    suffix = {"km-2": "_per_km2", "km2": "_km2", "1": ""}
    return layer.name + suffix[layer.unit]


def write_cells(path: Path, frame: gpd.GeoDataFrame) -> None:
    """Write ``cells_frame`` as GeoPackage (layer ``cells``) or GeoParquet, by the file's suffix.

    Raises:
        InputError: the suffix is neither .gpkg nor .parquet.
    """
    if path.suffix == ".gpkg":
        path.unlink(missing_ok=True)
        frame.to_file(path, layer="cells", driver="GPKG", engine="pyogrio")
    elif path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        raise InputError(f"Cells cannot be written as {path.name}.", "Use .gpkg or .parquet.")
