"""The CRS of a file, normalised: which body, and how its map coordinates become lon and lat.

What files say differs (ESRI names, older or local radii, ellipsoids with planetographic
latitude, west-positive longitude, 0-360, central meridian 180); the database knows one thing:
planetocentric latitude and east longitude on the IAU_2015 sphere. Rules:

* Map coordinates on an ellipsoid are geodetic (planetographic), as PROJ computes them; latitude
  becomes planetocentric by tan(c) = (b/a)^2 tan(g), never by a datum shift (PROJ copies the
  latitude from ellipsoid to sphere, wrong by up to 20 km on Mars).
* A sphere of another radius keeps its degrees; map lengths are scaled to the IAU radius.
* Names in the CRS and its radius must agree on the body. A CRS without a name is known by its
  radius alone: the ranges of the bodies do not overlap.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from pyproj import CRS, Proj

from cda_db.bodies import Body, get_body
from cda_db.errors import SceneError
from ingest.crs import CRS_REMEDY, identify_body, parse_crs
from ingest.sphere import Floats, Projection, SphereProjection, wrap_lon

_KINDS: dict[str, Projection] = {
    "longlat": "lonlat",
    "eqc": "equirectangular",
    "sinu": "sinusoidal",
    "merc": "mercator",
    "stere": "polar_stereographic",
}
_Pair = tuple[float, float]
_Kindred = tuple[SphereProjection, _Pair, _Pair]


@dataclass(frozen=True)
class FrameHints:
    """What a label or a person knows about the frame beyond the CRS.

    Attributes:
        west_positive_centre: the label counts the central meridian positive to the west while
            x still grows to the east (ISIS3 and PDS3 ``PositiveWest``).
        ographic_axes_m: equatorial and polar radius of a label whose latitudes are
            planetographic although its CRS is a sphere.
        longitude: "east" or "west" as stated by a person for a CRS that lost its axis.
        target: body named by the label.
    """

    west_positive_centre: bool = False
    ographic_axes_m: tuple[float, float] | None = None
    longitude: str | None = None
    target: str | None = None


@dataclass(frozen=True)
class SourceFrame:
    """How the map coordinates of a file relate to lon and lat on the body's IAU sphere.

    Attributes:
        body: the body.
        kindred: the like projection on the IAU sphere, the factors that turn file x and y into
            its metres (degrees), and what is added then; None where there is none.
        exact: the file's map is that projection, but for the factors: it is on a sphere.
        proj4: PROJ definition of the file's map in its own units and axes made plain.
        flattening_ratio: (b/a)^2 to make latitudes planetocentric; 1 where they are.
        notes: what was normalised, in words, for the record.
    """

    body: Body
    kindred: _Kindred | None
    exact: bool
    proj4: str
    units: _Pair
    lon_shift_deg: float
    flattening_ratio: float
    notes: tuple[str, ...] = field(default=())

    @property
    def native(self) -> _Kindred | None:
        """``kindred`` where it is exact."""
        return self.kindred if self.exact else None

    def to_lonlat(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """East longitude in [-180, 180) and planetocentric latitude of file map coordinates."""
        if self.native is not None:
            projection, scale, offset = self.native
            return projection.inverse(
                np.asarray(x) * scale[0] + offset[0], np.asarray(y) * scale[1] + offset[1]
            )
        px, py = np.asarray(x) * self.units[0], np.asarray(y) * self.units[1]
        if "+proj=longlat" in self.proj4:
            lon, lat = px, py
        else:
            lon, lat = Proj(self.proj4)(px, py, inverse=True)
        lat = np.asarray(lat, dtype=np.float64)
        ocentric = np.degrees(np.arctan(self.flattening_ratio * np.tan(np.radians(lat))))
        return wrap_lon(np.asarray(lon) + self.lon_shift_deg), ocentric

    def from_lonlat(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
        """File map coordinates of points; inf where the map does not reach."""
        if self.native is not None:
            projection, scale, offset = self.native
            x, y = projection.forward(lon_deg, lat_deg)
            return (x - offset[0]) / scale[0], (y - offset[1]) / scale[1]
        lat = np.radians(np.asarray(lat_deg, dtype=np.float64))
        graphic = np.degrees(np.arctan(np.tan(lat) / self.flattening_ratio))
        lon = wrap_lon(np.asarray(lon_deg) - self.lon_shift_deg)
        if "+proj=longlat" in self.proj4:
            x, y = lon, graphic
        else:
            x, y = Proj(self.proj4)(lon, graphic)
        return np.asarray(x) / self.units[0], np.asarray(y) / self.units[1]

    @property
    def period(self) -> float | None:
        """File map distance of 360 degrees of longitude on cylindrical maps, else None."""
        if self.native is not None:
            projection, scale, _ = self.native
            return None if projection.period is None else abs(projection.period / scale[0])
        if "+proj=longlat" in self.proj4:
            return abs(360.0 / self.units[0])
        if "+proj=eqc" in self.proj4 or "+proj=merc" in self.proj4:
            definition = _parse(self.proj4)
            east = Proj(self.proj4)(wrap_lon(np.array(definition["lon_0"] + 90.0)), 0.0)[0]
            return float(abs(4 * (east - definition["x_0"]) / self.units[0]))
        return None


def _parse(proj4: str) -> dict[str, float]:
    """Numbers of a PROJ string; absent offsets are 0."""
    pairs = (item.lstrip("+").split("=", 1) for item in proj4.split() if "=" in item)
    numbers = {key: float(value) for key, value in pairs if key not in ("proj", "units")}
    return {"lon_0": 0.0, "x_0": 0.0, "y_0": 0.0, "lat_0": 0.0, **numbers}


def source_frame(
    wkt: str, name: str, *, body: str | None = None, hints: FrameHints | None = None
) -> SourceFrame:
    """The frame of a file's CRS, checked against the body that was asked for.

    Args:
        wkt: the CRS as the file says it.
        name: the file, for messages.
        body: the body that the caller expects; Earth is accepted only when it is named here.
        hints: what a label or a person knows beyond the CRS.

    Raises:
        SceneError: no planetary CRS, another body, Earth unasked, ambiguous longitude.
    """
    hints = hints or FrameHints()
    crs = parse_crs(wkt, name)
    found = identify_body(crs, name, hints.target)
    if body is not None and get_body(body) != found:
        raise SceneError(
            f"{name}: its CRS {crs.name!r} is of {found.name.title()}, not of "
            f"{get_body(body).name.title()}.",
            f"Register it with --body {found.name}, or correct the CRS. {CRS_REMEDY}",
        )
    if found.name == "earth" and body is None:
        raise SceneError(
            f"{name}: its CRS {crs.name!r} is of Earth.",
            "If it shows the Earth say --body earth; if it shows a planet correct the CRS. "
            + CRS_REMEDY,
        )
    return _build(crs, name, found, hints)


def _build(crs: CRS, name: str, body: Body, hints: FrameHints) -> SourceFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "you will lose information": checked above
        definition = crs.to_dict()
    kind = str(definition.get("proj", ""))
    notes: list[str] = []
    west = _west(crs, name, body, hints, notes)
    units = _units(crs, kind, west)
    pm = crs.prime_meridian.longitude if crs.prime_meridian is not None else 0.0
    lon_0 = float(definition.get("lon_0", 0.0))
    if hints.west_positive_centre:
        lon_0 = -lon_0
        notes.append("central meridian counted positive to the west")
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:  # identify_body has refused it already
        raise SceneError(f"{name}: its CRS has no ellipsoid.", CRS_REMEDY)
    a = ellipsoid.semi_major_metre
    b = ellipsoid.semi_minor_metre or a
    ratio = _latitude_ratio(crs, (a, b), hints, notes)
    if not np.isclose(a, body.radius_m, rtol=1e-9):
        notes.append(f"radius {a:g} m brought to the IAU sphere's {body.radius_m:g} m")
    if pm:
        notes.append(f"prime meridian {pm:g} degrees")
    plain = _plain_proj4(definition, kind, lon_0, a, b)
    numbers = _parse(plain)
    kindred = _kindred(kind, numbers, body, a, units, pm)
    exact = np.isclose(ratio, 1.0, atol=1e-12) and (kind == "longlat" or np.isclose(a, b))
    return SourceFrame(body, kindred, bool(exact), plain, units, pm, ratio, tuple(notes))


def _west(crs: CRS, name: str, body: Body, hints: FrameHints, notes: list[str]) -> bool:
    """Whether file x grows to the west."""
    if hints.longitude is not None:
        return hints.longitude == "west"
    directions = {axis.direction.lower() for axis in crs.axis_info}
    if "west" in directions:
        notes.append("west-positive longitude made east-positive")
        return True
    base = crs.geodetic_crs.name if crs.geodetic_crs is not None else crs.name
    if "ographic" in base.lower() and "(20" in base and body.name in ("mars", "mercury"):
        raise SceneError(
            f"{name}: {base!r} counts longitude positive to the west, but the file's CRS has lost "
            "its axis (GeoTIFF cannot store it).",
            "Say --longitude west or --longitude east, whichever its coordinates follow.",
        )
    return False


def _units(crs: CRS, kind: str, west: bool) -> tuple[float, float]:
    """Factors that turn file x, y into degrees (geographic) or metres, east and north."""
    axis = crs.axis_info[0] if crs.axis_info else None
    factor = axis.unit_conversion_factor if axis is not None and axis.unit_conversion_factor else 1
    if kind == "longlat":
        factor = float(np.degrees(factor)) if axis is not None else 1.0
        factor = 1.0 if np.isclose(factor, 1.0, rtol=1e-9) else factor
    return (-factor if west else factor), factor


def _latitude_ratio(
    crs: CRS, axes: tuple[float, float], hints: FrameHints, notes: list[str]
) -> float:
    """(b/a)^2 where the file's latitudes are planetographic, else 1."""
    if hints.ographic_axes_m is not None:
        axes = hints.ographic_axes_m
    elif crs.is_geographic or crs.type_name == "Geodetic CRS":
        spherical = any("centric" in axis.name.lower() for axis in crs.axis_info)
        if spherical or "ocentric" in crs.name.lower():
            return 1.0
    ratio = (axes[1] / axes[0]) ** 2
    if not np.isclose(ratio, 1.0, atol=1e-12):
        notes.append("planetographic latitude made planetocentric")
    return float(ratio)


def _plain_proj4(definition: dict[str, object], kind: str, lon_0: float, a: float, b: float) -> str:
    """The PROJ string in metres, east and north, from Greenwich, on the CRS's own ellipsoid."""
    dropped = {"proj", "lon_0", "pm", "axis", "units", "to_meter", "datum", "ellps", "type", "R"}
    dropped |= {"a", "b", "rf", "f", "no_defs", "vunits", "towgs84", "nadgrids", "geoidgrids"}
    keep = []
    for key, value in definition.items():
        # A Mercator scale factor of 0 (GDAL writes it for some PDS files) can only mean 1.
        if key in dropped or (key in ("k", "k_0") and float(str(value)) == 0):
            continue
        keep.append(f"+{key}" if value is True else f"+{key}={value}")
    return " ".join([f"+proj={kind}", *keep, f"+lon_0={lon_0!r}", f"+a={a!r}", f"+b={b!r}"])


def _kindred(
    kind: str, p: dict[str, float], body: Body, a: float, units: tuple[float, float], pm: float
) -> _Kindred | None:
    """The projection on the IAU sphere with the scale and shift that lead to it, if there is one.

    Exact for a file on a sphere; for one on an ellipsoid it is the like map on the sphere.
    """
    name = _KINDS.get(kind)
    if name is None:
        return None
    if name == "lonlat":
        return SphereProjection(name, body.radius_m), units, (pm, 0.0)
    lat_ts = _true_scale(kind, p)
    if lat_ts is None:
        return None
    ratio = body.radius_m / a
    scale = (units[0] * ratio, units[1] * ratio)
    shift = body.radius_m * np.radians(p["lat_0"]) if kind in ("eqc", "sinu") else 0.0
    offset = (-p["x_0"] * ratio, float(shift) - p["y_0"] * ratio)
    lon_0 = float(wrap_lon(np.array(p["lon_0"] + pm)))
    return SphereProjection(name, body.radius_m, lon_0, lat_ts), scale, offset


def _true_scale(kind: str, p: dict[str, float]) -> float | None:
    """Latitude of true scale, from a scale factor where that is given; None for other maps."""
    if kind == "sinu":
        return 0.0
    if kind == "stere" and abs(abs(p["lat_0"]) - 90.0) > 1e-9:
        return None
    if kind == "eqc" or "lat_ts" in p:
        lat_ts = p.get("lat_ts", 0.0)
    else:
        k = p.get("k", p.get("k_0", 1.0))
        if not 0.5 < k <= 1.0:
            return None
        lat_ts = float(np.degrees(np.arcsin(2 * k - 1) if kind == "stere" else np.arccos(k)))
    return abs(lat_ts) * (1.0 if p["lat_0"] > 0 else -1.0) if kind == "stere" else lat_ts
