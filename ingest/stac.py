"""STAC catalogues of planetary rasters: their assets as paths.

A local catalogue is walked from its files; a remote one only where the caller allows it. An
item is used when its asset is a raster by media type or by role ``data``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pystac
from pystac.errors import STACError, STACTypeError

from cda_db.errors import InputError
from ingest.fetch import is_url

_RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-isis3-cube")


def expand_catalogues(paths: Iterable[str], *, allow_remote: bool = False) -> list[str]:
    """Paths in which each STAC catalogue, collection or item is replaced by its rasters.

    Args:
        paths: files, folders and patterns, and catalogues (``.json`` files or URLs).
        allow_remote: read catalogues over the network.

    Raises:
        InputError: a JSON file that is no STAC, or a remote one that is not allowed.
    """
    found: list[str] = []
    for path in paths:
        found += catalogue_rasters(path, allow_remote=allow_remote) if _is_stac(path) else [path]
    return found


def _is_stac(path: str) -> bool:
    return path.lower().endswith(".json") and not path.startswith("@")


def catalogue_rasters(path: str, *, allow_remote: bool = False) -> list[str]:
    """Rasters of a STAC catalogue, collection or item: paths, or URLs of remote ones.

    Raises:
        InputError: not STAC, without a raster, or remote and not allowed.
    """
    if is_url(path) and not allow_remote:
        raise InputError(f"{path} is remote.", "Say --download FOLDER to use the network.")
    try:
        root = pystac.read_file(path)
        items = [root] if isinstance(root, pystac.Item) else list(_items(root))
    except (STACError, STACTypeError, OSError, json.JSONDecodeError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as a STAC catalogue ({error}).",
            "Give a catalog.json, collection.json or item of STAC 1.0 or later.",
        ) from error
    found = [asset for item in items for asset in _assets(item)]
    if not found:
        raise InputError(
            f"{path} has no raster asset.", f"Media types looked for: {', '.join(_RASTERS)}."
        )
    return found


def _items(root: pystac.STACObject) -> Iterator[pystac.Item]:
    if isinstance(root, pystac.Catalog):
        yield from root.get_items(recursive=True)


def _assets(item: pystac.Item) -> Iterator[str]:
    for asset in item.assets.values():
        media = (asset.media_type or "").split(";")[0].strip()
        if media not in _RASTERS and "data" not in (asset.roles or []):
            continue
        href = asset.get_absolute_href()
        if href is None:
            continue
        yield href if is_url(href) else str(Path(href.removeprefix("file://")))
