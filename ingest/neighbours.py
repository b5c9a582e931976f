"""A margin from neighbours: files of one grid, seen together beyond each one's own edge.

A crater on the border of two mosaic tiles is whole in neither. A VRT that shows a file with a
margin out of its neighbours is a raster like any other; its record holds the hashes of all the
files in it, and its own edge counts as cut wherever a neighbour fills it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import rasterio
import shapely
from rasterio.transform import Affine
from shapely.geometry.base import BaseGeometry

from cda_db.errors import InputError

CUT_EDGES_TAG = "CDA_CUT_EDGES"
_COVERED = 0.99  # of a side's margin: a neighbour fills it
_ALIGNED = 0.01  # pixels
_SAME = 1e-6
_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}


@dataclass(frozen=True)
class _Grid:
    path: Path
    width: int
    height: int
    transform: Affine
    crs: str
    dtype: str
    nodata: float | None


@dataclass(frozen=True)
class _Placed:
    """A file at a pixel offset on another one's grid."""

    grid: _Grid
    x: int
    y: int

    @property
    def box(self) -> shapely.Polygon:
        return shapely.box(self.x, self.y, self.x + self.grid.width, self.y + self.grid.height)


def write_with_margin(
    path: Path, others: Sequence[Path], margin_px: int, out: Path
) -> tuple[str, ...]:
    """Write a VRT of a file with a margin filled from other files of its grid.

    Args:
        path: the file.
        others: candidates; those that do not touch the margin are left out.
        margin_px: width of the margin.
        out: the VRT.

    Returns:
        The edges (left, top, right, bottom) that a neighbour fills.

    Raises:
        InputError: bands or type that cannot be mixed, or no neighbour.
    """
    own = _grid(path)
    if own.dtype not in _TYPES:
        raise InputError(f"{path} has {own.dtype} pixels.", f"Known: {', '.join(_TYPES)}.")
    around = [_placed(own, _grid(other)) for other in others if other.resolve() != own.path]
    frame = shapely.box(-margin_px, -margin_px, own.width + margin_px, own.height + margin_px)
    near = [item for item in around if item is not None and item.box.intersection(frame).area > 0]
    if not near:
        raise InputError(f"{path} has no neighbour on its grid.", "Register it as it is.")
    ground = shapely.union_all([item.box for item in near])
    share = {edge: _share(ground, strip) for edge, strip in _strips(own, margin_px).items()}
    cut = tuple(edge for edge, covered in share.items() if covered > _COVERED)
    margins = {edge: margin_px if covered > 0 else 0 for edge, covered in share.items()}
    out.write_text(_vrt(own, near, margins, cut))
    return cut


def _strips(own: _Grid, margin_px: int) -> dict[str, shapely.Polygon]:
    w, h, m = own.width, own.height, margin_px
    return {
        "left": shapely.box(-m, 0, 0, h),
        "top": shapely.box(0, -m, w, 0),
        "right": shapely.box(w, 0, w + m, h),
        "bottom": shapely.box(0, h, w, h + m),
    }


def _share(ground: BaseGeometry, strip: shapely.Polygon) -> float:
    return float(ground.intersection(strip).area / strip.area)


def _grid(path: Path) -> _Grid:
    with rasterio.open(path, driver="GTiff") as dataset:
        if dataset.count != 1 or dataset.crs is None:
            raise InputError(f"{path} is no map of one band.", "Margins need such GeoTIFFs.")
        return _Grid(
            path.resolve(), dataset.width, dataset.height, dataset.transform,
            dataset.crs.to_wkt(), dataset.dtypes[0], dataset.nodata,
        )  # fmt: skip


def _placed(own: _Grid, other: _Grid) -> _Placed | None:
    """Where another file lies on the file's pixel grid; None if it is of another grid."""
    if (other.crs, other.dtype) != (own.crs, own.dtype):
        return None
    step = ~own.transform @ other.transform
    whole = (round(step.c), round(step.f))
    same_pixels = step.almost_equals(Affine.translation(step.c, step.f), _SAME)
    if not same_pixels or max(abs(step.c - whole[0]), abs(step.f - whole[1])) > _ALIGNED:
        return None
    return _Placed(other, *whole)


def _vrt(own: _Grid, near: Sequence[_Placed], margins: dict[str, int], cut: tuple[str, ...]) -> str:
    left, top = margins["left"], margins["top"]
    width = own.width + left + margins["right"]
    height = own.height + top + margins["bottom"]
    corner = own.transform @ Affine.translation(-left, -top)
    # The file itself comes last: where files overlap it lies on top.
    sources = [_source(item, left, top) for item in (*near, _Placed(own, 0, 0))]
    nodata = "" if own.nodata is None else f"<NoDataValue>{own.nodata!r}</NoDataValue>"
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">\n'
        f'<Metadata><MDI key="{CUT_EDGES_TAG}">{",".join(cut)}</MDI></Metadata>\n'
        f"<SRS>{escape(own.crs)}</SRS>\n"
        f"<GeoTransform>{', '.join(repr(float(v)) for v in corner.to_gdal())}</GeoTransform>\n"
        f'<VRTRasterBand dataType="{_TYPES[own.dtype]}" band="1">{nodata}\n'
        + "\n".join(sources)
        + "\n</VRTRasterBand>\n</VRTDataset>\n"
    )


def _source(item: _Placed, left: int, top: int) -> str:
    grid = item.grid
    size = f'xSize="{grid.width}" ySize="{grid.height}"'
    nodata = "" if grid.nodata is None else f"<NODATA>{grid.nodata!r}</NODATA>"
    return (
        f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(str(grid.path))}'
        f"</SourceFilename><SourceBand>1</SourceBand>"
        f'<SrcRect xOff="0" yOff="0" {size}/>'
        f'<DstRect xOff="{item.x + left}" yOff="{item.y + top}" {size}/>{nodata}</ComplexSource>'
    )
