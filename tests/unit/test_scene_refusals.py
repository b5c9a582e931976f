"""Bad input: each kind has its own message and remedy, and becomes no scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from scene_files import write

from cda_db.errors import SceneError
from ingest.reader import TileReader
from ingest.scene import open_scenes
from ingest.source import ReadOptions

# The files without a map are written on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
MARS = "IAU_2015:49910"
PLACE = Affine(100, 0, 1e6, 0, -100, 2e5)
GREY = (np.arange(64 * 64).reshape(64, 64) % 199 + 1).astype(np.uint8)


def grey(path: Path, crs: str | None = MARS, transform: Affine = PLACE, **profile) -> str:
    return str(write(path, GREY, crs, transform, **profile))


def no_crs(folder: Path) -> str:
    return grey(folder / "a.tif", crs=None)


def gcps_only(folder: Path) -> str:
    path = folder / "a.tif"
    points = [GroundControlPoint(0, 0, 10, 5), GroundControlPoint(0, 64, 11, 5)]
    with rasterio.open(
        path, "w", driver="GTiff", count=1, width=64, height=64, dtype="uint8"
    ) as out:
        out.gcps = (points, rasterio.crs.CRS.from_user_input("IAU_2015:49900"))
        out.write(GREY, 1)
    return str(path)


def earth(folder: Path) -> str:
    return grey(folder / "a.tif", "EPSG:32633")


def jupiters_moon(folder: Path) -> str:
    return grey(folder / "a.tif", "IAU_2015:50110")


def unknown_radius(folder: Path) -> str:
    return grey(folder / "a.tif", "+proj=eqc +R=1000000 +units=m")


def contradiction(folder: Path) -> str:
    wkt = (
        'GEOGCS["GCS_Mars",DATUM["D_Mars",SPHEROID["Mars",1737400,0]],PRIMEM["x",0],'
        'UNIT["degree",0.0174532925199433]]'
    )
    return grey(folder / "a.tif", wkt, Affine(0.01, 0, 10, 0, -0.01, 5))


def swapped(folder: Path) -> str:
    # A scene at 137 E, 5 S, with latitude in x and longitude in y.
    return grey(folder / "a.tif", "IAU_2015:49900", Affine(0.01, 0, -5, 0, -0.01, 137))


def wrong_units(folder: Path) -> str:
    return grey(folder / "a.tif", "IAU_2015:49900", Affine(100, 0, 1e6, 0, -100, 2e5))


def nan_transform(folder: Path) -> str:
    return grey(folder / "a.tif", transform=Affine(100, 0, float("nan"), 0, -100, 0))


def singular(folder: Path) -> str:
    return grey(folder / "a.tif", transform=Affine(100, 0, 5, 100, 0, 7))


def no_transform(folder: Path) -> str:
    return grey(folder / "a.tif", transform=Affine.identity())


def truncated(folder: Path) -> str:
    path = folder / "a.tif"
    noise = np.random.default_rng(0).integers(1, 255, (400, 400)).astype(np.uint8)
    write(path, noise, MARS, PLACE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return str(path)


def empty(folder: Path) -> str:
    (folder / "a.tif").write_bytes(b"")
    return str(folder / "a.tif")


def garbage(folder: Path) -> str:
    (folder / "a.tif").write_bytes(b"II*\0 this is no TIFF" * 20)
    return str(folder / "a.tif")


def text(folder: Path) -> str:
    (folder / "notes.txt").write_text("no picture")
    return str(folder / "notes.txt")


def wrong_extension(folder: Path) -> str:
    return grey(folder / "a.jp2", driver="GTiff")


def missing(folder: Path) -> str:
    return str(folder / "nowhere.tif")


def through_a_file(folder: Path) -> str:
    grey(folder / "a.tif")
    return str(folder / "a.tif" / "b.tif")


def link_to_itself(folder: Path) -> str:
    (folder / "a.tif").symlink_to(folder / "a.tif")
    return str(folder / "a.tif")


def directory(folder: Path) -> str:
    return str(folder)


def vrt(folder: Path) -> str:
    grey(folder / "a.tif")
    (folder / "a.vrt").write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    return str(folder / "a.vrt")


def url(folder: Path) -> str:
    return "https://example.org/a.tif"


def vsicurl(folder: Path) -> str:
    return "/vsicurl/https://example.org/a.tif"


def huge(folder: Path) -> str:
    path = folder / "a.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "sparse_ok": True, "tiled": True}
    with rasterio.open(
        path, "w", width=200_000, height=200_000, crs=MARS, transform=PLACE,
        BIGTIFF="YES", **profile,
    ):  # fmt: skip
        pass
    return str(path)


def all_nodata(folder: Path) -> str:
    return str(write(folder / "a.tif", np.zeros((64, 64), np.uint8), MARS, PLACE, nodata=0))


def complex_bands(folder: Path) -> str:
    return str(write(folder / "a.tif", GREY.astype(np.complex64), MARS, PLACE))


def many_bands(folder: Path) -> str:
    stack = np.stack([GREY.astype(np.uint16)] * 5)
    return str(write(folder / "a.tif", stack, MARS, PLACE))


BAD = [
    (no_crs, "has no CRS: it is not map-projected"),
    (gcps_only, "has no CRS.*2 ground control points"),
    (earth, "is of Earth.*--body earth"),
    (jupiters_moon, "is of Io"),
    (unknown_radius, "1000.0 km.*of no body"),
    (contradiction, "names Mars but has a radius of 1737.4 km"),
    (swapped, "Longitude and latitude look swapped"),
    (wrong_units, "run from latitude"),
    (nan_transform, "NaN or infinite"),
    (singular, "singular"),
    (no_transform, "CRS but no transform"),
    (truncated, "cannot be read to its end"),
    (empty, "is empty"),
    (garbage, "cannot be read as a raster"),
    (text, "cannot be read as a raster"),
    (wrong_extension, "GTiff file by content, not JP2OpenJPEG"),
    (missing, "No such file"),
    (through_a_file, "Not a directory"),
    (link_to_itself, "symbolic links"),
    (directory, "is a folder"),
    (vrt, "is a VRT"),
    (url, "is not a local file"),
    (vsicurl, "is not a local file"),
    (huge, "200,000 x 200,000"),
    (all_nodata, "no valid pixel"),
    (complex_bands, "complex bands"),
    (many_bands, "5 bands.*--band"),
]


@pytest.mark.parametrize(("make", "says"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_input_is_refused_with_its_own_message(make, says, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=f"(?s){says}") as refusal:
        open_scenes(make(tmp_path))
    assert refusal.value.remedy


def test_the_good_file_of_this_table_is_accepted(tmp_path: Path) -> None:
    (scene,) = open_scenes(grey(tmp_path / "a.tif"))
    assert (scene.body, scene.width, scene.projection) == ("mars", 64, "equirectangular")


def test_another_body_than_asked(tmp_path: Path) -> None:
    path = grey(tmp_path / "a.tif")
    with pytest.raises(SceneError, match=r"is of Mars, not of Moon.*--body mars"):
        open_scenes(path, body="moon")
    assert open_scenes(path, body="Mars")[0].body == "mars"


def test_earth_when_it_is_named(tmp_path: Path) -> None:
    path = grey(tmp_path / "a.tif", "EPSG:4087")
    assert open_scenes(path, body="earth")[0].body == "earth"


def test_vrt_is_read_when_allowed(tmp_path: Path) -> None:
    path = vrt(tmp_path)
    text = Path(path).read_text()
    georeference = (
        "<SRS>IAU_2015:49910</SRS><GeoTransform>1000000, 100, 0, 200000, 0, -100</GeoTransform>"
    )
    Path(path).write_text(text.replace("<VRTRasterBand", georeference + "<VRTRasterBand", 1))
    (scene,) = open_scenes(path, options=ReadOptions(allow_indirect=True))
    assert scene.view is not None
    assert scene.view["options"] == {"allow_indirect": True}


def test_file_replaced_after_registration(tmp_path: Path) -> None:
    path = Path(grey(tmp_path / "a.tif"))
    (scene,) = open_scenes(str(path))
    content = path.read_bytes()
    path.write_bytes(content)  # touched: same content, new time
    with TileReader(scene, 1, 64, 16) as reader:
        assert reader.read_row(0)[0] == [0]
    write(path, 255 - GREY, MARS, PLACE)
    with pytest.raises(SceneError, match="not the file any more"), TileReader(scene, 1, 64, 16):
        pass
    path.unlink()
    with pytest.raises(SceneError, match="cannot be read"), TileReader(scene, 1, 64, 16):
        pass
