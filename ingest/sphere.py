"""The five map projections of a scene as seen, on a sphere, and their inverses.

Formulas: Snyder 1987, "Map Projections: A Working Manual" (USGS PP 1395), spherical cases of
sections 12 (equirectangular), 7 (Mercator), 30 (sinusoidal) and 21 (polar stereographic).
Everything is planetocentric and east positive; degrees in, metres out, and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import SceneError

Floats = NDArray[np.float64]
Projection = Literal["lonlat", "equirectangular", "sinusoidal", "polar_stereographic", "mercator"]
CYLINDRICAL: tuple[Projection, ...] = ("lonlat", "equirectangular", "mercator")


def wrap_lon(lon_deg: Floats) -> Floats:
    """Longitudes in [-180, 180)."""
    return (np.asarray(lon_deg, dtype=np.float64) + 180.0) % 360.0 - 180.0


@dataclass(frozen=True)
class SphereProjection:
    """A projection of a sphere.

    Attributes:
        name: one of ``Projection``; ``lonlat`` is plate carree in degrees.
        radius_m: radius of the sphere.
        lon_0_deg: central meridian, degrees east (0 for ``lonlat``).
        lat_ts_deg: latitude of true scale; for polar stereographic its sign names the pole.
    """

    name: Projection
    radius_m: float
    lon_0_deg: float = 0.0
    lat_ts_deg: float = 0.0

    @property
    def period(self) -> float | None:
        """Map distance of 360 degrees of longitude; None where the map has no such period."""
        if self.name == "lonlat":
            return 360.0
        if self.name in CYLINDRICAL:
            return float(2 * np.pi * self.radius_m * np.cos(np.radians(self.lat_ts_deg)))
        return None

    @property
    def unit_m(self) -> float:
        """Metres of ground for one map unit along a meridian at the latitude of true scale."""
        return float(np.radians(1.0) * self.radius_m) if self.name == "lonlat" else 1.0

    def forward(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
        """Map coordinates of points; longitude is taken within 180 degrees of the meridian."""
        if self.name == "lonlat":
            return wrap_lon(lon_deg), np.asarray(lat_deg, dtype=np.float64)
        lam = np.radians(wrap_lon(np.asarray(lon_deg) - self.lon_0_deg))
        phi = np.radians(np.asarray(lat_deg, dtype=np.float64))
        r, cos_ts = self.radius_m, np.cos(np.radians(self.lat_ts_deg))
        if self.name == "equirectangular":
            return r * cos_ts * lam, r * phi
        if self.name == "sinusoidal":
            return r * lam * np.cos(phi), r * phi
        if self.name == "mercator":
            return r * cos_ts * lam, r * cos_ts * np.arcsinh(np.tan(phi))
        pole = self._pole
        rho = self._polar_factor * np.tan(np.pi / 4 - pole * phi / 2)
        return rho * np.sin(lam), -pole * rho * np.cos(lam)

    def inverse(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Longitude in [-180, 180) and latitude of map coordinates.

        Latitudes past +-90 are returned as they come (a map may have rows beyond the pole);
        the caller masks them.
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if self.name == "lonlat":
            return wrap_lon(x), y
        r, cos_ts = self.radius_m, np.cos(np.radians(self.lat_ts_deg))
        if self.name == "equirectangular":
            lam, phi = x / (r * cos_ts), y / r
        elif self.name == "sinusoidal":
            phi = y / r
            lam = x / (r * np.maximum(np.cos(phi), 1e-12))
        elif self.name == "mercator":
            lam, phi = x / (r * cos_ts), np.arctan(np.sinh(y / (r * cos_ts)))
        else:
            pole = self._pole
            lam = np.arctan2(x, -pole * y)
            phi = pole * (np.pi / 2 - 2 * np.arctan(np.hypot(x, y) / self._polar_factor))
        return wrap_lon(np.degrees(lam) + self.lon_0_deg), np.degrees(phi)

    @property
    def _pole(self) -> float:
        if self.lat_ts_deg == 0:
            raise SceneError(
                "A polar stereographic projection has latitude of true scale 0.",
                "Give the latitude of true scale of its pole (+90 or -90 is usual).",
            )
        return 1.0 if self.lat_ts_deg > 0 else -1.0

    @property
    def _polar_factor(self) -> float:
        # 2 R k0, with k0 the scale at the pole that makes the scale 1 at lat_ts.
        return float(self.radius_m * (1 + np.sin(np.radians(abs(self.lat_ts_deg)))))

    def proj4(self) -> str:
        """PROJ string of the projection, for the CRS of exports."""
        sphere = f"+R={self.radius_m!r} +units=m +no_defs"
        head = {
            "lonlat": "+proj=longlat",
            "equirectangular": f"+proj=eqc +lat_ts={self.lat_ts_deg!r}",
            "sinusoidal": "+proj=sinu",
            "mercator": f"+proj=merc +lat_ts={self.lat_ts_deg!r}",
            "polar_stereographic": f"+proj=stere +lat_0={90 if self.lat_ts_deg > 0 else -90}"
            f" +lat_ts={self.lat_ts_deg!r}",
        }[self.name]
        if self.name == "lonlat":
            return f"{head} +R={self.radius_m!r} +no_defs"
        return f"{head} +lon_0={self.lon_0_deg!r} {sphere}"
