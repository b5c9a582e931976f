"""``cda ingest scenes`` and ``cda ingest georeference``: pictures in."""

from __future__ import annotations

import sys

import click

from cda_db.output import format_option, progress, show_rows


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option("--body", help="Body that the files must be of; Earth must be named.")
@click.option(
    "--kind",
    type=click.Choice(["image", "elevation"]),
    default="image",
    show_default=True,
    help="elevation: shaded from the west before the detector sees it.",
)
@click.option("--band", type=int, help="Band to read, where a file has several.")
@click.option("--nodata", type=float, help="Value that means 'not imaged', where a file is silent.")
@click.option(
    "--longitude",
    type=click.Choice(["east", "west"]),
    help="Direction in which the files count longitude, where their CRS has lost it.",
)
@click.option("--z-unit", "z_unit_m", type=float, help="Metres of one unit of an elevation model.")
@click.option("--light", "light_deg", type=click.FloatRange(0, 360), metavar="AZIMUTH",
              help="Where pictures' light comes from: degrees clockwise from north.")  # fmt: skip
@click.option("--allow-indirect", is_flag=True, help="Accept VRTs and files of other folders.")
@click.option("--download", type=click.Path(file_okay=False), help="Folder to fetch URLs into.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Files at once.")
@click.option("--list", "only_list", is_flag=True, help="Print what is registered.")
@format_option
def scenes(
    paths: tuple[str, ...],
    body: str | None,
    kind: str,
    band: int | None,
    nodata: float | None,
    longitude: str | None,
    z_unit_m: float | None,
    light_deg: float | None,
    allow_indirect: bool,
    download: str | None,
    jobs: int,
    only_list: bool,
    output_format: str,
) -> None:
    """Register map-projected rasters as scenes.

    PATH is a file, a folder, a quoted pattern, a list of paths (@list.txt), a STAC catalogue
    (catalog.json) or, with --download, a URL of a file or of a STAC catalogue. A file that is
    registered already is recognised by its content. Files that cannot be used are reported with
    the reason, the others are registered; exit status 2 says that there were some.

    \b
    Examples:
      cda ingest scenes themis/*.tif --light 270
      cda ingest scenes moon_dem.tif --kind elevation --body moon
      cda ingest scenes @mosaic.txt --body mars --jobs 4 --format json
      cda ingest scenes --list
    """
    from pathlib import Path

    from cda_db.connection import connect
    from cda_db.scenes import list_scenes
    from ingest.fetch import fetch, is_url
    from ingest.register import SceneSettings, find_files, register_files
    from ingest.source import ReadOptions
    from ingest.stac import expand_catalogues

    if only_list:
        with connect(role="cda_reader") as conn:
            show_rows(list_scenes(conn), output_format)
        return
    if not paths:
        raise click.UsageError("Give PATH..., or --list.")
    options = ReadOptions(
        band, nodata, longitude, z_unit_m, light_deg=light_deg, allow_indirect=allow_indirect
    )
    files = find_files(expand_catalogues(paths, allow_remote=download is not None))
    if download is not None:
        files = [str(fetch(file, Path(download))) if is_url(file) else file for file in files]
    with connect(role="cda_owner") as conn, progress("Scenes", len(files)) as advance:
        outcomes = register_files(
            conn, files, SceneSettings(body, kind, options), jobs=jobs, on_done=advance
        )
    refused = [outcome for outcome in outcomes if outcome.state == "refused"]
    if output_format == "json":
        show_rows([vars(outcome) for outcome in outcomes], "json")
    else:
        shown = [outcome for outcome in outcomes if outcome.state != "refused"]
        show_rows([{"scene": o.scene, "state": o.state, **(o.facts or {})} for o in shown])
    for outcome in refused:
        click.echo(f"Refused: {outcome.problem}\n  {outcome.remedy}", err=True)
    states = [outcome.state for outcome in outcomes]
    counts = (f"{states.count(name)} {name}" for name in ("registered", "known", "refused"))
    click.echo(", ".join(counts), err=True)
    if refused:
        sys.exit(2)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", "folder", required=True, type=click.Path(file_okay=False), help="Folder.")
@click.option("--body", required=True, help="Body that the images show.")
@click.option("--gcps", type=click.Path(exists=True), help="CSV of tie points: col,row,lon,lat.")
@click.option("--corners", help='"lon lat, lon lat, ..." from the top left corner clockwise.')
@click.option("--crs", help="CRS of an image with a world file, e.g. IAU_2015:49900.")
@click.option("--pixel-scale", "pixel_m", type=float, help="Metres a pixel of the map.")
@click.option("--order", type=click.IntRange(1, 3), default=1, show_default=True)
@click.option("--max-rms", "max_rms_px", type=float, help="Refuse worse fits (pixels).")
@click.option("--band", type=int, help="Band to read, where a file has several.")
@click.option("--nodata", type=float, help="Value that means 'not imaged', where a file is silent.")
@format_option
def georeference(
    images: tuple[str, ...],
    folder: str,
    body: str,
    gcps: str | None,
    corners: str | None,
    crs: str | None,
    pixel_m: float | None,
    order: int,
    max_rms_px: float | None,
    band: int | None,
    nodata: float | None,
    output_format: str,
) -> None:
    """Write images as maps that `cda ingest scenes` takes.

    An image with a map is normalised (IAU sphere, round craters); a frame without one is fitted
    to tie points: those in the file, of a CSV (lat planetocentric, lon east), or its corners.
    The residuals are printed and kept in the map. Exit status 2 says that images were refused.

    \b
    Examples:
      cda ingest georeference AS15-M-0299.cub --body moon --gcps points.csv --out maps
      cda ingest georeference b.png --body mars --out maps --corners "14 51, 15 51, 15 50, 14 50"
    """
    from pathlib import Path

    from cda_db.errors import CdaError
    from ingest.map_images import MapRequest, map_image
    from ingest.register import find_files
    from ingest.source import ReadOptions

    request = MapRequest(
        body,
        Path(gcps) if gcps else None,
        corners,
        crs,
        pixel_m,
        order,
        max_rms_px,
        ReadOptions(band=band, nodata=nodata),
    )
    files = find_files(images)
    made, refused = [], []
    with progress("Images", len(files)) as advance:
        for file in files:
            try:
                made += map_image(file, Path(folder), request)
            except CdaError as error:
                refused.append(error)
            advance()
    show_rows(made, output_format)
    for why in refused:
        click.echo(f"Refused: {why.problem}\n  {why.remedy}", err=True)
    if refused:
        sys.exit(2)
