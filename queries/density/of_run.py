"""A run of the database as the source of a density map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cda_db import catalogue, rollup
from cda_db.bodies import Body
from cda_db.connection import Connection
from cda_db.errors import InputError
from cda_db.runs import Run
from queries.density.bins import FIRST_ROOT2_BIN, DiameterBins, root2_bin, root2_bins
from queries.density.healpix_map import Box, DensityMap, density_map
from queries.regions import Region


@dataclass(frozen=True)
class RunSource:
    """Craters, coverage and roll-up of a run, read when they are asked for."""

    conn: Connection
    run: Run

    @property
    def body(self) -> Body:
        """The run's body."""
        return self.run.body

    def craters(
        self, box: Box | None, min_diameter_m: float, max_diameter_m: float
    ) -> pd.DataFrame:
        """Craters of the run's catalogue."""
        return catalogue.craters(
            self.conn,
            self.run,
            box=box,
            min_diameter_m=min_diameter_m,
            max_diameter_m=max_diameter_m,
        )

    def coverage(self, root2: int) -> tuple[int, NDArray[np.int64]]:
        """Union of the scenes and levels whose size window holds that bin."""
        return self._ground.of(root2)

    @cached_property
    def _ground(self) -> catalogue.ImagedGround:
        return catalogue.ImagedGround(self.conn, self.run)

    def rollup(self, order: int) -> pd.DataFrame | None:
        """The run's roll-up at that order, if it is that of the present catalogue."""
        if order > rollup.FINEST_ORDER or not rollup.is_rolled_up(self.conn, self.run):
            return None
        return rollup.cell_counts(self.conn, self.run, order)


def density_of_run(
    conn: Connection,
    run: Run,
    bins: DiameterBins,
    order: int,
    region: Region | None = None,
    confidence: float = 0.95,
) -> DensityMap:
    """Crater density of a run, see ``density_map``."""
    return density_map(RunSource(conn, run), bins, order, region, confidence)


def catalogue_bins(conn: Connection, run: Run) -> DiameterBins:
    """The root-2 bins from the run's smallest to its largest crater.

    Craters below the first root-2 bin (0.24 m) are in no bin.

    Raises:
        InputError: the catalogue holds no crater in any bin.
    """
    counts = RunSource(conn, run).rollup(0)
    if counts is None:
        found = root2_bin(catalogue.craters(conn, run)["diameter_m"].to_numpy(np.float64))
    else:
        found = counts["bin"].to_numpy(np.int64)
    found = found[found >= FIRST_ROOT2_BIN]
    if not len(found):
        raise InputError(f"Run {run.name!r} has no craters.", "Name bins with --bins 1,2,4.")
    return root2_bins(int(found.min()), int(found.max()))
