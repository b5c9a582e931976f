"""What a file's own label says: product, instrument, time, angles, and how it counts longitude.

ISIS3 and PDS3 labels come through GDAL as JSON, PDS4 as XML, VICAR as JSON. Keywords are looked
for by name at any depth, because missions put them in groups of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ingest.products import describe_product
from ingest.projection import FrameHints

RECORD_TAG = "CDA_GEOREFERENCE"  # what `cda ingest georeference` did, as JSON
_DOMAINS = ("json:ISIS3", "json:PDS", "json:VICAR", "xml:PDS4")
# Record key: keywords in ISIS3, PDS3, PDS4 and VICAR, lower case without underscores.
_KEYWORDS = {
    "product_id": ("productid", "logicalidentifier"),
    "spacecraft": ("spacecraftname", "spacecraftid", "instrumenthostname"),
    "instrument": ("instrumentid", "instrumentname"),
    "target": ("targetname",),
    "start_time": ("starttime", "startdatetime"),
    "stop_time": ("stoptime", "stopdatetime"),
    "incidence_deg": ("incidenceangle", "incidence"),
    "emission_deg": ("emissionangle", "emission"),
    "phase_deg": ("phaseangle", "phase"),
}
_ANGLES = ("incidence_deg", "emission_deg", "phase_deg")
_EMPTY = ("", "null", "n/a", "unk", "none")


def read_label(dataset: Any) -> dict[str, Any]:
    """The label as nested dictionaries; empty for files without one."""
    for domain in _DOMAINS:
        if domain not in dataset.tag_namespaces():
            continue
        (item,) = dataset.tags(ns=domain).items()
        if domain == "xml:PDS4":
            return _xml(ElementTree.fromstring(item[1]))
        return _first_json(item)  # rasterio splits the document at its first "=" or ":"
    return {}


def _first_json(parts: tuple[str, ...]) -> dict[str, Any]:
    for separator in (":", "="):
        try:
            found = json.loads(separator.join(parts))
        except json.JSONDecodeError:
            continue
        return dict(found)
    return {}


def _xml(element: ElementTree.Element) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for child in element:
        name = child.tag.split("}")[-1]
        tree.setdefault(name, _xml(child) if len(child) else (child.text or "").strip())
    return tree


def _walk(tree: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and "value" not in value:
            yield from _walk(value)
        else:
            yield key.lower().replace("_", ""), value


def find_keyword(tree: dict[str, Any], *names: str) -> str | None:
    """The first value under one of these keywords (lower case, no underscores)."""
    found = list(_walk(tree))
    for name in names:
        for key, value in found:
            plain = value.get("value") if isinstance(value, dict) else value
            if key == name and str(plain).strip().lower() not in _EMPTY:
                return str(plain).strip()
    return None


def label_record(
    path: Path, tree: dict[str, Any], tags: dict[str, str] | None = None
) -> dict[str, Any]:
    """What the scene's record keeps of the label, of the file's name and of our own tags."""
    record: dict[str, Any] = dict(describe_product(path.name))
    if tags is not None and RECORD_TAG in tags:
        made = json.loads(tags[RECORD_TAG])
        record |= made.pop("label", {}) | {"georeference": made}
    for key, names in _KEYWORDS.items():
        value = find_keyword(tree, *names)
        if value is None:
            continue
        record[key] = _number(value) if key in _ANGLES else value
    return {key: value for key, value in record.items() if value is not None}


def _number(value: str) -> float | None:
    try:
        return float(value.split(maxsplit=1)[0])
    except ValueError:
        return None


def frame_hints(tree: dict[str, Any], driver: str, longitude: str | None) -> FrameHints:
    """What the label says of the frame where GDAL's CRS does not (see ``FrameHints``).

    Args:
        tree: from ``read_label``.
        driver: GDAL's; its PDS4 reader turns west-positive meridians, the others do not.
        longitude: a person's statement for a CRS that lost its axis.
    """
    direction = find_keyword(tree, "longitudedirection", "positivelongitudedirection") or ""
    latitude = find_keyword(tree, "latitudetype", "coordinatesystemname") or ""
    equatorial = _radius(tree, "equatorialradius", "aaxisradius", "semimajorradius")
    polar = _radius(tree, "polarradius", "caxisradius", "semiminorradius")
    axes = None
    if "graphic" in latitude.lower() and equatorial is not None and polar is not None:
        axes = (equatorial, polar)
    return FrameHints(
        west_positive_centre="west" in direction.lower() and driver != "PDS4",
        ographic_axes_m=axes,
        longitude=longitude,
        target=find_keyword(tree, "targetname"),
    )


def _radius(tree: dict[str, Any], *names: str) -> float | None:
    """A radius in metres; labels give metres (ISIS3) or kilometres (PDS3)."""
    text = find_keyword(tree, *names)
    value = None if text is None else _number(text)
    if value is None:
        return None
    return value * 1000.0 if value < 1e5 else value
