"""Region files and gazetteers: what is read, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from pyproj import CRS

from cda_db.bodies import get_body
from cda_db.errors import InputError, NotFoundError
from queries.region_files import feature_region, read_gazetteer, read_region

MARS, MOON = get_body("mars"), get_body("moon")
SQUARE = shapely.box(136, -16, 138, -14)


def write(path: Path, geometry: shapely.Geometry, crs: CRS | str | None) -> Path:
    frame = gpd.GeoDataFrame({"unit": ["a"]}, geometry=[geometry], crs=crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return path


@pytest.mark.parametrize("suffix", ["gpkg", "parquet", "shp", "fgb"])
def test_region_from_every_common_format(tmp_path: Path, suffix: str) -> None:
    region = read_region(write(tmp_path / f"units.{suffix}", SQUARE, MARS.crs()), MARS)
    assert region.name == "units"
    assert region.contains([137.0, 139.0, 137.0 - 360], [-15.0, -15.0, -15.0]).tolist() == [
        True,
        False,
        True,
    ]


def test_region_in_a_polar_crs_holds_the_pole(tmp_path: Path) -> None:
    path = write(tmp_path / "cap.gpkg", shapely.Point(0, 0).buffer(3e5), MARS.crs("south_polar"))
    region = read_region(path, MARS)
    assert region.contains([12.0, 0.0], [-90.0, -80.0]).tolist() == [True, False]


def test_several_polygons_are_one_region(tmp_path: Path) -> None:
    both = [SQUARE, shapely.box(140, -16, 142, -14)]
    gpd.GeoDataFrame(geometry=both, crs=MARS.crs()).to_file(tmp_path / "two.gpkg")
    region = read_region(tmp_path / "two.gpkg", MARS)
    assert region.contains([137.0, 139.0, 141.0], [-15.0] * 3).tolist() == [True, False, True]


def test_great_circle_ring_around_the_pole(tmp_path: Path) -> None:
    ring = shapely.Polygon([(0, 80), (100, 80), (200, 80), (290, 80)])
    path = write(tmp_path / "ring.gpkg", ring, MARS.crs())
    with pytest.raises(InputError, match="great-circle"):
        read_region(path, MARS)
    region = read_region(path, MARS, edges="great-circle")
    assert region.contains([0.0, 50.0, 0.0], [90.0, 81.0, 70.0]).tolist() == [True, False, False]
    crossing = shapely.Polygon([(170, 0), (-170, 0), (-170, 10), (170, 10)])
    path = write(tmp_path / "crossing.gpkg", crossing, MARS.crs())
    region = read_region(path, MARS, edges="great-circle")
    assert region.contains([-180.0, 0.0], [5.0, 5.0]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("crs", "words"),
    [
        (None, "no CRS"),
        ("EPSG:4326", "not on mars"),
        (MOON.crs(), "not on mars"),
        (CRS.from_authority("IAU_2015", 49901), "westward"),
        (CRS.from_authority("IAU_2015", 49912), "planetographic"),
    ],
)
def test_wrong_crs_is_refused(tmp_path: Path, crs: CRS | str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_region(write(tmp_path / "x.fgb", SQUARE, crs), MARS)


def test_crs_may_be_named_for_a_file_that_cannot_carry_it(tmp_path: Path) -> None:
    path = tmp_path / "x.geojson"
    path.write_text(shapely.to_geojson(SQUARE), encoding="utf-8")
    with pytest.raises(InputError, match="not on mars"):
        read_region(path, MARS)
    assert read_region(path, MARS, crs="IAU_2015:49900").contains(137.0, -15.0)
    with pytest.raises(InputError, match="Unknown CRS"):
        read_region(path, MARS, crs="IAU_2015:1")


def test_an_edge_whose_way_is_in_doubt_is_refused(tmp_path: Path) -> None:
    crossing = shapely.Polygon([(170, 0), (-170, 0), (-170, 10), (170, 10)])
    with pytest.raises(InputError, match="180 degrees"):
        read_region(write(tmp_path / "x.gpkg", crossing, MARS.crs()), MARS)
    belt = shapely.box(-180, -10, 180, 10)
    region = read_region(write(tmp_path / "belt.gpkg", belt, MARS.crs()), MARS)
    assert region.contains([-180.0, 0.0, 179.9], [0.0] * 3).all()


def test_unreadable_and_empty_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gpkg").write_text("no database", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        read_region(tmp_path / "x.gpkg", MARS)
    with pytest.raises(InputError, match="cannot be read"):
        read_region(tmp_path / "missing.parquet", MARS)
    with pytest.raises(InputError, match="no polygon"):
        read_region(write(tmp_path / "points.gpkg", shapely.Point(1, 2), MARS.crs()), MARS)


GAZETTEER = """name,body,type,lat_deg,lon_east_deg,diameter_km
Zunil,Mars,AA,7.70,166.19,10.26
ARCADIA,Mars,AL,45,260,
Zunil,Earth/Moon,AA,1,2,3
Twin,Mars,AA,1,2,3
Twin,Mars,AA,4,5,6
"""


def test_gazetteer(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text(GAZETTEER, encoding="utf-8")
    features = read_gazetteer(path, MARS)
    assert [f.name for f in features] == ["Zunil", "ARCADIA", "Twin", "Twin"]
    assert features[1].lon_deg == -100 and features[1].diameter_km is None
    assert [f.lat_deg for f in read_gazetteer(path, MOON)] == [1.0]
    zunil = feature_region(features, "zunil", MARS, scale=2)
    assert (zunil.lon_deg, zunil.lat_deg) == pytest.approx((166.19, 7.70))
    assert zunil.radius_km == pytest.approx(10.26)
    with pytest.raises(NotFoundError):
        feature_region(features, "Tooting", MARS)
    with pytest.raises(InputError, match="no diameter"):
        feature_region(features, "Arcadia", MARS)
    with pytest.raises(InputError, match="only one"):
        feature_region(features, "Twin", MARS)
    path.write_text("name,lat\nx,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="columns"):
        read_gazetteer(path, MARS)
