"""One disc on maps of many kinds: (disc, CRS, transform, map coordinates to the sphere)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pyproj import CRS
from rasterio.transform import Affine
from scene_files import MARS_B, MARS_R, Disc, ToLonLat, ocentric, ographic, proj_lonlat

PX = 100.0
SPHERE = f"+R={MARS_R} +units=m"
ELLIPSOID = f"+a={MARS_R} +b={MARS_B} +units=m"
ESRI = (
    'PROJCS["Mars_Equidistant_Cylindrical",GEOGCS["GCS_Mars_2000_Sphere",DATUM['
    '"D_Mars_2000_Sphere",SPHEROID["Mars_2000_Sphere_IAU_IAG",3396190.0,0.0]],PRIMEM['
    '"Reference_Meridian",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION['
    '"Equidistant_Cylindrical"],PARAMETER["False_Easting",1000.0],PARAMETER["False_Northing",0.0],'
    'PARAMETER["Central_Meridian",0.0],PARAMETER["Standard_Parallel_1",20.0],UNIT["Meter",1.0]]'
)
MARS_2000 = (
    'GEOGCS["GCS_Mars_2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190.0,'
    '169.8944472236118]],PRIMEM["Reference_Meridian",0.0],UNIT["Degree",0.0174532925199433]]'
)


def degrees_px(lat: float = 0.0) -> float:
    return float(np.degrees(PX / MARS_R / np.cos(np.radians(lat))))


def around(to_map: tuple[float, float], px: float, flip_x: bool = False) -> Affine:
    """A 300 x 300 grid of pixels of ``px`` map units around a map point, off its centre."""
    x, y = to_map
    sign = -1.0 if flip_x else 1.0
    return Affine(sign * px, 0, x - sign * 160.3 * px, 0, -px, y + 140.6 * px)


def lonlat_graphic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x, ocentric(y)


def eqc(lat_ts: float, lon_0: float, rest: str) -> str:
    return f"+proj=eqc +lat_ts={lat_ts} +lon_0={lon_0} {rest}"


def case_eqc() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(137.4, -12.3, 4000)
    proj = eqc(0, 0, SPHERE)
    x, y = np.radians(disc.lon) * MARS_R, np.radians(disc.lat) * MARS_R
    return disc, "IAU_2015:49910", around((x, y), PX), proj_lonlat(proj)


def case_0_360() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(-152.24, 7.1, 4000)
    transform = around((disc.lon + 360.0, disc.lat), degrees_px())
    return disc, "IAU_2015:49900", transform, lambda x, y: (x, y)


def case_clon_180() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(179.99, 21.0, 4000)
    x, y = np.radians(disc.lon - 180.0) * MARS_R, np.radians(disc.lat) * MARS_R
    return disc, "IAU_2015:49915", around((x, y), PX), proj_lonlat(eqc(0, 180, SPHERE))


def case_polar() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(30.0, 88.0, 4000)
    rho = 2 * MARS_R * np.tan(np.radians(45.0 - disc.lat / 2))
    point = rho * np.sin(np.radians(disc.lon)), -rho * np.cos(np.radians(disc.lon))
    proj = f"+proj=stere +lat_0=90 +k=1 {SPHERE}"
    return disc, "IAU_2015:49930", around(point, PX), proj_lonlat(proj)


def case_sinusoidal() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(5.0, -40.0, 4000)
    x = np.radians(disc.lon) * MARS_R * np.cos(np.radians(disc.lat))
    y = np.radians(disc.lat) * MARS_R
    return disc, "IAU_2015:49920", around((x, y), PX), proj_lonlat(f"+proj=sinu {SPHERE}")


def case_esri() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(-60.0, 24.0, 4000)
    x = np.radians(disc.lon) * MARS_R * np.cos(np.radians(20.0)) + 1000.0
    y = np.radians(disc.lat) * MARS_R
    return disc, ESRI, around((x, y), PX), proj_lonlat(eqc(20, 0, f"+x_0=1000 {SPHERE}"))


def case_ographic() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(77.0, 30.0, 4000)
    transform = around((disc.lon, float(ographic(disc.lat))), degrees_px())
    return disc, MARS_2000, transform, lonlat_graphic


def case_ellipsoid_eqc() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(77.0, -33.0, 4000)
    x = np.radians(disc.lon) * MARS_R
    y = np.radians(float(ographic(disc.lat))) * MARS_R
    crs = CRS.from_proj4(eqc(0, 0, ELLIPSOID)).to_wkt().replace("unknown", "Mars 2000")
    # PROJ counts eqc by the semi-major radius whatever the flattening.
    return (
        disc,
        crs,
        around((x, y), PX),
        lambda x, y: (np.degrees(x / MARS_R), ocentric(np.degrees(y / MARS_R))),
    )


def case_ellipsoid_mercator() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(12.0, 48.0, 4000)
    proj = f"+proj=merc +lon_0=0 {ELLIPSOID}"
    x = np.radians(disc.lon) * MARS_R
    e2 = 1 - (MARS_B / MARS_R) ** 2
    sin = np.sin(np.radians(float(ographic(disc.lat))))
    y = MARS_R * (np.arctanh(sin) - np.sqrt(e2) * np.arctanh(np.sqrt(e2) * sin))
    return disc, CRS.from_proj4(proj).to_wkt(), around((x, y), 150.0), proj_lonlat(proj, True)


def case_ellipsoid_polar() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(-100.0, -80.0, 4000)
    proj = f"+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0 {ELLIPSOID}"
    # Placed by the sphere's formula: close enough to lie in the picture.
    rho = MARS_R * (1 + np.sin(np.radians(71))) * np.tan(np.radians(45.0 - 80.0 / 2))
    point = rho * np.sin(np.radians(disc.lon)), rho * np.cos(np.radians(disc.lon))
    return disc, CRS.from_proj4(proj).to_wkt(), around(point, PX), proj_lonlat(proj, True)


def case_kilometres() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(-10.0, 15.0, 4000)
    proj = f"+proj=eqc +lat_ts=15 +lon_0=-10 +x_0=50000 +R={MARS_R} +units=km"
    y = np.radians(disc.lat) * MARS_R / 1000.0
    return disc, CRS.from_proj4(proj).to_wkt(), around((50.0, y), PX / 1000), proj_lonlat(proj)


def case_oblique() -> tuple[Disc, str, Affine, ToLonLat]:
    disc = Disc(44.0, 18.0, 4000)
    proj = f"+proj=laea +lat_0=17 +lon_0=43 {SPHERE}"
    geographic = np.radians(1.0) * MARS_R
    point = (geographic * np.cos(np.radians(18.0)), geographic)
    return disc, CRS.from_proj4(proj).to_wkt(), around(point, PX), proj_lonlat(proj)


def case_old_radius() -> tuple[Disc, str, Affine, ToLonLat]:
    radius = 3_397_000.0
    disc = Disc(200.0 - 360.0, -5.0, 4000)
    x, y = np.radians(disc.lon) * radius, np.radians(disc.lat) * radius
    proj = eqc(0, 0, f"+R={radius} +units=m")
    return disc, CRS.from_proj4(proj).to_wkt(), around((x, y), PX), proj_lonlat(proj)


CASES: list[Callable[[], tuple[Disc, str, Affine, ToLonLat]]] = [
    value for name, value in sorted(globals().items()) if name.startswith("case_")
]
