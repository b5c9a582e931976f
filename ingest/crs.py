"""Which body a CRS is of, by its names and its radius; refusals name the file and a remedy."""

from __future__ import annotations

import re

from pyproj import CRS
from pyproj.exceptions import CRSError

from cda_db.bodies import BODIES, Body, get_body
from cda_db.errors import SceneError

# Equatorial, polar, mean and local radii that published products use, metres.
_RADII = {
    "mercury": (2.433e6, 2.4435e6),
    "earth": (6.33e6, 6.40e6),
    "moon": (1.725e6, 1.750e6),
    "mars": (3.365e6, 3.420e6),
    "ceres": (4.38e5, 4.95e5),
    "vesta": (2.20e5, 2.93e5),
}
_ALIASES = {"lunar": "moon", "luna": "moon", "wgs": "earth", "nad83": "earth", "nad27": "earth"}
_ALIASES |= {"etrs89": "earth", "grs": "earth", "terra": "earth"}
_OTHER_BODIES = frozenset(
    [
        "venus",
        "phobos",
        "deimos",
        "jupiter",
        "io",
        "europa",
        "ganymede",
        "callisto",
        "saturn",
        "titan",
        "enceladus",
        "mimas",
        "tethys",
        "dione",
        "rhea",
        "iapetus",
        "uranus",
        "neptune",
        "triton",
        "pluto",
        "charon",
        "bennu",
        "ryugu",
        "eros",
        "itokawa",
    ]
)
CRS_REMEDY = "Write the right one into a copy, e.g. gdal_translate -a_srs IAU_2015:49910 IN OUT."


def parse_crs(wkt: str, name: str) -> CRS:
    """A horizontal pyproj CRS of WKT text. Raises SceneError naming the file."""
    try:
        crs = CRS.from_wkt(wkt)
    except CRSError as error:
        raise SceneError(f"{name}: its CRS cannot be read ({error}).", CRS_REMEDY) from error
    if crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    if not (crs.is_geographic or crs.is_projected or crs.type_name == "Geodetic CRS"):
        raise SceneError(
            f"{name}: {crs.name!r} ({crs.type_name}) is not a map of a body.", CRS_REMEDY
        )
    return crs


def identify_body(crs: CRS, name: str, target: str | None = None) -> Body:
    """The body that a CRS describes, by its names and its radius.

    Args:
        crs: a horizontal CRS.
        name: the file, for messages.
        target: body that the file's label names, if any.
    """
    words = set(_words(crs, target))
    named = {_ALIASES.get(word, word) for word in words} & set(BODIES)
    foreign = words & _OTHER_BODIES
    if foreign and not named:
        raise SceneError(
            f"{name}: its CRS is of {', '.join(sorted(foreign)).title()}.",
            f"The database knows {', '.join(BODIES)}.",
        )
    if crs.ellipsoid is None:
        raise SceneError(f"{name}: its CRS {crs.name!r} has no sphere or ellipsoid.", CRS_REMEDY)
    radius = crs.ellipsoid.semi_major_metre
    by_radius = {body for body, (low, high) in _RADII.items() if low <= radius <= high}
    if len(named) > 1 or (named and by_radius and named != by_radius):
        raise SceneError(
            f"{name}: its CRS {crs.name!r} names {', '.join(sorted(named)).title()} but has a "
            f"radius of {radius / 1000:.1f} km.",
            CRS_REMEDY,
        )
    found = named & by_radius or by_radius
    if len(found) != 1:
        raise SceneError(
            f"{name}: a radius of {radius / 1000:.1f} km in {crs.name!r} is of no body that the "
            "database knows.",
            f"The database knows {', '.join(BODIES)}.",
        )
    return get_body(found.pop())


def _words(crs: CRS, target: str | None) -> list[str]:
    names = [crs.name, target or ""]
    for part in (crs.geodetic_crs, crs.datum, crs.ellipsoid):
        names.append(part.name if part is not None else "")
    return re.findall(r"[a-z]+\d*", " ".join(names).lower().replace("_", " "))
