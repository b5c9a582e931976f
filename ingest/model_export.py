"""``cda model export``: detectors in other forms."""

from __future__ import annotations

from pathlib import Path

import click

from ingest.model_options import folder, threads_option


@click.command()
@click.argument("name", required=False)
@click.option(
    "--to",
    "kinds",
    multiple=True,
    type=click.Choice(["openvino", "openvino-int8", "onnx"]),
    default=["openvino"],
)
@click.option("--calibrate", multiple=True, type=folder, help="YOLO folder for int8; repeatable.")
@click.option("--exclude", multiple=True, help="Stem of an image to leave out; repeatable.")
@click.option("--tiles", default=256, show_default=True, help="Tiles that int8 is calibrated on.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@threads_option
def export(
    name: str | None,
    kinds: tuple[str, ...],
    calibrate: tuple[Path, ...],
    exclude: tuple[str, ...],
    tiles: int,
    out: Path,
    threads: int,
) -> None:
    """Export a detector to OpenVINO (fp16, or int8 as a model of its own) or ONNX.

    Needs the extra 'train'. An int8 model's ranges are calibrated on train splits; named after its
    parent with _int8, `cda ingest run create --precision int8` takes it.

    \b
    Example:
      cda model export --to onnx --out runs/onnx
      cda model export --to openvino-int8 --calibrate ../shared/data/mars_themis_yolo \\
        --exclude crater84 --out ingest/weights/crater_yolo11n_int8
    """
    from ingest.detector_files import default_model_name, find_model

    found = find_model(name or default_model_name())
    if "openvino-int8" in kinds and len(kinds) > 1:
        from cda_db.errors import InputError

        raise InputError("An int8 model has a folder of its own.", "Export it by itself.")
    if "openvino-int8" in kinds:
        from ingest.training.quantise import Calibration, quantise

        quantise(found, Calibration(calibrate, exclude, tiles), out)
    if {"openvino", "onnx"} & set(kinds):
        from cda_db.errors import ModelError
        from ingest.training.export import export_onnx, export_openvino

        if found.pt is None or "pt_sha256" not in found.card:
            raise ModelError(
                f"Model {found.name} has no checkpoint.", "Export one that has model.pt."
            )
        for kind, write in (("openvino", export_openvino), ("onnx", export_onnx)):
            if kind in kinds:
                write(found.pt, found.card["pt_sha256"], out, threads)
    for path in sorted(out.glob("model.*")):
        click.echo(str(path))
