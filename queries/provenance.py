"""Where one crater comes from, in words."""

from __future__ import annotations

from typing import Any

from cda_db import catalogue
from cda_db.connection import Connection


def crater_provenance(conn: Connection, detection_id: int) -> dict[str, Any]:
    """The whole chain of a detection or crater, JSON-ready, as ``cda.provenance`` gives it.

    Raises:
        NotFoundError: there is no such detection.
    """
    return catalogue.provenance(conn, detection_id)


def provenance_text(chain: dict[str, Any]) -> str:
    """The chain as indented lines: what it is, then where it was seen, by what, and when."""
    lines = [
        f"detection {chain['detection_id']}: {_verdict(chain)}",
        f"  place      {chain['lon'] % 360:.4f} E, {chain['lat']:+.4f} N",
        f"  diameter   {chain['diameter_m']:.1f} m, score {chain['score']:.3f}",
    ]
    for part in ("tile", "scene", "batch", "attempt", "run", "model"):
        lines += [part, *_tree(chain.get(part), 1)]
    suppressed = chain.get("suppressed") or []
    lines.append(f"suppressed {len(suppressed)} other detections")
    lines += [
        f"  {row['detection_id']}  IoU {row['iou']:.3f}  {row['diameter_m']:.1f} m"
        f"  score {row['score']:.3f}  {row['scene']}, level {row['level']:g}"
        for row in suppressed
    ]
    return "\n".join(lines)


def _verdict(chain: dict[str, Any]) -> str:
    rival = chain.get("suppressed_by")
    if rival:
        return f"suppressed by crater {rival['crater_id']} (IoU {rival['iou']:.3f})"
    return str(chain["verdict"])


def _tree(value: Any, depth: int) -> list[str]:
    if not isinstance(value, dict):
        return [f"{'  ' * depth}{_short(value)}"]
    lines = []
    for key, item in value.items():
        if item is None or item == {}:
            continue
        if isinstance(item, dict):
            lines += [f"{'  ' * depth}{key}", *_tree(item, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{key:<10} {_short(item)}")
    return lines


def _short(value: Any) -> str:
    """Long text (a CRS) is cut: the JSON form has it whole."""
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."
