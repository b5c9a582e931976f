"""Unprojected frames find their place by tie points, corners or a world file, or are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from pyproj import Proj
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine
from scene_files import MARS_R, Disc, apart_m, draw, found_discs, write

from cda_db.errors import InputError, SceneError
from ingest.control_points import ControlPoints, points_of_csv
from ingest.georeference import fit_points
from ingest.map_images import MapRequest, map_image
from ingest.scene import open_scenes
from ingest.source import ReadOptions

# A frame turned by 30 degrees, 120 m/px along and 90 m/px across, on the map of each place.
FRAME = Affine.rotation(30) @ Affine.scale(90, -120)
PLACES = {
    "low": (137.0, 5.0, f"+proj=eqc +lat_ts=5 +R={MARS_R}"),
    "across 180": (180.0, -45.0, f"+proj=eqc +lat_ts=-45 +lon_0=180 +R={MARS_R}"),
    "by the pole": (20.0, 88.5, f"+proj=stere +lat_0=90 +k=1 +R={MARS_R}"),
}
SIZE = (300, 260)


def frame_at(place: str) -> tuple[Affine, Proj, Disc]:
    lon, lat, definition = PLACES[place]
    proj = Proj(definition)
    x, y = proj(lon, lat)
    shift = Affine.translation(x, y) @ FRAME @ Affine.translation(-130, -150)
    return shift, proj, Disc(lon, lat, 9000.0)


def raw_image(folder: Path, place: str, **profile) -> tuple[Path, Affine, Proj, Disc]:
    transform, proj, disc = frame_at(place)
    pixels = draw(SIZE, transform, lambda x, y: proj(x, y, inverse=True), disc)
    path = folder / "raw.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=SIZE[1], height=SIZE[0], count=1, dtype="uint8", **profile
    ) as out:
        out.write(pixels, 1)
    return path, transform, proj, disc


def tie_points(transform: Affine, proj: Proj, noise_px: float = 0.0) -> ControlPoints:
    row, col = np.meshgrid(np.linspace(5, 295, 4), np.linspace(5, 255, 4), indexing="ij")
    col, row = col.ravel(), row.ravel()
    lon, lat = proj(transform.a * col + transform.b * row + transform.c,
                    transform.d * col + transform.e * row + transform.f, inverse=True)  # fmt: skip
    rng = np.random.default_rng(0)
    col, row = col + rng.normal(0, noise_px, 16), row + rng.normal(0, noise_px, 16)
    return ControlPoints(col, row, np.asarray(lon), np.asarray(lat), "test")


def csv_of(folder: Path, points: ControlPoints) -> Path:
    path = folder / "points.csv"
    rows = zip(points.col, points.row, points.lon, points.lat, strict=True)
    path.write_text(
        "col,row,lon,lat\n" + "\n".join(",".join(map(repr, map(float, r))) for r in rows)
    )
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("place", PLACES)
def test_tie_points_put_a_frame_in_its_place(place: str, tmp_path: Path) -> None:
    path, transform, proj, disc = raw_image(tmp_path, place)
    request = MapRequest("mars", gcps=csv_of(tmp_path, tie_points(transform, proj, 0.3)))
    (made,) = map_image(str(path), tmp_path / "out", request)
    assert made["points"] == 16
    assert 0.1 < made["rms_px"] < 0.6 and made["left_out_rms_px"] > made["rms_px"]
    assert made["pixel_m"] == pytest.approx(np.sqrt(90 * 120), rel=0.02)
    (scene,) = open_scenes(made["map"], body="mars")
    (found,) = found_discs(scene)
    assert apart_m(found, disc) < 120
    assert found.diameter_m == pytest.approx(disc.diameter_m, abs=120)
    record = scene.label["georeference"]
    assert record["fit"]["points"] == 16 and len(record["source_sha256"]) == 64


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_points_in_the_file_and_corners(tmp_path: Path) -> None:
    path, transform, proj, disc = raw_image(tmp_path, "low")
    points = tie_points(transform, proj)
    gcps = [GroundControlPoint(r, c, lon, lat) for c, r, lon, lat in
            zip(points.col, points.row, points.lon, points.lat, strict=True)]  # fmt: skip
    with rasterio.open(path, "r+") as out:
        out.gcps = (gcps, CRS.from_user_input("IAU_2015:49900"))
    corners = []
    for col, row in ((0, 0), (SIZE[1], 0), (SIZE[1], SIZE[0]), (0, SIZE[0])):
        lon, lat = proj(*(transform @ (col, row)), inverse=True)
        corners.append(f"{lon} {lat}")
    for request in (MapRequest("mars"), MapRequest("mars", corners=", ".join(corners))):
        (made,) = map_image(str(path), tmp_path / "out", request)
        (found,) = found_discs(open_scenes(made["map"])[0])
        assert apart_m(found, disc) < 60
        assert made["rms_px"] < 0.05
    with pytest.raises(SceneError, match="of Mars, not of Moon"):
        map_image(str(path), tmp_path / "out", MapRequest("moon"))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_world_file_with_a_stated_crs(tmp_path: Path) -> None:
    disc = Disc(30.0, 10.0, 9000.0)
    transform = Affine(0.002, 0, 29.7, 0, -0.002, 10.3)
    pixels = draw((300, 300), transform, lambda x, y: (x, y), disc)
    write(tmp_path / "w.png", pixels, None, Affine.identity(), driver="PNG")
    (tmp_path / "w.pgw").write_text("0.002\n0\n0\n-0.002\n29.701\n10.299\n")
    with pytest.raises(SceneError, match="no CRS"):
        map_image(str(tmp_path / "w.png"), tmp_path / "out", MapRequest("mars"))
    request = MapRequest("mars", crs="IAU_2015:49900", pixel_m=200.0)
    (made,) = map_image(str(tmp_path / "w.png"), tmp_path / "out", request)
    (scene,) = open_scenes(made["map"])
    (found,) = found_discs(scene)
    assert apart_m(found, disc) < 120 and found.diameter_m == pytest.approx(9000, rel=0.03)
    assert scene.pixel_scale_m == pytest.approx(200, rel=0.02)
    with pytest.raises(InputError, match="is not known"):
        map_image(str(tmp_path / "w.png"), tmp_path, MapRequest("mars", crs="IAU_2015:1"))


def test_polynomials_of_order_two_follow_a_bent_frame() -> None:
    """A frame bent by 8 px: order 1 leaves it, order 2 takes it, left-out errors say so."""
    transform, proj, _ = frame_at("low")
    points = tie_points(transform, proj)
    bent = ControlPoints(points.col + 8 * ((points.row - 150) / 150) ** 2, points.row,
                         points.lon, points.lat, "test")  # fmt: skip
    straight, curved = (fit_points(bent, "mars", "x", order).report() for order in (1, 2))
    assert straight["rms_px"] > 2 and curved["rms_px"] < 0.02
    assert straight["left_out_rms_px"] > 2 and curved["left_out_rms_px"] < 0.05


def test_points_that_fix_no_map_are_refused() -> None:
    transform, proj, _ = frame_at("low")
    points = tie_points(transform, proj)
    on_a_line = ControlPoints(*(getattr(points, k)[::5] for k in ("col", "row", "lon", "lat")), "x")
    with pytest.raises(SceneError, match="on a line in the image"):
        fit_points(on_a_line, "mars", "x")
    same_ground = ControlPoints(points.col, points.row, points.lon, 0 * points.lat + 5, "x")
    with pytest.raises(SceneError, match="on a line on the ground"):
        fit_points(same_ground, "mars", "x")
    with pytest.raises(SceneError, match="3 tie points, 6 are needed"):
        few = [getattr(points, k)[[0, 3, 12]] for k in ("col", "row", "lon", "lat")]
        fit_points(ControlPoints(*few, "x"), "mars", "x", 2)
    swapped = ControlPoints(points.col, points.row, points.lat, points.lon, "x")
    with pytest.raises(SceneError, match="look swapped"):
        fit_points(swapped, "mars", "x")


def test_bad_csv_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    for text, says in (("col,row,lon\n1,2,3\n", "no column 'lat'"),
                       ("col,row,lon,lat\n1,2,x,4\n", "column lon"),
                       ("col,row,lon,lat\n1,2,nan,4\n", "NaN")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(InputError, match=says):
            points_of_csv(path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_command_reports_and_refuses(tmp_path: Path) -> None:
    from ingest.scene_commands import georeference

    path, transform, proj, _ = raw_image(tmp_path, "low")
    csv = csv_of(tmp_path, tie_points(transform, proj))
    words = ["--body", "mars", "--out", str(tmp_path / "o"), "--format", "json"]
    done = CliRunner().invoke(georeference, [str(path), "--gcps", str(csv), *words])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["points"] == 16
    done = CliRunner().invoke(georeference, [str(path), *words])
    assert done.exit_code == 2
    assert "--gcps" in done.stderr and json.loads(done.stdout) == []
    assert not list((tmp_path / "o").glob(".*"))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_warped_themis_scene_is_recovered_within_a_pixel(sample_data, tmp_path: Path) -> None:
    """A real scene turned, stretched and stripped of its map; 20 points known to 0.3 px."""
    from scipy import ndimage

    file = sample_data("mars_themis_georef/scenes/themis_dayir_elysium_43_28_n6.tif")
    with rasterio.open(file) as source:
        pixels, map_transform, crs = source.read(1), source.transform, source.crs
    to_scene = Affine.translation(980, 40) @ Affine.rotation(12) @ Affine.scale(1.1, 0.9)
    inverse = np.array([[to_scene.e, to_scene.d], [to_scene.b, to_scene.a]])
    offset = np.array([to_scene.f, to_scene.c]) - 0.5 + inverse @ np.array([0.5, 0.5])
    raw = ndimage.affine_transform(pixels, inverse, offset, (500, 500), order=1)
    write(tmp_path / "raw.png", raw, None, Affine.identity(), driver="PNG")
    rng = np.random.default_rng(7)
    col, row = rng.uniform(0, 500, 20), rng.uniform(0, 500, 20)
    x, y = map_transform @ (to_scene @ (col, row))
    lon, lat = Proj(CRS(crs).to_proj4())(x, y, inverse=True)
    points = ControlPoints(col + rng.normal(0, 0.3, 20), row + rng.normal(0, 0.3, 20), lon, lat, "")
    request = MapRequest("mars", gcps=csv_of(tmp_path, points), pixel_m=100.0,
                         options=ReadOptions(nodata=0))  # fmt: skip
    (made,) = map_image(str(tmp_path / "raw.png"), tmp_path / "out", request)
    assert made["rms_px"] < 0.6
    grid_row, grid_col = np.meshgrid(np.linspace(0, 500, 11), np.linspace(0, 500, 11))
    x, y = map_transform @ (to_scene @ (grid_col.ravel(), grid_row.ravel()))
    lon, lat = Proj(CRS(crs).to_proj4())(x, y, inverse=True)
    got = fit_points(points, "mars", "raw").to_pixel(np.asarray(lon), np.asarray(lat))
    assert np.hypot(got[0] - grid_col.ravel(), got[1] - grid_row.ravel()).max() < 1.0
    # And the picture: the map's pixels against the original's at the same ground.
    with rasterio.open(made["map"]) as out:
        mapped, place = out.read(1), out.transform
        proj = Proj(CRS(out.crs).to_proj4())
    r, c = np.nonzero(mapped > 0)
    pick = rng.choice(len(r), 4000, replace=False)
    lon, lat = proj(*(place @ (c[pick] + 0.5, r[pick] + 0.5)), inverse=True)
    x, y = Proj(CRS(crs).to_proj4())(lon, lat)
    sc, sr = ~map_transform @ (np.asarray(x), np.asarray(y))
    original = ndimage.map_coordinates(pixels.astype(float), [sr - 0.5, sc - 0.5], order=1)
    good = original > 0
    assert np.corrcoef(original[good], mapped[r[pick], c[pick]][good])[0, 1] > 0.9
