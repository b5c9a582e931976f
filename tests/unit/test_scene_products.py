"""Names, labels, seam maps, margins, lists and STAC catalogues: what a scene is called and of."""

from __future__ import annotations

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import geopandas
import numpy as np
import pystac
import pytest
import rasterio
from rasterio.transform import Affine
from scene_files import MARS_R, write
from shapely.geometry import box

from cda_db.errors import InputError, SceneError
from ingest.fetch import fetch
from ingest.products import describe_product, murray_tile
from ingest.register import find_files
from ingest.scene import open_scenes
from ingest.seams import SeamMap, read_seam_map
from ingest.stac import catalogue_rasters, expand_catalogues

MARS = "IAU_2015:49910"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, *args: object) -> None:
        """Nothing."""


DEGREE = np.radians(1.0) * MARS_R


@pytest.mark.parametrize(
    ("name", "product", "instrument"),
    [
        ("P17_007703_2313_XN_51N345W.jpeg", "P17_007703_2313_XN_51N345W", "CTX"),
        ("ESP_037117_1755_RED.abrowse.jpg", "ESP_037117_1755_RED", "HIRISE"),
        ("PSP_001777_1650_RED.JP2", "PSP_001777_1650_RED", "HIRISE"),
        ("DTEEC_003940_1825_003674_1825_A01.IMG", "DTEEC_003940_1825_003674_1825_A01",
         "HIRISE DTM"),
        ("h5270_0000_nd4.img", "h5270_0000_nd4", "HRSC"),
        ("I01001001RDR.QUB", "I01001001RDR", "THEMIS"),
        ("V45678012.tif", "V45678012", "THEMIS"),
        ("M104311715LE.IMG", "M104311715LE", "LROC NAC"),
        ("M1162085722ME.tif", "M1162085722ME", "LROC WAC"),
        ("WAC_GLOBAL_E300N0450_100M.IMG", "WAC_GLOBAL_E300N0450_100M", "LROC WAC"),
        ("AS15-M-0299_crop.cub", "AS15-M-0299", "Metric/Panoramic"),
        ("holiday.jpg", None, None),
    ],
)  # fmt: skip
def test_file_names_tell_product_and_instrument(name, product, instrument) -> None:
    found = describe_product(name)
    assert (found.get("product_id"), found.get("instrument")) == (product, instrument)


def test_murray_lab_names() -> None:
    # The example of DESIGN section 5: the name holds the south-west corner.
    tile = murray_tile("MurrayLab_CTX_V01_E-004_N-32_Mosaic.tif")
    assert tile is not None and (tile.version, tile.bounds) == ("V01", (-4, -32, 0, -28))
    other = murray_tile("MurrayLab_GlobalCTXMosaic_V01_E164_N08.zip")
    assert other is not None and other.bounds == (164, 8, 168, 12)
    assert murray_tile("themis_dayir.tif") is None


def mosaic_tile(folder: Path, name: str = "MurrayLab_CTX_V01_E-004_N-32_Mosaic.tif") -> Path:
    transform = Affine(2000, 0, -4 * DEGREE, 0, -2000, -28 * DEGREE)
    size = int(4 * DEGREE / 2000)
    grey = np.random.default_rng(0).integers(1, 255, (size, size)).astype(np.uint8)
    return write(folder / name, grey, MARS, transform)


def test_seam_map_names_the_image_of_every_place(tmp_path: Path) -> None:
    path = mosaic_tile(tmp_path)
    shapes = geopandas.GeoDataFrame(
        {"n": [1, 2], "Image": ["P17_007703_2313_XN_51N345W", "B01_009876_1500_XI_30S002W"]},
        geometry=[box(-4 * DEGREE, -32 * DEGREE, -2 * DEGREE, -28 * DEGREE),
                  box(-2 * DEGREE, -32 * DEGREE, 0, -28 * DEGREE)],
        crs=rasterio.crs.CRS.from_user_input(MARS).to_wkt(),
    )  # fmt: skip
    shapes.to_file(tmp_path / "MurrayLab_CTX_V01_E-004_N-32_SeamMap.shp")
    (scene,) = open_scenes(str(path))
    assert scene.label["murray_tile"]["bounds"] == [-4, -32, 0, -28]
    images = scene.label["seams"]["images"]
    assert [image[0] for image in images] == shapes["Image"].tolist()
    seams = read_seam_map(tmp_path / "MurrayLab_CTX_V01_E-004_N-32_SeamMap.shp", "mars")
    places = np.array([-3.5, 356.5, -0.5, 7.0]), np.array([-30.0, -30.0, -31.0, -30.0])
    assert seams.product_at(*places) == [images[0][0], images[0][0], images[1][0], None]
    assert isinstance(seams, SeamMap) and seams.outlines[0].area == pytest.approx(8, rel=1e-3)


def test_ground_without_a_source_image_is_not_imaged(tmp_path: Path) -> None:
    """A seam map that leaves out the eastern quarter of a tile whose pixels are all valid."""
    (whole,) = open_scenes(str(mosaic_tile(tmp_path)))
    shapes = geopandas.GeoDataFrame(
        {"Image": ["P17_007703_2313_XN_51N345W", "B01_009876_1500_XI_30S002W"]},
        geometry=[box(-4 * DEGREE, -32 * DEGREE, -2 * DEGREE, -28 * DEGREE),
                  box(-2 * DEGREE, -32 * DEGREE, -DEGREE, -28 * DEGREE)],
        crs=rasterio.crs.CRS.from_user_input(MARS).to_wkt(),
    )  # fmt: skip
    shapes.to_file(tmp_path / "MurrayLab_CTX_V01_E-004_N-32_SeamMap.shp")
    (scene,) = open_scenes(str(tmp_path / "MurrayLab_CTX_V01_E-004_N-32_Mosaic.tif"))
    assert scene.footprint.area == pytest.approx(0.75 * whole.footprint.area, rel=0.01)
    cells = [
        (found.coverage[:, 1] - found.coverage[:, 0]).sum() * 64
        + sum(int(mask).bit_count() for mask in found.border[:, 1].view(np.uint64))
        for found in (scene, whole)
    ]
    assert scene.coverage_order == whole.coverage_order
    assert cells[0] / cells[1] == pytest.approx(0.75, rel=0.01)


def test_mosaic_tile_that_lies_elsewhere_than_its_name_says(tmp_path: Path) -> None:
    path = mosaic_tile(tmp_path, "MurrayLab_CTX_V01_E-164_N08_Mosaic.tif")
    with pytest.raises(SceneError, match="by its name the tile -164 to -160 E"):
        open_scenes(str(path))


def test_folders_patterns_and_lists(tmp_path: Path) -> None:
    for name in ("b.tif", "a.tif", "note.txt"):
        (tmp_path / name).write_bytes(b"x")
    both = [str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]
    assert find_files([str(tmp_path)]) == both
    assert find_files([str(tmp_path / "*.tif"), both[0]]) == both
    listing = tmp_path / "all.lis"
    listing.write_text(f"# scenes\nb.tif\n\n{both[0]} # absolute\n")
    assert find_files([f"@{listing}"]) == [both[1], both[0]]
    for bad in (str(tmp_path / "*.jp2"), f"@{tmp_path / 'none.lis'}"):
        with pytest.raises(InputError):
            find_files([bad])


def test_stac_catalogue_of_local_rasters(tmp_path: Path) -> None:
    path = mosaic_tile(tmp_path, "tile.tif")
    catalogue = pystac.Catalog("ctx", "planetary COGs")
    item = pystac.Item("tile", {"type": "Point", "coordinates": [0, 0]}, [0, 0, 0, 0],
                       pystac.utils.str_to_datetime("2020-01-01T00:00:00Z"), {})  # fmt: skip
    item.add_asset("image", pystac.Asset(str(path), media_type=pystac.MediaType.COG))
    item.add_asset("thumbnail", pystac.Asset(str(tmp_path / "t.png"), media_type="image/png"))
    catalogue.add_item(item)
    catalogue.normalize_and_save(str(tmp_path / "stac"), pystac.CatalogType.SELF_CONTAINED)
    root = str(tmp_path / "stac" / "catalog.json")
    (asset,) = expand_catalogues([root])
    assert Path(asset).resolve() == path
    with pytest.raises(InputError, match="--download"):
        catalogue_rasters("https://example.org/catalog.json")
    (tmp_path / "no.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(InputError, match="cannot be read as a STAC"):
        catalogue_rasters(str(tmp_path / "no.json"))


def test_remote_catalogue_is_fetched_into_a_folder(tmp_path: Path) -> None:
    """A web server of this process gives a STAC item and its raster."""
    path = mosaic_tile(tmp_path, "tile.tif")
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        item = pystac.Item("tile", None, None,
                           pystac.utils.str_to_datetime("2020-01-01T00:00:00Z"), {})  # fmt: skip
        item.add_asset("image", pystac.Asset("tile.tif", media_type=pystac.MediaType.COG))
        (tmp_path / "item.json").write_text(json.dumps(item.to_dict(include_self_link=False)))
        (asset,) = catalogue_rasters(f"{base}/item.json", allow_remote=True)
        assert asset == f"{base}/tile.tif"
        fetched = fetch(asset, tmp_path / "cache")
        with pytest.raises(InputError, match="cannot be fetched"):
            fetch(f"{base}/none.tif", tmp_path / "cache")
        server.shutdown()
    assert fetched.read_bytes() == path.read_bytes()
    assert fetch(asset, tmp_path / "cache") == fetched  # the server is gone: nothing is fetched
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["tile.tif"]
