"""A scene's pixel grid on the sphere: pixels to longitude and latitude and back, ground size.

Pixel coordinates are continuous: x to the right, y down, (0, 0) is the top left corner of the
top left pixel and (0.5, 0.5) its centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.sphere import Floats, SphereProjection

Transform = tuple[float, float, float, float, float, float]


def unit_vectors(lon_deg: Floats, lat_deg: Floats) -> Floats:
    """Unit vectors (..., 3) of points on the sphere."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


@dataclass(frozen=True)
class SceneGrid:
    """Pixels of a scene as seen.

    Attributes:
        projection: sphere projection of the map.
        transform: a, b, c, d, e, f with map_x = a col + b row + c, map_y = d col + e row + f.
        width, height: pixels.
    """

    projection: SphereProjection
    transform: Transform
    width: int
    height: int

    def to_map(self, col: Floats, row: Floats) -> tuple[Floats, Floats]:
        """Map coordinates of pixel coordinates."""
        a, b, c, d, e, f = self.transform
        return a * col + b * row + c, d * col + e * row + f

    def to_lonlat(self, col: Floats, row: Floats) -> tuple[Floats, Floats]:
        """Longitude in [-180, 180) and latitude of pixel coordinates."""
        return self.projection.inverse(*self.to_map(np.asarray(col), np.asarray(row)))

    def to_pixel(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
        """Pixel coordinates (col, row) of points.

        On a cylindrical map a point has one place in every period: the one nearest to the
        scene's centre is returned.
        """
        x, y = self.projection.forward(lon_deg, lat_deg)
        period = self.projection.period
        if period is not None:
            centre = self.to_map(np.array(self.width / 2), np.array(self.height / 2))[0]
            x = x - period * np.round((x - centre) / period)
        a, b, c, d, e, f = self.transform
        det = a * e - b * d
        dx, dy = x - c, y - f
        return (e * dx - b * dy) / det, (a * dy - d * dx) / det

    def ground_steps(self, col: Floats, row: Floats) -> tuple[Floats, Floats]:
        """Ground vectors in metres of one pixel to the right and one pixel down, (..., 3) each."""
        col, row = np.asarray(col, dtype=np.float64), np.asarray(row, dtype=np.float64)
        radius = self.projection.radius_m
        steps = []
        for dc, dr in ((0.5, 0.0), (0.0, 0.5)):
            ahead = unit_vectors(*self.to_lonlat(col + dc, row + dr))
            behind = unit_vectors(*self.to_lonlat(col - dc, row - dr))
            steps.append(radius * (ahead - behind))
        return steps[0], steps[1]

    def pixel_scale_m(self) -> float:
        """Ground metres a pixel at the centre: the root of the pixel's ground area."""
        right, down = self.ground_steps(np.array(self.width / 2), np.array(self.height / 2))
        return float(np.sqrt(np.linalg.norm(np.cross(right, down))))

    def stretch(self, col: Floats, row: Floats) -> Floats:
        """How far a circle is drawn out at these pixels: long over short axis, at least 1."""
        right, down = self.ground_steps(col, row)
        g11, g22 = (right**2).sum(-1), (down**2).sum(-1)
        g12 = (right * down).sum(-1)
        mean, spread = (g11 + g22) / 2, np.hypot((g11 - g22) / 2, g12)
        return np.asarray(np.sqrt((mean + spread) / np.maximum(mean - spread, 1e-30)))
