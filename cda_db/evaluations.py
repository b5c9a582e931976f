"""Evaluations in the database: what a detector finds and what of it is right, by size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from scipy.special import betaincinv

from cda_db import __version__
from cda_db.catalogue import frame
from cda_db.connection import Connection
from cda_db.errors import NotFoundError
from cda_db.runs import Run

Interval = tuple[float | None, float | None]
_UNKNOWN: Interval = (None, None)


@dataclass(frozen=True)
class SizeBin:
    """Sizes of [size_from, size_to): truth binned by true size, detections by detected size.

    Attributes:
        n_truth, n_found: independent craters, and how many of them were found.
        n_detections, n_right: detections, and how many of them are craters; None where the list
            of independent craters is not complete.
        diameter_ratio, diameter_mad: median of detected over true diameter and its median absolute
            deviation; None without a pair.
    """

    size_from: float
    size_to: float
    n_truth: int
    n_found: int
    n_detections: int | None
    n_right: int | None
    diameter_ratio: float | None = None
    diameter_mad: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """A detector held against independent craters; counts are those of the main rules.

    Attributes:
        name: of the labelled data.
        kind: instrument or free name of the scenes; ``body`` their planet, if one.
        data_sha256: digest of pictures and labels (32 bytes).
        rules: all that decides the figures: matching, search, threshold, arithmetic.
        size_unit: of the bins: ``px`` of the scene, or ``m``.
        recall_95, precision_95, f1_95: bootstrapped intervals.
        bins: by size, every object counted.
        report: the whole report.
    """

    name: str
    kind: str
    body: str | None
    data_sha256: bytes
    rules: dict[str, Any]
    threshold: float
    size_unit: str
    n_truth: int
    n_found: int
    n_detections: int | None
    n_right: int | None
    bins: tuple[SizeBin, ...]
    recall_95: Interval = _UNKNOWN
    precision_95: Interval = _UNKNOWN
    f1_95: Interval = _UNKNOWN
    ap50: float | None = None
    report: dict[str, Any] = field(default_factory=dict)

    def rules_sha256(self) -> bytes:
        """Digest of the canonical JSON of the rules."""
        text = json.dumps(self.rules, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()


def store_evaluation(conn: Connection, model_id: int, made: Evaluation) -> tuple[int, bool]:
    """Store an evaluation once: the same model, data and rules are known by their hashes.

    Returns:
        The evaluation's id, and whether it is new.
    """
    recall, precision = _share(made.n_found, made.n_truth), _share(made.n_right, made.n_detections)
    values = {
        "model_id": model_id, "name": made.name, "kind": made.kind, "body": made.body,
        "data_sha256": made.data_sha256, "rules_sha256": made.rules_sha256(),
        "rules": Jsonb(made.rules), "threshold": made.threshold, "size_unit": made.size_unit,
        "n_truth": made.n_truth, "n_found": made.n_found,
        "n_detections": made.n_detections, "n_right": made.n_right,
        "recall": recall, "recall_low": made.recall_95[0], "recall_high": made.recall_95[1],
        "precision": precision,
        "precision_low": made.precision_95[0], "precision_high": made.precision_95[1],
        "f1": _harmonic(precision, recall), "f1_low": made.f1_95[0], "f1_high": made.f1_95[1],
        "ap50": made.ap50, "report": Jsonb(made.report), "code_version": __version__,
    }  # fmt: skip
    row = conn.execute(
        _insert("evaluation", values, "ON CONFLICT DO NOTHING RETURNING evaluation_id"), values
    ).fetchone()
    if row is None:
        return _known(conn, values), False
    for one in made.bins:
        bin_values = {"evaluation_id": row[0], **vars(one), **_bin_shares(one)}
        conn.execute(_insert("evaluation_bin", bin_values, ""), bin_values)
    return int(row[0]), True


def _insert(table: str, values: dict[str, Any], tail: str) -> sql.Composed:
    return sql.SQL("INSERT INTO cda.{} ({}) VALUES ({}) {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Placeholder, values)),
        sql.SQL(tail),
    )


def _known(conn: Connection, values: dict[str, Any]) -> int:
    row = conn.execute(
        "SELECT evaluation_id FROM cda.evaluation WHERE model_id = %(model_id)s"
        " AND data_sha256 = %(data_sha256)s AND rules_sha256 = %(rules_sha256)s",
        values,
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"Evaluation {values['name']!r} was not stored.", "Look at the server's log."
        )
    return int(row[0])


def _bin_shares(one: SizeBin) -> dict[str, float | None]:
    """Shares of a bin with their exact binomial (Clopper-Pearson) 95 % bounds."""
    shares: dict[str, float | None] = {}
    for name, hits, total in (
        ("recall", one.n_found, one.n_truth),
        ("precision", one.n_right, one.n_detections),
    ):
        low, high = _exact_interval(hits, total)
        shares |= {name: _share(hits, total), f"{name}_low": low, f"{name}_high": high}
    return shares


def _exact_interval(hits: int | None, total: int | None) -> Interval:
    if hits is None or not total:
        return _UNKNOWN
    low = betaincinv(hits, total - hits + 1, 0.025) if hits else 0.0
    high = betaincinv(hits + 1, total - hits, 0.975) if hits < total else 1.0
    return float(low), float(high)


def _share(hits: int | None, total: int | None) -> float | None:
    return None if hits is None or not total else hits / total


def _harmonic(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    return 2 * a * b / (a + b) if a + b else 0.0


_LISTED = (
    "evaluation_id", "model", "model_sha256", "name", "kind", "body", "threshold", "size_unit",
    "n_truth", "n_found", "n_detections", "n_right", "recall", "recall_low", "recall_high",
    "precision", "precision_low", "precision_high", "f1", "f1_low", "f1_high", "ap50",
    "data_sha256", "rules", "stored_at",
)  # fmt: skip


def list_evaluations(
    conn: Connection, *, model_sha256: bytes | None = None, model_id: int | None = None
) -> list[dict[str, Any]]:
    """Evaluations, oldest first: of one model where it is named, by hash or id.

    Returns:
        dictionaries with the columns of ``cda.evaluation`` (hashes as hex digits, no report) and
        the model's name and hash.
    """
    columns = {
        "model": "m.name", "model_sha256": "encode(m.sha256, 'hex')",
        "data_sha256": "encode(e.data_sha256, 'hex')",
        "threshold": "trim_scale(e.threshold::numeric)::float8",
    }  # fmt: skip
    chosen = ", ".join(f"{columns.get(name, f'e.{name}')} AS {name}" for name in _LISTED)
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"SELECT {chosen} FROM cda.evaluation e JOIN cda.model m USING (model_id)"
            " WHERE (%(sha)s::bytea IS NULL OR m.sha256 = %(sha)s)"
            " AND (%(id)s::int IS NULL OR m.model_id = %(id)s) ORDER BY e.evaluation_id",
            {"sha": model_sha256, "id": model_id},
        ).fetchall()


def evaluation_bins(conn: Connection, evaluation_id: int) -> pd.DataFrame:
    """An evaluation by size, smallest first: the columns of ``cda.evaluation_bin``.

    Raises:
        NotFoundError: there is no such evaluation, or it holds no bin.
    """
    found = frame(
        conn,
        "SELECT * FROM cda.evaluation_bin WHERE evaluation_id = %s ORDER BY size_from",
        [evaluation_id],
    )
    if found.empty:
        raise NotFoundError(
            f"There is no evaluation {evaluation_id} by size.", "See `cda model evaluations`."
        )
    return found


def scene_scales(conn: Connection, run: Run) -> pd.DataFrame:
    """How a run sees each of its scenes.

    Returns:
        scene_id; pixel_scale_m, ground metres a pixel; cells, its imaged ground in units of the
        finest coverage's cells, so that they can be compared within the run; least_m, most_m,
        the diameters that its finished levels can show.
    """
    return frame(
        conn,
        """
        WITH seen AS (
            SELECT scene_id, min(least_m) AS least_m, max(most_m) AS most_m
            FROM cda.scene_levels(%s::int) GROUP BY scene_id
        )
        SELECT scene_id, s.pixel_scale_m, w.least_m, w.most_m,
            ((SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(c.ranges) AS r)
             + (SELECT coalesce(sum(bit_count(m::bit(64))), 0) / 64.0
                FROM unnest(c.border_masks) AS m))::float8
            * 4.0::float8 ^ (max(s.coverage_order) OVER () - s.coverage_order) AS cells
        FROM seen w JOIN cda.scene s USING (scene_id)
        JOIN cda.scene_coverage c USING (scene_id) WHERE c.factor = 1 ORDER BY scene_id
        """,
        [run.run_id],
    )


def names_of(found: Sequence[dict[str, Any]]) -> str:
    """Names of evaluations in one line, for messages."""
    return ", ".join(f"{row['name']!r} ({row['kind']})" for row in found) or "none"
