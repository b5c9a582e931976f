"""Options with which every query command takes a region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cda_db.bodies import Body
    from queries.regions import Region

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--region", "file", type=click.Path(path_type=Path, dir_okay=False),
        help="Polygon file (GeoPackage, GeoParquet, shapefile) with the body's CRS.",
    ),
    click.option("--region-crs", "crs", help="CRS of a file that has none, e.g. IAU_2015:49900."),
    click.option("--region-layer", "layer", help="Layer of a file with several."),
    click.option(
        "--great-circles", is_flag=True,
        help="The polygon's edges are great circles, not straight in the file's CRS.",
    ),
    click.option("--circle", metavar="LON,LAT,KM", help="Circle: centre and radius on the ground."),
    click.option(
        "--bbox", metavar="W,S,E,N", help="Box in degrees; west > east crosses 180."
    ),
    click.option("--feature", metavar="NAME", help="Named feature of the gazetteer."),
    click.option("--feature-scale", default=1.0, help="Times the feature's diameter.",
                 show_default=True),
    click.option(
        "--gazetteer", type=click.Path(path_type=Path, dir_okay=False),
        help="CSV: name, body, type, lat_deg, lon_east_deg, diameter_km.",
    ),
)  # fmt: skip
_NAMES = (
    "file", "crs", "layer", "great_circles", "circle", "bbox", "feature", "feature_scale",
    "gazetteer",
)  # fmt: skip


@dataclass(frozen=True)
class RegionChoice:
    """What a person said about the region; ``of`` makes it one of a body."""

    file: Path | None = None
    crs: str | None = None
    layer: str | None = None
    great_circles: bool = False
    circle: str | None = None
    bbox: str | None = None
    feature: str | None = None
    feature_scale: float = 1.0
    gazetteer: Path | None = None

    def of(self, body: Body) -> Region | None:
        """The region on a body; None where none was named.

        Raises:
            InputError: two regions were named, or the one cannot be used.
        """
        from cda_db.errors import InputError

        named = [x for x in (self.file, self.circle, self.bbox, self.feature) if x is not None]
        if len(named) > 1:
            raise InputError(
                "More than one region was named.",
                "Give one of --region, --circle, --bbox, --feature.",
            )
        return self._make(body) if named else None

    def _make(self, body: Body) -> Region:
        from queries.region_files import feature_region, read_region
        from queries.regions import Box, Circle

        if self.circle is not None:
            lon, lat, km = _numbers(self.circle, 3, "--circle", "LON,LAT,KM")
            return Circle(body, lon, lat, km)
        if self.bbox is not None:
            west, south, east, north = _numbers(self.bbox, 4, "--bbox", "W,S,E,N")
            return Box(body, west, south, east, north)
        if self.feature is not None:
            return feature_region(self.features(body), self.feature, body, self.feature_scale)
        return read_region(
            self.file or Path(),
            body,
            crs=self.crs,
            layer=self.layer,
            edges="great-circle" if self.great_circles else "plane",
        )

    def features(self, body: Body) -> list[Any]:
        """Features of the gazetteer; raises InputError where none was given but one is needed."""
        from cda_db.errors import InputError
        from queries.region_files import read_gazetteer

        if self.gazetteer is None:
            if self.feature is None:
                return []
            raise InputError("A named feature needs a gazetteer.", "Give --gazetteer FILE.csv.")
        return read_gazetteer(self.gazetteer, body)


def region_options(command: _Command) -> _Command:
    """Add the options of a region; the command gets them as one argument ``region``."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        choice = RegionChoice(**{name: kwargs.pop(name) for name in _NAMES})
        return command(*args, region=choice, **kwargs)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def _numbers(text: str, n: int, option: str, form: str) -> list[float]:
    from cda_db.errors import InputError

    parts = text.split(",")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != n:
        raise InputError(f"{option} {text!r} is not {form}.", f"Give {n} numbers: {form}.")
    return values
