"""Seam maps of mosaics: which source image every place of a mosaic tile comes from.

The Murray Lab publishes one shapefile of polygons beside each tile of its CTX mosaic (Dickson
et al. 2024). It becomes part of the scene's record, so that a detection can name its image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError

from cda_db.errors import SceneError
from ingest.products import describe_product
from ingest.projection import source_frame
from ingest.sphere import Floats, wrap_lon

_REMEDY = "Fetch the tile's seam map again, or move it away to register the tile without it."
_EXTENSIONS = (".shp", ".gpkg", ".geojson")
_DECIMALS = 1e-6  # degrees: 6 cm on Mars


@dataclass(frozen=True)
class SeamMap:
    """Source images of a mosaic tile.

    Attributes:
        products: (n,) product ids.
        outlines: (n,) polygons in lon/lat degrees, continuous across +-180.
        file: name of the file they come from.
    """

    products: tuple[str, ...]
    outlines: NDArray[np.object_]
    file: str

    def product_at(self, lon_deg: Floats, lat_deg: Floats) -> list[str | None]:
        """The product that each place shows; None outside every outline."""
        tree = shapely.STRtree(self.outlines)
        found: list[str | None] = [None] * len(lon_deg)
        west = min(outline.bounds[0] for outline in self.outlines)
        lon = west + (np.asarray(lon_deg) - west) % 360.0
        for point, outline in tree.query(shapely.points(lon, lat_deg), "within").T:
            found[point] = found[point] or self.products[outline]
        return found

    def as_dict(self) -> dict[str, Any]:
        """JSON values for the scene's record: products and outlines as WKT."""
        texts = shapely.to_wkt(self.outlines, rounding_precision=6)
        pairs = zip(self.products, texts, strict=True)
        return {"file": self.file, "images": [list(pair) for pair in pairs]}


def seam_map_beside(path: Path) -> Path | None:
    """The seam map that lies beside a mosaic tile: same name up to the last word, "seam" in it."""
    stem = path.stem.rsplit("_", 1)[0].lower()
    for file in sorted(path.parent.iterdir()):
        name = file.stem.lower()
        if file.suffix.lower() in _EXTENSIONS and name.startswith(stem) and "seam" in name:
            return file
    return None


def read_seam_map(path: Path, body: str) -> SeamMap:
    """Read a seam map.

    Args:
        path: polygons with a column of product ids, in any CRS of the body.
        body: the mosaic's body.

    Raises:
        SceneError: unreadable, without a planetary CRS, or without a column of product ids.
    """
    try:
        table = geopandas.read_file(path)
    except (DataSourceError, OSError) as error:
        raise SceneError(f"{path} cannot be read as polygons ({error}).", _REMEDY) from error
    if table.crs is None or table.empty:
        raise SceneError(f"{path} has no CRS or no polygon.", _REMEDY)
    frame = source_frame(table.crs.to_wkt(), str(path), body=body)
    column = _product_column(table)
    if column is None:
        raise SceneError(f"{path} has no column of product ids.", _REMEDY)

    def lonlat(points: NDArray[np.float64]) -> NDArray[np.float64]:
        lon, lat = frame.to_lonlat(points[:, 0], points[:, 1])
        return np.stack([lon[0] + wrap_lon(lon - lon[0]), lat], axis=1)

    outlines = [shapely.transform(outline, lonlat) for outline in table.geometry]
    clean = shapely.make_valid(shapely.set_precision(np.array(outlines, dtype=object), _DECIMALS))
    return SeamMap(tuple(_product(value) for value in table[column]), clean, path.name)


def _product(value: object) -> str:
    return str(describe_product(str(value)).get("product_id", value))


def _product_column(table: geopandas.GeoDataFrame) -> str | None:
    """The column whose values are product ids by their pattern."""
    for name in table.columns.drop(table.geometry.name):
        if all(describe_product(str(value)) for value in table[name]):
            return str(name)
    return None
