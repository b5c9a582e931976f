"""From a request to a map and its files: what ``cda query density`` and the demo call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run
from queries.density.bins import DiameterBins
from queries.density.cells import cells_frame, write_cells
from queries.density.healpix_map import DensityMap
from queries.density.of_run import density_of_run
from queries.density.picture import draw_composite, draw_density, draw_ratio, write_png
from queries.density.raster import default_pixel_km, grid_for, map_bounds, write_raster
from queries.density.smoothing import smooth
from queries.region_files import Feature
from queries.regions import Region


@dataclass(frozen=True)
class MapRequest:
    """What map is wanted, and how it is shown.

    Attributes:
        bins, order, region, confidence: as of ``density_map``.
        smooth_km: radius of ``smooth``; None: cells stand alone.
        frame, pixel_km: of rasters and pictures; None takes a third of a cell.
        picture: density (one bin), ratio (two), composite (three).
        picture_bins: places of these in ``bins``; None chooses the fullest, or evenly.
        features: named on pictures.
    """

    bins: DiameterBins
    order: int = 6
    region: Region | None = None
    confidence: float = 0.95
    smooth_km: float | None = None
    frame: str = "equirectangular"
    pixel_km: float | None = None
    picture: str = "density"
    picture_bins: tuple[int, ...] | None = None
    features: Sequence[Feature] = ()


def make_map(conn: Connection, run: Run, request: MapRequest) -> DensityMap:
    """The map of single cells of a run (smoothing is for its pictures and files)."""
    return density_of_run(
        conn, run, request.bins, request.order, request.region, request.confidence
    )


def density_rows(density: DensityMap) -> list[dict[str, Any]]:
    """One row a bin over all cells, JSON-ready.

    ``n`` is the catalogue's count; ``left_out`` of it are not in the density, because only part
    of a wide bin's sizes was imaged there; density is None where no ground was imaged for the
    whole bin.
    """
    value, lower, upper = density.total()
    rows = []
    for i, name in enumerate(density.bins.names):
        known = bool(np.isfinite(value[i]))
        rows.append(
            {
                "bin": name,
                "diameter_min_km": float(density.bins.low_km[i]),
                "diameter_max_km": float(density.bins.high_km[i]),
                "n": int(density.count[i].sum()),
                "left_out": int(density.left_out[i].sum()),
                "area_km2": float(density.area_km2[i].sum()),
                "density_per_km2": float(value[i]) if known else None,
                "lower_per_km2": float(lower[i]) if known else None,
                "upper_per_km2": float(upper[i]) if known else None,
            }
        )
    return rows


def imaged_bins(density: DensityMap) -> DensityMap:
    """The map without the bins for which no ground was imaged."""
    keep = np.flatnonzero((density.area_km2 > 0).any(axis=1))
    if not len(keep):
        raise InputError(
            "No ground is imaged for the whole of any of the bins.",
            "The run's size windows do not hold them: choose other bins.",
        )
    bins = density.bins
    kept = DiameterBins(bins.low_km[keep], bins.high_km[keep], bins.root2[keep], bins.aligned[keep])
    return replace(
        density,
        bins=kept,
        count=density.count[keep],
        left_out=density.left_out[keep],
        area_km2=density.area_km2[keep],
    )


def write_outputs(
    density: DensityMap, request: MapRequest, paths: Sequence[Path], title: str = ""
) -> None:
    """Write a map to files, each in the format of its suffix.

    Bins without any imaged ground have no values and are left out of the files.

    Raises:
        InputError: a suffix is none of .tif, .gpkg, .parquet, .png; or nothing is imaged.
    """
    for path in paths:
        if path.suffix not in {".tif", ".gpkg", ".parquet", ".png"}:
            raise InputError(
                f"A density map cannot be written as {path.name}.",
                "Use .tif, .gpkg, .parquet or .png.",
            )
    if not paths:
        return
    shown = imaged_bins(density)
    if request.smooth_km is not None:
        shown = smooth(shown, request.smooth_km)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".gpkg", ".parquet"}:
            write_cells(path, cells_frame(shown, region=request.region))
        else:
            _write_map(path, shown, density, request, title)


def _write_map(
    path: Path, shown: DensityMap, full: DensityMap, request: MapRequest, title: str
) -> None:
    bounds = map_bounds(shown) if request.region is None else request.region.bounds
    pixel = request.pixel_km or default_pixel_km(shown)
    grid = grid_for(shown.body, request.frame, pixel, bounds)
    if path.suffix == ".tif":
        write_raster(path, shown, grid, tags={"run": title})
        return
    wanted = {"density": 1, "ratio": 2, "composite": 3}[request.picture]
    bins = _picture_bins(shown, full, request, wanted)
    more: dict[str, Any] = {"title": title, "features": request.features}
    if request.picture == "density":
        figure = draw_density(shown, grid, bins[0], **more)
    elif request.picture == "ratio":
        figure = draw_ratio(shown, grid, (bins[0], bins[1]), **more)
    else:
        figure = draw_composite(shown, grid, (bins[0], bins[1], bins[2]), **more)
    write_png(path, figure)


def _picture_bins(
    shown: DensityMap, full: DensityMap, request: MapRequest, wanted: int
) -> list[int]:
    """Places in ``shown`` of the bins to draw."""
    if request.picture_bins is None:
        if wanted > len(shown.bins):
            raise InputError(
                f"A {request.picture} needs {wanted} imaged bins, there are {len(shown.bins)}.",
                "Name more bins with --bins.",
            )
        if wanted == 1:
            return [int(np.argmax(shown.used.sum(axis=1)))]
        return [int(i) for i in np.linspace(0, len(shown.bins) - 1, wanted).round()]
    places = []
    for i in request.picture_bins:
        low = full.bins.low_km[i] if 0 <= i < len(full.bins) else np.nan
        at = np.flatnonzero(shown.bins.low_km == low)
        if not len(at):
            raise InputError(f"Bin {i} is not in the map or not imaged.", "Count from 0.")
        places.append(int(at[0]))
    if len(places) != wanted:
        raise InputError(f"A {request.picture} shows {wanted} bins.", f"Name {wanted} bins.")
    return places
