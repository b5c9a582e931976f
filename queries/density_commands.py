"""``cda query density``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cda_db.output import format_option, show_rows
from queries.correction_options import correction_of, correction_options
from queries.region_options import RegionChoice, region_options

if TYPE_CHECKING:
    from cda_db.connection import Connection
    from cda_db.runs import Run
    from queries.density.bins import DiameterBins

_FRAMES = (
    "equirectangular", "equirectangular_180", "sinusoidal", "sinusoidal_180",
    "north_polar", "south_polar",
)  # fmt: skip


@click.command()
@click.option("--run", "run_name", required=True, metavar="NAME", help="The run.")
@click.option(
    "--bins", "bins_text", default="root2", show_default=True, metavar="KM,KM,...|root2",
    help="Edges of diameter bins in km, or the root-2 bins that hold craters.",
)  # fmt: skip
@click.option("--order", default=6, show_default=True, help="HEALPix order of the cells, 0-12.")
@click.option("--smooth", "smooth_km", type=float, help="Sum within this radius, km.")
@click.option("--confidence", default=0.95, show_default=True, help="Of the Poisson intervals.")
@click.option(
    "--out", "outputs", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, repeatable: .tif (COG), .gpkg or .parquet (cells), .png.",
)  # fmt: skip
@click.option(
    "--frame",
    type=click.Choice(_FRAMES),
    help="IAU frame of .tif and .png; by default one in which the ground is in one piece.",
)
@click.option("--pixel", "pixel_km", type=float, help="Pixel of .tif and .png, km.")
@click.option("--picture", type=click.Choice(["density", "ratio", "composite"]), default="density",
              show_default=True, help="What the .png shows: one bin, two, or three.")  # fmt: skip
@click.option("--picture-bins", metavar="I,...", help="Its bins, counted from 0.")
@correction_options
@region_options
@format_option
def density(output_format: str, region: RegionChoice, **options: Any) -> None:
    """Crater density with exact Poisson intervals: figures a bin, maps, cells, pictures.

    Ground that was not imaged for a bin's sizes is nodata, not zero; areas are those of the IAU
    sphere. Intervals hold the counting error only.

    \b
    Example:
      cda query density --run mars --bins 1,2,4 --out density.tif --out density.png
      cda query density --run mars --bins 1,2,4 --correct stored
      cda query density --run mars --circle 166.19,7.7,300 --order 7 --format json
      cda query density --run moon --smooth 200 --frame north_polar --out cap.tif
    """
    from cda_db.runs import get_run
    from queries.density.report import MapRequest, density_rows, make_map, write_outputs
    from queries.session import reading

    with reading() as conn:
        run = get_run(conn, options["run_name"])
        clip = region.of(run.body)
        request = MapRequest(
            bins=_bins(conn, run, options["bins_text"]),
            order=options["order"],
            region=clip,
            confidence=options["confidence"],
            smooth_km=options["smooth_km"],
            frame=options["frame"],
            pixel_km=options["pixel_km"],
            picture=options["picture"],
            picture_bins=_places(options["picture_bins"]),
            features=region.features(run.body),
            correction=correction_of(conn, run, options["correct"], options["correct_scale"]),
        )
        made = make_map(conn, run, request)
    write_outputs(made, request, options["outputs"], title=run.name)
    show_rows(density_rows(made, request), output_format)


def _bins(conn: Connection, run: Run, text: str) -> DiameterBins:
    from cda_db.errors import InputError
    from queries.density.bins import user_bins
    from queries.density.of_run import catalogue_bins

    if text == "root2":
        return catalogue_bins(conn, run)
    try:
        edges = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--bins {text!r} is no list of numbers.", "Give e.g. 1,2,4.") from None
    return user_bins(edges)


def _places(text: str | None) -> tuple[int, ...] | None:
    from cda_db.errors import InputError

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--picture-bins {text!r}.", "Give bin numbers, e.g. 0,3.") from None
