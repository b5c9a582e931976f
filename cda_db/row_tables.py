"""The tables of detections, craters and roll-ups.

``detection``, ``crater`` and ``suppression`` are partitioned by run and carry no row foreign keys:
a bare COPY runs 5-8 times faster without them. What keeps them honest instead: the commit of a
batch locks the batch's row and derives ids from it, unique indexes are built when a load phase
ends, and ``cda db check`` counts orphans and duplicates.

Importing this module makes ``metadata`` whole: it builds on ``cda_db.tables`` and brings
``cda_db.evaluation_tables`` along.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
)
from sqlalchemy.dialects.postgresql import ARRAY, INT8MULTIRANGE, REAL

import cda_db.evaluation_tables
import cda_db.meteorites  # noqa: F401 - and its table
from cda_db.schema import col, metadata, now
from cda_db.tables import run

N_STAGING_SLOTS = 16
# A detection's id is its batch's id shifted by this many bits, plus its place in the batch.
ORDINAL_BITS = 22

detection = Table(
    "detection",
    metadata,
    col("run_id", Integer, "the run, the partition key"),
    col("tile_row", SmallInteger, "row of the tile in its level"),
    col("tile_col", SmallInteger, "column of the tile in its level"),
    col("detection_id", BigInteger, "batch_id << 22 | place in the batch by content"),
    col("lon", Double, "centre, degrees east, [-180, 180)"),
    col("lat", Double, "centre, planetocentric degrees"),
    col("diameter_m", REAL, "true diameter: sqrt(w h) of the box on the ground x model factor"),
    col("score", REAL, "detector's score"),
    col("x0", REAL, "left of the raw box, pixels of its tile"),
    col("y0", REAL, "top"),
    col("x1", REAL, "right"),
    col("y1", REAL, "bottom"),
    col("cut", Boolean, "touches an inner tile edge: takes no part"),
    col("data_edge", Boolean, "touches the scene's edge or nodata: may be incomplete"),
    comment="Raw boxes as the detector gave them, put on the sphere",
    postgresql_partition_by="LIST (run_id)",
)

suppression = Table(
    "suppression",
    metadata,
    col("run_id", Integer, "the run, the partition key"),
    col("iou", REAL, "overlap of the two circles"),
    col("detection_id", BigInteger, "the detection that went"),
    col("crater_id", BigInteger, "its highest-ranked kept rival"),
    comment="Verdict on a detection that lost: to which crater, at which overlap",
    postgresql_partition_by="LIST (run_id)",
)

crater = Table(
    "crater",
    metadata,
    col("run_id", Integer, "the run, the partition key"),
    col("cell", Integer, "nested HEALPix cell of order 13"),
    col("crater_id", BigInteger, "detection_id of the detection that was kept"),
    col("lon", Double, "centre, degrees east, [-180, 180)"),
    col("lat", Double, "centre, planetocentric degrees"),
    col("diameter_m", REAL, "true diameter, metres"),
    col("score", REAL, "detector's score"),
    comment="The catalogue: detections that suppression kept, one a crater",
    postgresql_partition_by="LIST (run_id)",
)

redecide = Table(
    "redecide",
    metadata,
    col("run_id", Integer, "the run", ForeignKey(run.c.run_id, ondelete="CASCADE")),
    col("detection_id", BigInteger, "a detection whose rival went away"),
    PrimaryKeyConstraint("run_id", "detection_id"),
    comment="Detections that suppression must decide again, because a batch was repeated",
)

rest_row = Table(
    "rest_row",
    metadata,
    col("run_id", Integer, "the run", ForeignKey(run.c.run_id, ondelete="CASCADE")),
    col("detection_id", BigInteger, "a detection whose verdict hangs on another zone"),
    col("dropped", Boolean, "it lost already, but not yet known to which crater"),
    comment="Scratch of suppression: chains of overlaps that leave their zone",
)

rest_pair = Table(
    "rest_pair",
    metadata,
    col("run_id", Integer, "the run", ForeignKey(run.c.run_id, ondelete="CASCADE")),
    col("winner", BigInteger, "the detection of higher rank"),
    col("loser", BigInteger, "the detection of lower rank, a rest_row"),
    col("iou", REAL, "overlap of the two circles"),
    col("score", REAL, "the winner's score"),
    col("radius_m", Double, "the winner's radius"),
    col("place", BigInteger, "the winner's place in the order of content"),
    comment="Scratch of suppression: rivals of the rows in rest_row",
)

catalogue = Table(
    "catalogue",
    metadata,
    col(
        "run_id",
        Integer,
        "the run",
        ForeignKey(run.c.run_id, ondelete="CASCADE"),
        primary_key=True,
    ),
    col("n_craters", BigInteger, "kept"),
    col("n_suppressed", BigInteger, "suppressed"),
    col("n_cut", BigInteger, "cut"),
    col("decided_at", DateTime(timezone=True), "when", server_default=now),
    col(
        "rolled_up_at", DateTime(timezone=True), "when the density roll-up was made", nullable=True
    ),
    comment="State of a run's catalogue as of its last suppression",
)

crater_count = Table(
    "crater_count",
    metadata,
    # no foreign key: checked by the million rows it would cost more than they do
    col("run_id", Integer, "the run"),
    col("cell_order", SmallInteger, "HEALPix order"),
    col("bin", SmallInteger, "k: diameters of [2^(k/2), 2^((k+1)/2)) km"),
    col("cell", Integer, "nested HEALPix cell"),
    col("n", Integer, "craters whose centre lies in the cell"),
    PrimaryKeyConstraint("run_id", "cell_order", "bin", "cell"),
    comment="Roll-up: craters a cell and root-2 diameter bin, at several orders",
)

imaged_layer = Table(
    "imaged_layer",
    metadata,
    col("run_id", Integer, "the run", ForeignKey(run.c.run_id, ondelete="CASCADE")),
    col("bin", SmallInteger, "root-2 diameter bin"),
    col("layer", SmallInteger, "bins that the same scenes can show share a layer"),
    PrimaryKeyConstraint("run_id", "bin"),
    comment="Which imaged area belongs to a diameter bin",
)

imaged_ground = Table(
    "imaged_ground",
    metadata,
    col("run_id", Integer, "the run", ForeignKey(run.c.run_id, ondelete="CASCADE")),
    col("layer", SmallInteger, "see imaged_layer"),
    col("cell_order", SmallInteger, "HEALPix order of the cells"),
    col("ranges", INT8MULTIRANGE, "cells that are imaged whole, overlaps counted once"),
    col("border_cells", ARRAY(BigInteger), "cells that are imaged in part, ascending"),
    col("border_masks", ARRAY(BigInteger), "bit i: sub-cell i (three orders finer) is imaged"),
    PrimaryKeyConstraint("run_id", "layer", "cell_order"),
    comment="Roll-up: the ground that a bin could be seen on, by layer; a row a HEALPix order",
)


def _staging(slot: int) -> Table:
    return Table(
        f"staging_{slot:02d}",
        metadata,
        col("tile_row", SmallInteger, "row of the tile in its level"),
        col("tile_col", SmallInteger, "column of the tile in its level"),
        col("x0", REAL, "left of the raw box, pixels of its tile"),
        col("y0", REAL, "top"),
        col("x1", REAL, "right"),
        col("y1", REAL, "bottom"),
        col("score", REAL, "detector's score"),
        col("data_edge", Boolean, "the box touches nodata"),
        prefixes=["UNLOGGED"],
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
    )


staging = tuple(_staging(slot) for slot in range(N_STAGING_SLOTS))
