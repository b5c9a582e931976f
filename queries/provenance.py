"""Where one crater comes from, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cda_db import catalogue
from cda_db.connection import Connection

# What a reviewer asks first, in the order of the chain; the JSON form has everything.
_PARTS: dict[str, tuple[str, ...]] = {
    "tile": ("level", "row", "column", "side_px", "centre_in_scene_px"),
    "scene": (
        "name", "path", "file_sha256", "sha256", "kind", "view", "shading", "projection",
        "pixel_scale_m", "registered_at",
    ),
    "batch": ("batch_id", "factor", "row_start", "row_stop", "attempt", "n_tiles", "n_detections"),
    "attempt": (
        "attempt", "outcome", "host", "pid", "job_id", "threads", "precision", "claimed_at",
        "ended_at", "code_version",
    ),
    "run": ("name", "body", "config", "config_sha256", "code_version", "created_at"),
    "model": ("name", "architecture", "weights_sha256", "diameter_factor"),
}  # fmt: skip


def crater_provenance(conn: Connection, detection_id: int) -> dict[str, Any]:
    """The whole chain of a detection or crater, JSON-ready, as ``cda.provenance`` gives it.

    Raises:
        NotFoundError: there is no such detection.
    """
    return catalogue.provenance(conn, detection_id)


def provenance_text(chain: Mapping[str, Any]) -> str:
    """The chain for reading: what it is, where it was seen, by what and when, what it replaced."""
    box = ", ".join(f"{float(edge):.1f}" for edge in chain["box_px"])
    lines = [
        f"detection {chain['detection_id']}: {_verdict(chain)}",
        _line("place", f"{chain['lon'] % 360:.4f} E, {chain['lat']:+.4f} N"),
        _line("diameter", f"{chain['diameter_m']:.1f} m"),
        _line("score", f"{chain['score']:.3f}"),
        _line("box in tile", f"{box} px"),
    ]
    if chain.get("source_image"):
        lines.append(_line("source image", chain["source_image"]))
    for part, names in _PARTS.items():
        lines.append(part)
        lines += [
            _line(name, _words(chain[part][name])) for name in names if _told(chain, part, name)
        ]
    suppressed = chain["suppressed"]
    lines.append(f"suppressed {len(suppressed)} other detections")
    lines += [
        f"  {row['detection_id']}  IoU {row['iou']:.3f}  {row['diameter_m']:.1f} m"
        f"  score {row['score']:.3f}  {row['scene']}, level {row['level']:g}"
        for row in suppressed
    ]
    return "\n".join(lines)


def _told(chain: Mapping[str, Any], part: str, name: str) -> bool:
    """Whether the chain says anything there; an attempt is unknown for rows loaded by hand."""
    return (chain.get(part) or {}).get(name) is not None


def _line(name: str, words: str) -> str:
    return f"  {name:<18}  {words}"


def _verdict(chain: Mapping[str, Any]) -> str:
    rival = chain["suppressed_by"]
    if rival:
        return f"suppressed by crater {rival['crater_id']} (IoU {rival['iou']:.3f})"
    return str(chain["verdict"])


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(_words(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
