"""Names of published products: which instrument, observation or mosaic tile a file name means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapely.geometry import MultiPolygon, box

from cda_db.errors import SceneError


@dataclass(frozen=True)
class _Pattern:
    regex: re.Pattern[str]
    mission: str
    instrument: str
    body: str


def _pattern(text: str, mission: str, instrument: str, body: str) -> _Pattern:
    return _Pattern(re.compile(text, re.IGNORECASE), mission, instrument, body)


# Product-id rules of the archives' Software Interface Specifications.
_PATTERNS = (
    _pattern(r"(MurrayLab_(?:Global)?CTX(?:Mosaic)?_V\w+_E-?\d+_N-?\d+)", "MRO", "CTX", "mars"),
    _pattern(r"([BDFGJKNPTUV]\d{2}_\d{6}_\d{4}_X[NIW]_\d{2}[NS]\d{3}W)", "MRO", "CTX", "mars"),
    _pattern(
        r"((?:ESP|PSP|AEB|TRA)_\d{6}_\d{4}(?:_(?:RED|BG|IR|COLOR|MIRB)\d*(?:_\d)?)?)",
        "MRO",
        "HIRISE",
        "mars",
    ),
    _pattern(r"(DTE[ECP][CDP]_\d{6}_\d{4}_\d{6}_\d{4}_[A-Z]\d{2})", "MRO", "HIRISE DTM", "mars"),
    _pattern(
        r"(H[A-Z]?\d{3,4}_\d{4}_(?:ND|S1|S2|P1|P2|BL|GR|RE|IR|DA|DT)\d?)", "MEX", "HRSC", "mars"
    ),
    _pattern(r"([IV]\d{8}(?:RDR|EDR|GEO|ABR|BTR)?)(?=[._]|$)", "ODY", "THEMIS", "mars"),
    _pattern(r"(themis_(?:day|night)ir)", "ODY", "THEMIS", "mars"),
    _pattern(r"(M\d{9,10}[LR][EC])", "LRO", "LROC NAC", "moon"),
    _pattern(r"(NAC_(?:DTM|ROI|POLE)_\w+)", "LRO", "LROC NAC", "moon"),
    _pattern(r"(M\d{9,10}[CMV]E)", "LRO", "LROC WAC", "moon"),
    _pattern(r"(WAC_(?:GLOBAL|EMP|GLD100|HAPKE|ROI|CSHADE)\w*)", "LRO", "LROC WAC", "moon"),
    _pattern(r"(AS1[567]-[MP]-\d{4})", "Apollo", "Metric/Panoramic", "moon"),
    _pattern(r"(E[NW]\d{10}[MI])", "MESSENGER", "MDIS", "mercury"),
    _pattern(r"(FC\d{7}_\d{11}F\d[A-Z])", "Dawn", "FC", "ceres or vesta"),
)
_MURRAY = re.compile(
    r"MurrayLab_(?:Global)?CTX(?:Mosaic)?_(?P<version>V[\w]*?)_E(?P<lon>-?\d+)_N(?P<lat>-?\d+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MurrayTile:
    """A 4 x 4 degree tile of the Murray Lab CTX mosaic (Dickson et al. 2024).

    Attributes:
        version: of the mosaic, e.g. V01.
        lon_deg, lat_deg: south-west corner, east and north.
    """

    version: str
    lon_deg: int
    lat_deg: int

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """West, south, east, north in degrees."""
        return self.lon_deg, self.lat_deg, self.lon_deg + 4, self.lat_deg + 4


def murray_tile(name: str) -> MurrayTile | None:
    """The mosaic tile that a file name means, e.g. ``MurrayLab_CTX_V01_E-004_N-32_Mosaic.tif``."""
    found = _MURRAY.search(name)
    if found is None:
        return None
    return MurrayTile(found["version"], int(found["lon"]), int(found["lat"]))


def describe_product(name: str) -> dict[str, Any]:
    """Product id, mission and instrument that a file name tells; empty for other names."""
    for pattern in _PATTERNS:
        found = pattern.regex.search(name)
        if found is None:
            continue
        record: dict[str, Any] = {
            "product_id": found[1],
            "mission": pattern.mission,
            "instrument": pattern.instrument,
            "product_body": pattern.body,
        }
        tile = murray_tile(name)
        if tile is not None:
            record["murray_tile"] = {"version": tile.version, "bounds": list(tile.bounds)}
        return record
    return {}


def check_name(path: Path, record: dict[str, Any], body: str, footprint: MultiPolygon) -> None:
    """A mosaic tile's name and its CRS must mean the same place.

    Args:
        path: the file.
        record: from ``describe_product``.
        body: of the CRS.
        footprint: imaged ground, lon/lat degrees.

    Raises:
        SceneError: another body, or no ground in common with the tile that the name means.
    """
    if "murray_tile" not in record:
        return
    west, south, east, north = record["murray_tile"]["bounds"]
    turns = [box(west + turn, south, east + turn, north) for turn in (-360, 0, 360)]
    if body != "mars" or not any(footprint.intersects(tile) for tile in turns):
        raise SceneError(
            f"{path} is by its name the tile {west} to {east} E, {south} to {north} N of Mars, but "
            f"by its CRS and transform it lies elsewhere ({body}, "
            f"{', '.join(f'{value:.2f}' for value in footprint.bounds)}).",
            "Rename it, or correct its georeference.",
        )
