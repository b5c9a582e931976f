"""Bodies and their coordinate reference systems (IAU_2015 spheres, planetocentric, east positive).

A body's SRIDs equal the IAU_2015 codes where PostGIS allows them (up to 998999). Ceres and Vesta
have codes past that limit and get fixed SRIDs of ours; the true authority code stays beside them.
Reference: IAU WGCCRE report 2015 (Archinal et al. 2018) as registered in PROJ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pyproj import CRS, Geod

from cda_db.errors import InputError, NotFoundError

# Frames of a body: offset of the IAU_2015 code from the body's base code (NAIF id x 100).
FRAME_OFFSETS = {
    "lonlat": 0,
    "equirectangular": 10,
    "sinusoidal": 20,
    "north_polar": 30,
    "south_polar": 35,
}
FRAMES = tuple(FRAME_OFFSETS)
_POSTGIS_LIMIT = 998_999
_OWN_BASE = {"ceres": 990_100, "vesta": 990_400}


@dataclass(frozen=True)
class Body:
    """A body as the database knows it.

    Attributes:
        name: lower case, the key of table ``cda.body``.
        naif_id: NAIF integer; the IAU_2015 base code is ``naif_id * 100``.
        radius_m: radius of the IAU sphere in metres (the semi-major radius: areas on it are
            0.4 % large on Mars and 7.6 % on Ceres).
    """

    name: str
    naif_id: int
    radius_m: float

    @property
    def area_km2(self) -> float:
        """Area of the whole sphere in km2."""
        from math import pi

        return 4 * pi * (self.radius_m / 1000) ** 2

    def iau_code(self, frame: str = "lonlat") -> int:
        """IAU_2015 code of one of ``FRAMES``."""
        if frame not in FRAME_OFFSETS:
            raise InputError(f"Unknown frame {frame!r}.", f"Use one of {', '.join(FRAMES)}.")
        return self.naif_id * 100 + FRAME_OFFSETS[frame]

    def srid(self, frame: str = "lonlat") -> int:
        """PostGIS SRID of one of ``FRAMES``; the IAU code where PostGIS allows it."""
        code = self.iau_code(frame)
        return code if code <= _POSTGIS_LIMIT else _OWN_BASE[self.name] + FRAME_OFFSETS[frame]

    def crs(self, frame: str = "lonlat") -> CRS:
        """The pyproj CRS with authority IAU_2015. Use it with ``always_xy=True``."""
        return _crs(self.iau_code(frame))

    def geod(self) -> Geod:
        """Geodesic calculator on the body's sphere."""
        return Geod(a=self.radius_m, b=self.radius_m)


@lru_cache(maxsize=64)
def _crs(code: int) -> CRS:
    return CRS.from_authority("IAU_2015", code)


BODIES: dict[str, Body] = {
    body.name: body
    for body in (
        Body("mercury", 199, 2_440_530.0),
        Body("earth", 399, 6_378_136.6),
        Body("moon", 301, 1_737_400.0),
        Body("mars", 499, 3_396_190.0),
        Body("ceres", 2_000_001, 487_300.0),
        Body("vesta", 2_000_004, 255_000.0),
    )
}


def get_body(name: str) -> Body:
    """The body of that name, in any case. Raises NotFoundError; there is no default planet."""
    try:
        return BODIES[name.strip().lower()]
    except KeyError:
        raise NotFoundError(f"Unknown body {name!r}.", f"Use one of {', '.join(BODIES)}.") from None
