"""From a request to a map, its figures and its files: what ``cda query density`` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run
from queries.density.bins import DiameterBins
from queries.density.cells import cells_frame, column_name, write_cells
from queries.density.correction import Correction, calibrated_bins, corrected_layers
from queries.density.grid import default_pixel_km, grid_for, map_bounds, refined, suitable_frame
from queries.density.healpix_map import DensityMap
from queries.density.layers import Layer, density_layers
from queries.density.of_run import density_of_run
from queries.density.picture import draw_composite, draw_density, draw_ratio, write_png
from queries.density.raster import write_raster
from queries.density.reshape import as_one_cell, on_cells, with_bins
from queries.density.smoothing import smooth
from queries.region_files import Feature
from queries.regions import Region

_SUFFIXES = (".tif", ".gpkg", ".parquet", ".png")


@dataclass(frozen=True)
class MapRequest:
    """What map is wanted, and how it is shown.

    Attributes:
        bins, order, region, confidence: as of ``density_map``.
        smooth_km: radius of ``smooth`` for files and pictures; None: cells stand alone.
        correction: adds recall, precision and corrected densities as layers.
        frame, pixel_km: of rasters and pictures; None takes the frame in which the ground lies in
            one piece, and a third of a cell.
        picture: density (one bin), ratio (two), composite (three).
        picture_bins: places of these in ``bins``; None chooses the fullest, or evenly.
        features: named on pictures.
    """

    bins: DiameterBins
    order: int = 6
    region: Region | None = None
    confidence: float = 0.95
    smooth_km: float | None = None
    correction: Correction | None = None
    frame: str | None = None
    pixel_km: float | None = None
    picture: str = "density"
    picture_bins: tuple[int, ...] | None = None
    features: Sequence[Feature] = ()


@dataclass(frozen=True)
class MadeMap:
    """A map of single cells, and the same counted in calibrated diameters where asked for."""

    density: DensityMap
    calibrated: DensityMap | None = None


def make_map(conn: Connection, run: Run, request: MapRequest) -> MadeMap:
    """Count a run as the request says."""
    rest = (request.order, request.region, request.confidence)
    plain = density_of_run(conn, run, request.bins, *rest)
    if request.correction is None:
        return MadeMap(plain)
    moved = density_of_run(conn, run, calibrated_bins(request.bins, request.correction), *rest)
    return MadeMap(plain, on_cells(moved, plain.cell))


def density_rows(made: MadeMap, request: MapRequest) -> list[dict[str, Any]]:
    """One row a bin over all cells, JSON-ready.

    ``n`` is the catalogue's count; ``left_out`` of it are not in the density, because only part
    of a wide bin's sizes was imaged there; a density is None where no ground was imaged for the
    whole bin. With a correction: recall, precision and corrected densities too.
    """
    density, whole = made.density, as_one_cell(made.density)
    columns = {
        "n": density.count.sum(axis=1).tolist(),
        "left_out": density.left_out.sum(axis=1).tolist(),
        "area_km2": whole.area_km2[:, 0].tolist(),
    }
    layers = [layer for layer in density_layers(whole) if layer.unit == "km-2"]
    if made.calibrated is not None:
        layers += _corrected(as_one_cell(made.calibrated), request)
    for layer in layers:
        values = layer.values[:, 0]
        columns[column_name(layer)] = [float(v) if np.isfinite(v) else None for v in values]
    heads = zip(
        density.bins.names, density.bins.low_km.tolist(), density.bins.high_km.tolist(), strict=True
    )
    return [
        {"bin": name, "diameter_min_km": low, "diameter_max_km": high}
        | {column: values[i] for column, values in columns.items()}
        for i, (name, low, high) in enumerate(heads)
    ]


def _corrected(calibrated: DensityMap, request: MapRequest) -> list[Layer]:
    correction = request.correction
    if correction is None:
        return []
    return corrected_layers(calibrated, request.bins, correction)


def write_outputs(
    made: MadeMap, request: MapRequest, paths: Sequence[Path], title: str = ""
) -> None:
    """Write a map to files, each in the format of its suffix.

    Bins without any imaged ground have no values and are left out of the files.

    Raises:
        InputError: a suffix is none of .tif, .gpkg, .parquet, .png; or nothing is imaged.
    """
    for path in paths:
        if path.suffix not in _SUFFIXES:
            raise InputError(
                f"A density map cannot be written as {path.name}.", f"Use {', '.join(_SUFFIXES)}."
            )
    if not paths:
        return
    keep = _imaged_bins(made.density)
    shown, layers = _shown(made, request, keep)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".gpkg", ".parquet"}:
            write_cells(path, cells_frame(shown, layers, request.region))
            continue
        bounds = map_bounds(shown) if request.region is None else request.region.bounds
        frame = request.frame or suitable_frame(bounds)
        grid = grid_for(shown.body, frame, request.pixel_km or default_pixel_km(shown), bounds)
        if path.suffix == ".tif":
            write_raster(path, shown, grid, layers, {"run": title})
        else:
            if request.pixel_km is None:
                grid = refined(grid, bounds)
            bins = _picture_bins(shown, request, keep)
            draw = {"density": draw_density, "ratio": draw_ratio, "composite": draw_composite}
            figure = draw[request.picture](
                shown, grid, bins, title=title, features=request.features
            )
            write_png(path, figure)


def _imaged_bins(density: DensityMap) -> list[int]:
    """Places of the bins for which any ground was imaged."""
    keep = np.flatnonzero((density.area_km2 > 0).any(axis=1)).tolist()
    if not keep:
        raise InputError(
            "No ground is imaged for the whole of any of the bins.",
            "The run's size windows do not hold them: choose other bins.",
        )
    return [int(i) for i in keep]


def _shown(made: MadeMap, request: MapRequest, keep: list[int]) -> tuple[DensityMap, list[Layer]]:
    """The map as it is written: imaged bins, smoothed; and its layers."""
    places = np.array(keep, dtype=np.int64)

    def finish(density: DensityMap) -> DensityMap:
        return density if request.smooth_km is None else smooth(density, request.smooth_km)

    shown = finish(with_bins(made.density, places))
    layers = density_layers(shown)
    if made.calibrated is not None:
        for layer in _corrected(finish(made.calibrated), request):
            layers.append(Layer(layer.name, layer.unit, layer.meaning, layer.values[places]))
    return shown, layers


def _picture_bins(shown: DensityMap, request: MapRequest, keep: list[int]) -> tuple[int, ...]:
    """Places in ``shown`` of the bins to draw."""
    wanted = {"density": 1, "ratio": 2, "composite": 3}[request.picture]
    if request.picture_bins is None:
        if wanted > len(keep):
            raise InputError(
                f"A {request.picture} needs {wanted} imaged bins, there are {len(keep)}.",
                "Name more bins with --bins.",
            )
        if wanted == 1:
            return (int(np.argmax(shown.used.sum(axis=1))),)
        return tuple(int(i) for i in np.linspace(0, len(keep) - 1, wanted).round())
    if len(request.picture_bins) != wanted:
        raise InputError(f"A {request.picture} shows {wanted} bins.", f"Name {wanted} bins.")
    for i in request.picture_bins:
        if i not in keep:
            raise InputError(f"Bin {i} is not in the map or not imaged.", "Count from 0.")
    return tuple(keep.index(i) for i in request.picture_bins)
