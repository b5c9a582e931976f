"""A run's count corrected by what is known of its detector.

A detector that finds a share ``recall`` of the craters, and whose detections are craters by a share
``precision``, counts as if it had searched the area x recall / precision without a fault. So the
correction is an exposure, and the Poisson age's likelihood stays what it is. Its bounds take the
worst of the count's and of the correction's 1-sigma bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from cda_db.errors import InputError
from queries.ages.csfd import Csfd
from queries.ages.exposure import Exposure
from queries.ages.model_age import Estimate, ModelAge
from queries.ages.of_run import run_counts
from queries.ages.poisson import ONE_SIGMA, poisson_age
from queries.ages.source import CountSource, RunSource, Span
from queries.ages.systems import ChronologySystem
from queries.correction_options import correction_of
from queries.craters import run_craters
from queries.density.bins import bins_between
from queries.density.correction import Correction, Shares, shares_of

Floats = NDArray[np.float64]


def corrected_source(
    source: CountSource, wanted: str, metres_a_pixel: float | None
) -> CorrectedSource:
    """The source corrected as a person named it (see ``correction_of``).

    Raises:
        InputError: the count is not a run's; or as ``correction_of``.
    """
    if not isinstance(source, RunSource):
        raise InputError(
            "Only a run's own count can be corrected, and no buffered one.",
            "Leave --correct away.",
        )
    correction = correction_of(source.conn, source.run, wanted, metres_a_pixel)
    assert correction is not None  # one was named
    return CorrectedSource(source, correction, f"{source.name}, corrected")


@dataclass(frozen=True)
class CorrectedSource(CountSource):
    """A run's count with calibrated diameters on the area that counts."""

    inner: RunSource
    correction: Correction
    name: str

    def check_system(self, system: ChronologySystem) -> None:
        """The run's body decides."""
        self.inner.check_system(system)

    def exposed(self, span: Span) -> tuple[Floats, Exposure]:
        """Calibrated diameters in the range, and the imaged ground x recall / precision."""
        diameters, area, shares = self._read(span)
        return diameters, _times(area, shares.yielded)

    def poisson(self, system: ChronologySystem, span: Span) -> ModelAge:
        """Poisson age whose bounds hold the correction's error too."""
        diameters, area, shares = self._read(span)
        found, few, many = (
            poisson_age(diameters, _times(area, share), system, span)
            for share in (shares.yielded, shares.yielded_high, shares.yielded_low)
        )
        n1 = Estimate(found.n1_per_km2.value, few.n1_per_km2.low, many.n1_per_km2.high)
        age = n1.age(system.chronology)
        return replace(found, n1_per_km2=n1, age_ga=age, as_craterstats=None)

    def _read(self, span: Span) -> tuple[Floats, Exposure, Shares]:
        """True diameters (km) in the range, imaged ground, and the shares of its bins."""
        area = run_counts(self.inner.conn, self.inner.run, span, self.inner.region).exposure
        low, high = area.edges_km[:-1], area.edges_km[1:]
        shares = shares_of(bins_between(low, high), self.correction, ONE_SIGMA)
        unknown = np.isnan(shares.yielded) & (area.areas_km2 > 0)
        if unknown.any():
            raise InputError(
                f"The detector was never evaluated for craters of {low[unknown][0]:.3g} to"
                f" {high[unknown][-1]:.3g} km in this run's pictures.",
                "Narrow the range, or correct by an evaluation that holds such craters.",
            )
        factor = 1 + shares.bias
        seen = run_craters(
            self.inner.conn, self.inner.run, region=self.inner.region,
            min_diameter_m=float((low * factor).min()) * 1000,
            max_diameter_m=float((high * factor).max()) * 1000,
        )["diameter_m"].to_numpy(np.float64) / 1000  # fmt: skip
        true = [
            seen[(seen >= a * f) & (seen < b * f)] / f
            for a, b, f in zip(low, high, factor, strict=True)
        ]
        return np.concatenate(true), area, shares

    def counted(self, span: Span) -> tuple[Floats, float]:
        """A corrected count has no one area. Raises InputError."""
        self._refuse()

    def csfd(self, binning: str, span: Span | None) -> Csfd:
        """A corrected count has no one area. Raises InputError."""
        self._refuse()

    def plot_span(self, spans: Sequence[Span]) -> Span | None:
        """Nothing to plot; ``csfd`` says why."""
        return None

    def _refuse(self) -> NoReturn:
        raise InputError(
            "A corrected count has another area for each size.",
            "Use --method poisson, without --plot.",
        )


def _times(area: Exposure, share: Floats) -> Exposure:
    return Exposure(area.edges_km, area.areas_km2 * np.nan_to_num(share))
