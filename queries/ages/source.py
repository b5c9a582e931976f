"""Where a count comes from: a file, or a run of the database in a region."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from cda_db.bodies import BODIES
from cda_db.errors import InputError
from queries.ages.counts_io import CraterCounts, read_counts
from queries.ages.csfd import Csfd, csfd
from queries.ages.exposure import Exposure
from queries.ages.model_age import ModelAge
from queries.ages.poisson import poisson_age
from queries.ages.systems import ChronologySystem

if TYPE_CHECKING:
    from cda_db.connection import Connection
    from cda_db.runs import Run
    from queries.ages.buffered import Feature
    from queries.region_options import RegionChoice
    from queries.regions import Region

Floats = NDArray[np.float64]
Span = tuple[float, float]

_SAME_RADIUS = 0.1  # relative: spheres of one body differ by less (Vesta's shape: 255 or 261 km)


class CountSource(ABC):
    """Craters and the area they were counted on.

    Attributes:
        name: for tables and titles.
    """

    name: str

    @abstractmethod
    def check_system(self, system: ChronologySystem) -> None:
        """Raises InputError if the system is of another body than the craters."""

    @abstractmethod
    def exposed(self, span: Span) -> tuple[Floats, float | Exposure]:
        """Diameters (km) in the range at least, and the area searched for them."""

    def poisson(self, system: ChronologySystem, span: Span) -> ModelAge:
        """The Poisson age of the count in a range."""
        return poisson_age(*self.exposed(span), system, span)

    @abstractmethod
    def counted(self, span: Span) -> tuple[Floats, float]:
        """Diameters (km), those beyond the range too where known, and one area for all of them."""

    @abstractmethod
    def csfd(self, binning: str, span: Span | None) -> Csfd:
        """The binned count in a range; None: in all the sizes that there are."""

    @abstractmethod
    def plot_span(self, spans: Sequence[Span]) -> Span | None:
        """Range of a picture that shows ages over ``spans``, for ``csfd``."""


@dataclass(frozen=True)
class FileSource(CountSource):
    """A ``.diam`` or ``.scc`` file."""

    counts: CraterCounts
    name: str

    def check_system(self, system: ChronologySystem) -> None:
        """A .scc knows its sphere's radius; a .diam knows nothing to compare."""
        body, radius = BODIES.get(system.body), self.counts.radius_km
        if body is None or radius is None:
            return
        if abs(radius * 1000 / body.radius_m - 1) > _SAME_RADIUS:
            raise InputError(
                f"{self.name} was counted on a sphere of {radius:g} km radius,"
                f" {system.name!r} is for {system.body}.",
                "Take a system of the body that was counted: cda query chronologies.",
            )

    def exposed(self, span: Span) -> tuple[Floats, float | Exposure]:
        """All craters, and the file's area."""
        return self.counts.diameters_km, self.counts.area_km2

    def counted(self, span: Span) -> tuple[Floats, float]:
        """All craters, and the file's area."""
        return self.counts.diameters_km, self.counts.area_km2

    def csfd(self, binning: str, span: Span | None) -> Csfd:
        """In a range, or from the smallest to the largest crater."""
        return csfd(self.counts.diameters_km, self.counts.area_km2, binning, span)

    def plot_span(self, spans: Sequence[Span]) -> Span | None:
        """All craters."""
        return None


@dataclass(frozen=True)
class RunSource(CountSource):
    """Craters of a run in a region, read when they are asked for."""

    conn: Connection
    run: Run
    region: Region | None
    name: str

    def check_system(self, system: ChronologySystem) -> None:
        """The run's body decides."""
        check_run_system(self.run, system)

    def exposed(self, span: Span) -> tuple[Floats, float | Exposure]:
        """Craters in the range, and the ground imaged for each size."""
        from queries.ages.of_run import run_counts

        found = run_counts(self.conn, self.run, span, self.region)
        return found.diameters_km, found.exposure

    def counted(self, span: Span) -> tuple[Floats, float]:
        """Craters from the range upward as far as the same ground was imaged for them."""
        from queries.ages.of_run import run_counts

        found = run_counts(self.conn, self.run, span, self.region)
        area = found.area_km2
        larger = catalogue_above(self.conn, self.run, span[1], self.region)
        return np.concatenate([found.diameters_km, larger]), area

    def csfd(self, binning: str, span: Span | None) -> Csfd:
        """In a range; all of it must be imaged on one area."""
        if span is None:
            raise InputError("A run's count needs a diameter range.", "Give --range LOW,HIGH.")
        diameters, area = self.counted(span)
        return csfd(diameters, area, binning, span)

    def plot_span(self, spans: Sequence[Span]) -> Span | None:
        """From the lowest to the highest."""
        return min(low for low, _ in spans), max(high for _, high in spans)


@dataclass(frozen=True)
class BufferedSource(CountSource):
    """Craters of a run that touch a feature (``buffered``); each size has an area of its own."""

    conn: Connection
    run: Run
    feature: Feature
    reach: float
    name: str

    def check_system(self, system: ChronologySystem) -> None:
        """The run's body decides."""
        check_run_system(self.run, system)

    def exposed(self, span: Span) -> tuple[Floats, float | Exposure]:
        """Craters in the range that touch the feature, and the imaged part of its buffers."""
        from queries.ages.buffered_run import buffered_run_counts

        return buffered_run_counts(self.conn, self.run, self.feature, span, self.reach)

    def counted(self, span: Span) -> tuple[Floats, float]:
        """A buffered count has no one area. Raises InputError."""
        self._refuse()

    def csfd(self, binning: str, span: Span | None) -> Csfd:
        """A buffered count has no one area. Raises InputError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InputError(
            "A buffered count has another area for each size.",
            "Use --method poisson, without --plot.",
        )

    def plot_span(self, spans: Sequence[Span]) -> Span | None:
        """Nothing to plot; ``csfd`` says why."""
        return None


def check_run_system(run: Run, system: ChronologySystem) -> None:
    """Raises InputError if a system is of another body than a run."""
    if system.body != run.body.name:
        raise InputError(
            f"Run {run.name!r} is of {run.body.name}, {system.name!r} is not.",
            f"See: cda query chronologies --body {run.body.name}",
        )


def catalogue_above(conn: Connection, run: Run, km: float, region: Region | None) -> Floats:
    """Diameters in km of the run's craters of at least ``km`` in the region."""
    from queries.craters import run_craters

    found = run_craters(conn, run, region=region, min_diameter_m=km * 1000)
    return np.asarray(found["diameter_m"].to_numpy(np.float64) / 1000)


@contextmanager
def open_source(
    counts_file: Path | None,
    run_name: str | None,
    region: RegionChoice,
    reach: float | None = None,
) -> Iterator[CountSource]:
    """The source that a person named; a run's connection is open within the block.

    Args:
        reach: for a buffered count around the region's file, else None.

    Raises:
        InputError: neither or both of file and run, a region with a file, or a buffered count
            without one.
    """
    if (counts_file is None) == (run_name is None):
        raise InputError("Which craters?", "Give one of --counts FILE and --run NAME.")
    if counts_file is not None:
        if reach is not None or any((region.file, region.circle, region.bbox, region.feature)):
            raise InputError(
                "A count file has its own area; it takes no region.", "Leave the region away."
            )
        yield FileSource(read_counts(counts_file), counts_file.stem)
        return
    from cda_db.runs import get_run
    from queries.session import reading

    with reading() as conn:
        run = get_run(conn, run_name or "")
        if reach is not None:
            yield _buffered(conn, run, region, reach)
            return
        chosen = region.of(run.body)
        place = "all imaged ground" if chosen is None else chosen.name
        yield RunSource(conn, run, chosen, f"{run.name}, {place}")


def _buffered(conn: Connection, run: Run, region: RegionChoice, reach: float) -> BufferedSource:
    from queries.ages.buffered_run import read_feature

    if region.file is None:
        raise InputError("What should the craters touch?", "Give --region FILE with --buffered.")
    feature = read_feature(region.file, run.body, crs=region.crs, layer=region.layer)
    return BufferedSource(conn, run, feature, reach, f"{run.name}, around {region.file.stem}")
