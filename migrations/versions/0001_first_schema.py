"""The first schema: bodies, scenes, models, runs, batches, rows, roll-up.

Revision: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the planets."""
    op.create_table(
        "body",
        sa.Column("name", sa.Text(), nullable=False, comment="lower-case name, the key"),
        sa.Column("naif_id", sa.Integer(), nullable=False, comment="NAIF integer of the body"),
        sa.Column(
            "radius_m", sa.Double(), nullable=False, comment="radius of the IAU_2015 sphere, metres"
        ),
        sa.Column(
            "srid_lonlat",
            sa.Integer(),
            nullable=False,
            comment="SRID of longitude/latitude, degrees",
        ),
        sa.Column(
            "srid_equirectangular",
            sa.Integer(),
            nullable=False,
            comment="SRID of the equirectangular frame, clon 0",
        ),
        sa.Column(
            "srid_sinusoidal",
            sa.Integer(),
            nullable=False,
            comment="SRID of the sinusoidal frame, clon 0",
        ),
        sa.Column(
            "srid_north_polar",
            sa.Integer(),
            nullable=False,
            comment="SRID of the north polar stereographic frame",
        ),
        sa.Column(
            "srid_south_polar",
            sa.Integer(),
            nullable=False,
            comment="SRID of the south polar stereographic frame",
        ),
        sa.CheckConstraint("radius_m > 0", name=op.f("body_radius_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("body_pkey")),
        sa.UniqueConstraint("naif_id", name=op.f("body_naif_id_key")),
        sa.UniqueConstraint("name", "srid_lonlat", name=op.f("body_name_srid_lonlat_key")),
        sa.UniqueConstraint("srid_lonlat", name=op.f("body_srid_lonlat_key")),
        schema="cda",
        comment="Planetary bodies: a sphere and the SRIDs of its frames; nothing ever guesses a body",
    )
    op.create_table(
        "crater",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run, the partition key"),
        sa.Column("cell", sa.Integer(), nullable=False, comment="nested HEALPix cell of order 13"),
        sa.Column(
            "crater_id",
            sa.BigInteger(),
            nullable=False,
            comment="detection_id of the detection that was kept",
        ),
        sa.Column("lon", sa.Double(), nullable=False, comment="centre, degrees east, [-180, 180)"),
        sa.Column("lat", sa.Double(), nullable=False, comment="centre, planetocentric degrees"),
        sa.Column("diameter_m", sa.REAL(), nullable=False, comment="true diameter, metres"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        schema="cda",
        comment="The catalogue: detections that suppression kept, one a crater",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "detection",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run, the partition key"),
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "detection_id",
            sa.BigInteger(),
            nullable=False,
            comment="batch_id << 22 | place in the batch by content",
        ),
        sa.Column("lon", sa.Double(), nullable=False, comment="centre, degrees east, [-180, 180)"),
        sa.Column("lat", sa.Double(), nullable=False, comment="centre, planetocentric degrees"),
        sa.Column(
            "diameter_m",
            sa.REAL(),
            nullable=False,
            comment="true diameter: sqrt(w h) of the box on the ground x model factor",
        ),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column(
            "cut", sa.Boolean(), nullable=False, comment="touches an inner tile edge: takes no part"
        ),
        sa.Column(
            "data_edge",
            sa.Boolean(),
            nullable=False,
            comment="touches the scene's edge or nodata: may be incomplete",
        ),
        schema="cda",
        comment="Raw boxes as the detector gave them, put on the sphere",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "model",
        sa.Column(
            "model_id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="surrogate key",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="name of the model"),
        sa.Column(
            "sha256", sa.LargeBinary(), nullable=False, comment="sha256 of the weights that run"
        ),
        sa.Column("architecture", sa.Text(), nullable=False, comment="network family and size"),
        sa.Column(
            "diameter_factor",
            sa.Double(),
            nullable=False,
            comment="rim diameter / box size, fitted on training data",
        ),
        sa.Column(
            "card",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="model card: data, recipe, seed, figures",
        ),
        sa.Column(
            "registered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.CheckConstraint(
            "diameter_factor BETWEEN 0.5 AND 2", name=op.f("model_diameter_factor_check")
        ),
        sa.CheckConstraint("octet_length(sha256) = 32", name=op.f("model_sha256_check")),
        sa.PrimaryKeyConstraint("model_id", name=op.f("model_pkey")),
        sa.UniqueConstraint("sha256", name=op.f("model_sha256_key")),
        schema="cda",
        comment="Detector weights that may run, known by their hash",
    )
    op.create_table(
        "sql_file",
        sa.Column("name", sa.Text(), nullable=False, comment="file in cda_db/sql"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="content that was applied"),
        sa.Column(
            "applied_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("sql_file_pkey")),
        schema="cda",
        comment="Which text of each SQL file this database holds",
    )
    op.create_table(
        "staging_00",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_01",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_02",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_03",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_04",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_05",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_06",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_07",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_08",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_09",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_10",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_11",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_12",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_13",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_14",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "staging_15",
        sa.Column(
            "tile_row", sa.SmallInteger(), nullable=False, comment="row of the tile in its level"
        ),
        sa.Column(
            "tile_col", sa.SmallInteger(), nullable=False, comment="column of the tile in its level"
        ),
        sa.Column(
            "x0", sa.REAL(), nullable=False, comment="left of the raw box, pixels of its tile"
        ),
        sa.Column("y0", sa.REAL(), nullable=False, comment="top"),
        sa.Column("x1", sa.REAL(), nullable=False, comment="right"),
        sa.Column("y1", sa.REAL(), nullable=False, comment="bottom"),
        sa.Column("score", sa.REAL(), nullable=False, comment="detector's score"),
        sa.Column("data_edge", sa.Boolean(), nullable=False, comment="the box touches nodata"),
        schema="cda",
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "suppression",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run, the partition key"),
        sa.Column("iou", sa.REAL(), nullable=False, comment="overlap of the two circles"),
        sa.Column(
            "detection_id", sa.BigInteger(), nullable=False, comment="the detection that went"
        ),
        sa.Column(
            "crater_id", sa.BigInteger(), nullable=False, comment="its highest-ranked kept rival"
        ),
        schema="cda",
        comment="Verdict on a detection that lost: to which crater, at which overlap",
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_table(
        "run",
        sa.Column(
            "run_id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="surrogate key, the partition key of rows",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="name given by its maker"),
        sa.Column("body", sa.Text(), nullable=False, comment="the planet"),
        sa.Column("model_id", sa.Integer(), nullable=False, comment="the detector"),
        sa.Column("tile_px", sa.Integer(), nullable=False, comment="side of a tile, pixels"),
        sa.Column(
            "edge_margin_px",
            sa.REAL(),
            nullable=False,
            comment="a box this near to an inner tile edge is cut, pixels",
        ),
        sa.Column(
            "score_threshold", sa.REAL(), nullable=False, comment="lowest score that is stored"
        ),
        sa.Column(
            "iou_threshold",
            sa.Double(),
            nullable=False,
            comment="circles that overlap this much are one crater",
        ),
        sa.Column(
            "config",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the whole configuration",
        ),
        sa.Column(
            "config_sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="sha256 of the canonical JSON of config",
        ),
        sa.Column(
            "code_version", sa.Text(), nullable=False, comment="version of this project's code"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.CheckConstraint("edge_margin_px >= 0", name=op.f("run_edge_margin_px_check")),
        sa.CheckConstraint(
            "iou_threshold > 0 AND iou_threshold < 1", name=op.f("run_iou_threshold_check")
        ),
        sa.CheckConstraint(
            "octet_length(config_sha256) = 32", name=op.f("run_config_sha256_check")
        ),
        sa.CheckConstraint(
            "score_threshold >= 0 AND score_threshold < 1", name=op.f("run_score_threshold_check")
        ),
        sa.CheckConstraint("tile_px BETWEEN 32 AND 4096", name=op.f("run_tile_px_check")),
        sa.ForeignKeyConstraint(["body"], ["cda.body.name"], name=op.f("run_body_fkey")),
        sa.ForeignKeyConstraint(
            ["model_id"], ["cda.model.model_id"], name=op.f("run_model_id_fkey")
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("run_pkey")),
        sa.UniqueConstraint("name", name=op.f("run_name_key")),
        schema="cda",
        comment="A detector with its whole configuration over a growing set of scenes; immutable",
    )
    op.create_table(
        "scene",
        sa.Column(
            "scene_id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="surrogate key",
        ),
        sa.Column(
            "sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="identity: the file and how it is seen (view, shading)",
        ),
        sa.Column(
            "file_sha256", sa.LargeBinary(), nullable=False, comment="sha256 of the image file"
        ),
        sa.Column(
            "name", sa.Text(), nullable=False, comment="file stem, with the view's name for a view"
        ),
        sa.Column("path", sa.Text(), nullable=False, comment="absolute path at registration"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="size of the file, bytes"),
        sa.Column("body", sa.Text(), nullable=False, comment="the planet"),
        sa.Column(
            "srid",
            sa.Integer(),
            nullable=False,
            comment="SRID of the footprint: lon/lat of the body",
        ),
        sa.Column("driver", sa.Text(), nullable=False, comment="GDAL driver that reads the file"),
        sa.Column("dtype", sa.Text(), nullable=False, comment="sample type of the file"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="image, or elevation (shaded before the detector sees it)",
        ),
        sa.Column(
            "view",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="how part of a global raster is seen; null: as it is",
        ),
        sa.Column(
            "shading",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="illumination of an elevation model; null: none",
        ),
        sa.Column(
            "radiometry",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="stretch to 8 bits, the same for every tile",
        ),
        sa.Column("width", sa.Integer(), nullable=False, comment="pixels across, as seen"),
        sa.Column("height", sa.Integer(), nullable=False, comment="pixels down, as seen"),
        sa.Column(
            "a", sa.Double(), nullable=False, comment="map x = a col + b row + c (affine, as seen)"
        ),
        sa.Column("b", sa.Double(), nullable=False, comment="see a"),
        sa.Column("c", sa.Double(), nullable=False, comment="see a"),
        sa.Column("d", sa.Double(), nullable=False, comment="map y = d col + e row + f"),
        sa.Column("e", sa.Double(), nullable=False, comment="see d"),
        sa.Column("f", sa.Double(), nullable=False, comment="see d"),
        sa.Column(
            "projection",
            sa.Text(),
            nullable=False,
            comment="spherical map projection of the affine's map plane",
        ),
        sa.Column(
            "lon_0_deg", sa.Double(), nullable=False, comment="central meridian, degrees east"
        ),
        sa.Column(
            "lat_ts_deg",
            sa.Double(),
            nullable=False,
            comment="latitude of true scale; its sign names the pole for polar",
        ),
        sa.Column(
            "radius_m",
            sa.Double(),
            nullable=False,
            comment="radius of the sphere that the projection uses, metres",
        ),
        sa.Column("crs_wkt", sa.Text(), nullable=False, comment="CRS as seen, WKT"),
        sa.Column("source_crs_wkt", sa.Text(), nullable=False, comment="CRS as the file said, WKT"),
        sa.Column(
            "pixel_scale_m",
            sa.Double(),
            nullable=False,
            comment="ground metres a pixel at the scene's centre",
        ),
        sa.Column(
            "footprint",
            Geometry(
                geometry_type="MULTIPOLYGON",
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
            comment="outline of the imaged ground, lon/lat degrees",
        ),
        sa.Column(
            "coverage_order", sa.SmallInteger(), nullable=False, comment="HEALPix order of coverage"
        ),
        sa.Column(
            "coverage",
            postgresql.INT8MULTIRANGE(),
            nullable=False,
            comment="imaged ground: nested HEALPix cells of coverage_order",
        ),
        sa.Column(
            "label",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="product id, instrument, times and angles from the file's label",
        ),
        sa.Column(
            "registered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.CheckConstraint(
            "(kind = 'elevation') = (shading IS NOT NULL)", name=op.f("scene_shading_check")
        ),
        sa.CheckConstraint("kind IN ('image', 'elevation')", name=op.f("scene_kind_check")),
        sa.CheckConstraint(
            "projection IN ('lonlat', 'equirectangular', 'sinusoidal', 'polar_stereographic', 'mercator')",
            name=op.f("scene_projection_check"),
        ),
        sa.CheckConstraint("a * e - b * d <> 0", name=op.f("scene_affine_check")),
        sa.CheckConstraint(
            "abs(lat_ts_deg) <= 90 AND abs(lon_0_deg) <= 360", name=op.f("scene_frame_check")
        ),
        sa.CheckConstraint(
            "coverage_order BETWEEN 0 AND 14", name=op.f("scene_coverage_order_check")
        ),
        sa.CheckConstraint(
            "octet_length(sha256) = 32 AND octet_length(file_sha256) = 32",
            name=op.f("scene_sha256_check"),
        ),
        sa.CheckConstraint("radius_m > 0 AND pixel_scale_m > 0", name=op.f("scene_scale_check")),
        sa.CheckConstraint("st_srid(footprint) = srid", name=op.f("scene_footprint_check")),
        sa.CheckConstraint("width > 0 AND height > 0", name=op.f("scene_size_check")),
        sa.ForeignKeyConstraint(
            ["body", "srid"],
            ["cda.body.name", "cda.body.srid_lonlat"],
            name=op.f("scene_body_srid_fkey"),
        ),
        sa.PrimaryKeyConstraint("scene_id", name=op.f("scene_pkey")),
        sa.UniqueConstraint("name", name=op.f("scene_name_key")),
        sa.UniqueConstraint("sha256", name=op.f("scene_sha256_key")),
        schema="cda",
        comment="One raster file seen in one way; the picture itself stays where it is",
    )
    op.create_table(
        "catalogue",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column("n_craters", sa.BigInteger(), nullable=False, comment="kept"),
        sa.Column("n_suppressed", sa.BigInteger(), nullable=False, comment="suppressed"),
        sa.Column("n_cut", sa.BigInteger(), nullable=False, comment="cut"),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.Column(
            "rolled_up_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the density roll-up was made",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["cda.run.run_id"], name=op.f("catalogue_run_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("catalogue_pkey")),
        schema="cda",
        comment="State of a run's catalogue as of its last suppression",
    )
    op.create_table(
        "crater_count",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column("cell_order", sa.SmallInteger(), nullable=False, comment="HEALPix order"),
        sa.Column(
            "bin",
            sa.SmallInteger(),
            nullable=False,
            comment="k: diameters of [2^(k/2), 2^((k+1)/2)) km",
        ),
        sa.Column("cell", sa.Integer(), nullable=False, comment="nested HEALPix cell"),
        sa.Column(
            "n", sa.Integer(), nullable=False, comment="craters whose centre lies in the cell"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["cda.run.run_id"],
            name=op.f("crater_count_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "cell_order", "bin", "cell", name=op.f("crater_count_pkey")
        ),
        schema="cda",
        comment="Roll-up: craters a cell and root-2 diameter bin, at several orders",
    )
    op.create_table(
        "imaged_ground",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column("layer", sa.SmallInteger(), nullable=False, comment="see imaged_layer"),
        sa.Column(
            "cell_order", sa.SmallInteger(), nullable=False, comment="HEALPix order of ranges"
        ),
        sa.Column(
            "ranges",
            postgresql.INT8MULTIRANGE(),
            nullable=False,
            comment="imaged nested HEALPix cells, overlaps counted once",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["cda.run.run_id"],
            name=op.f("imaged_ground_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "layer", name=op.f("imaged_ground_pkey")),
        schema="cda",
        comment="Roll-up: the ground that a diameter bin could be seen on, by layer",
    )
    op.create_table(
        "imaged_layer",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column("bin", sa.SmallInteger(), nullable=False, comment="root-2 diameter bin"),
        sa.Column(
            "layer",
            sa.SmallInteger(),
            nullable=False,
            comment="bins that the same scenes can show share a layer",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["cda.run.run_id"],
            name=op.f("imaged_layer_run_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "bin", name=op.f("imaged_layer_pkey")),
        schema="cda",
        comment="Which imaged area belongs to a diameter bin",
    )
    op.create_table(
        "redecide",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column(
            "detection_id",
            sa.BigInteger(),
            nullable=False,
            comment="a detection whose rival went away",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["cda.run.run_id"], name=op.f("redecide_run_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "detection_id", name=op.f("redecide_pkey")),
        schema="cda",
        comment="Detections that suppression must decide again, because a batch was repeated",
    )
    op.create_table(
        "rest_pair",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column(
            "winner", sa.BigInteger(), nullable=False, comment="the detection of higher rank"
        ),
        sa.Column(
            "loser",
            sa.BigInteger(),
            nullable=False,
            comment="the detection of lower rank, a rest_row",
        ),
        sa.Column("iou", sa.REAL(), nullable=False, comment="overlap of the two circles"),
        sa.Column("score", sa.REAL(), nullable=False, comment="the winner's score"),
        sa.Column("radius_m", sa.Double(), nullable=False, comment="the winner's radius"),
        sa.Column(
            "place",
            sa.BigInteger(),
            nullable=False,
            comment="the winner's place in the order of content",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["cda.run.run_id"], name=op.f("rest_pair_run_id_fkey"), ondelete="CASCADE"
        ),
        schema="cda",
        comment="Scratch of suppression: rivals of the rows in rest_row",
    )
    op.create_table(
        "rest_row",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column(
            "detection_id",
            sa.BigInteger(),
            nullable=False,
            comment="a detection whose verdict hangs on another zone",
        ),
        sa.Column(
            "dropped",
            sa.Boolean(),
            nullable=False,
            comment="it lost already, but not yet known to which crater",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["cda.run.run_id"], name=op.f("rest_row_run_id_fkey"), ondelete="CASCADE"
        ),
        schema="cda",
        comment="Scratch of suppression: chains of overlaps that leave their zone",
    )
    op.create_table(
        "run_level",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column(
            "factor", sa.REAL(), nullable=False, comment="down-sampling factor; below 1 up-samples"
        ),
        sa.Column(
            "overlap_px",
            sa.Integer(),
            nullable=False,
            comment="overlap of neighbouring tiles, pixels of the level",
        ),
        sa.Column(
            "min_px",
            sa.REAL(),
            nullable=False,
            comment="smallest box accepted, pixels of the level",
        ),
        sa.Column(
            "max_px", sa.REAL(), nullable=False, comment="largest box accepted, pixels of the level"
        ),
        sa.CheckConstraint("factor > 0", name=op.f("run_level_factor_check")),
        sa.CheckConstraint("min_px > 0 AND max_px > min_px", name=op.f("run_level_window_check")),
        sa.CheckConstraint("overlap_px >= 0", name=op.f("run_level_overlap_px_check")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["cda.run.run_id"], name=op.f("run_level_run_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "factor", name=op.f("run_level_pkey")),
        schema="cda",
        comment="Levels of a run: every crater of the size window is whole in some tile of the level",
    )
    op.create_table(
        "run_scene",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column("scene_id", sa.Integer(), nullable=False, comment="the scene"),
        sa.Column(
            "added_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["cda.run.run_id"], name=op.f("run_scene_run_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["scene_id"], ["cda.scene.scene_id"], name=op.f("run_scene_scene_id_fkey")
        ),
        sa.PrimaryKeyConstraint("run_id", "scene_id", name=op.f("run_scene_pkey")),
        schema="cda",
        comment="Scenes of a run; scenes may be added, never taken away",
    )
    op.create_table(
        "batch",
        sa.Column(
            "batch_id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="surrogate key, the high bits of detection ids",
        ),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="the run"),
        sa.Column("scene_id", sa.Integer(), nullable=False, comment="the scene"),
        sa.Column("factor", sa.REAL(), nullable=False, comment="the level"),
        sa.Column("row_start", sa.Integer(), nullable=False, comment="first tile row"),
        sa.Column("row_stop", sa.Integer(), nullable=False, comment="one past the last tile row"),
        sa.Column(
            "state",
            sa.Text(),
            server_default="open",
            nullable=False,
            comment="open, claimed, done or failed",
        ),
        sa.Column(
            "attempt",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="how often it was claimed",
        ),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="a claim is good until then",
        ),
        sa.Column(
            "decided",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="suppression has seen its detections",
        ),
        sa.Column("n_tiles", sa.Integer(), nullable=True, comment="tiles that the detector saw"),
        sa.Column(
            "n_empty", sa.Integer(), nullable=True, comment="tiles without a valid pixel, skipped"
        ),
        sa.Column("n_detections", sa.Integer(), nullable=True, comment="rows stored"),
        sa.Column(
            "n_cut", sa.Integer(), nullable=True, comment="of these, cut by an inner tile edge"
        ),
        sa.Column(
            "n_outside",
            sa.Integer(),
            nullable=True,
            comment="boxes outside the size window, dropped",
        ),
        sa.Column("west", sa.Double(), nullable=True, comment="least longitude of its detections"),
        sa.Column(
            "east", sa.Double(), nullable=True, comment="greatest longitude of its detections"
        ),
        sa.Column("south", sa.Double(), nullable=True, comment="least latitude of its detections"),
        sa.Column(
            "north", sa.Double(), nullable=True, comment="greatest latitude of its detections"
        ),
        sa.Column(
            "max_diameter_m",
            sa.REAL(),
            nullable=True,
            comment="greatest diameter of its detections",
        ),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when its rows were committed",
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="why it failed"),
        sa.CheckConstraint(
            "(state = 'claimed') = (lease_until IS NOT NULL)", name=op.f("batch_lease_check")
        ),
        sa.CheckConstraint(
            "(state = 'done') = (n_detections IS NOT NULL)", name=op.f("batch_counts_check")
        ),
        sa.CheckConstraint("state <> 'open' OR error IS NULL", name=op.f("batch_error_check")),
        sa.CheckConstraint("state = 'done' OR NOT decided", name=op.f("batch_decided_check")),
        sa.CheckConstraint(
            "state IN ('open', 'claimed', 'done', 'failed')", name=op.f("batch_state_check")
        ),
        sa.CheckConstraint(
            "row_start >= 0 AND row_stop > row_start", name=op.f("batch_rows_check")
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "factor"],
            ["cda.run_level.run_id", "cda.run_level.factor"],
            name=op.f("batch_run_id_factor_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "scene_id"],
            ["cda.run_scene.run_id", "cda.run_scene.scene_id"],
            name=op.f("batch_run_id_scene_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("batch_pkey")),
        sa.UniqueConstraint(
            "run_id",
            "scene_id",
            "factor",
            "row_start",
            name=op.f("batch_run_id_scene_id_factor_row_start_key"),
        ),
        schema="cda",
        comment="Scene x level, or a range of its tile rows: claimed, repeated and committed as one",
    )
    op.create_index(
        op.f("batch_run_id_state_batch_id_idx"),
        "batch",
        ["run_id", "state", "batch_id"],
        unique=False,
        schema="cda",
    )
    op.create_table(
        "attempt",
        sa.Column("batch_id", sa.BigInteger(), nullable=False, comment="the batch"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="1 for the first claim"),
        sa.Column("host", sa.Text(), nullable=False, comment="machine of the worker"),
        sa.Column("pid", sa.Integer(), nullable=False, comment="process of the worker"),
        sa.Column("job_id", sa.Text(), nullable=True, comment="cluster job, if any"),
        sa.Column(
            "threads", sa.Integer(), nullable=False, comment="threads of the detector, fixed"
        ),
        sa.Column(
            "precision", sa.Text(), nullable=False, comment="arithmetic of the detector, fixed"
        ),
        sa.Column(
            "code_version", sa.Text(), nullable=False, comment="version of the worker's code"
        ),
        sa.Column(
            "claimed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="when",
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it finished or failed",
        ),
        sa.Column(
            "outcome", sa.Text(), nullable=True, comment="done, failed; null: running or lost"
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="why it failed"),
        sa.CheckConstraint("outcome IN ('done', 'failed')", name=op.f("attempt_outcome_check")),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["cda.batch.batch_id"],
            name=op.f("attempt_batch_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch_id", "attempt", name=op.f("attempt_pkey")),
        schema="cda",
        comment="Every claim of a batch: who worked on it, and how it ended",
    )
    op.bulk_insert(
        sa.table("body", *(sa.column(name) for name in _BODY_COLUMNS), schema="cda"),
        [
            {
                "name": "mercury",
                "naif_id": 199,
                "radius_m": 2440530.0,
                "srid_lonlat": 19900,
                "srid_equirectangular": 19910,
                "srid_sinusoidal": 19920,
                "srid_north_polar": 19930,
                "srid_south_polar": 19935,
            },
            {
                "name": "earth",
                "naif_id": 399,
                "radius_m": 6378136.6,
                "srid_lonlat": 39900,
                "srid_equirectangular": 39910,
                "srid_sinusoidal": 39920,
                "srid_north_polar": 39930,
                "srid_south_polar": 39935,
            },
            {
                "name": "moon",
                "naif_id": 301,
                "radius_m": 1737400.0,
                "srid_lonlat": 30100,
                "srid_equirectangular": 30110,
                "srid_sinusoidal": 30120,
                "srid_north_polar": 30130,
                "srid_south_polar": 30135,
            },
            {
                "name": "mars",
                "naif_id": 499,
                "radius_m": 3396190.0,
                "srid_lonlat": 49900,
                "srid_equirectangular": 49910,
                "srid_sinusoidal": 49920,
                "srid_north_polar": 49930,
                "srid_south_polar": 49935,
            },
            {
                "name": "ceres",
                "naif_id": 2000001,
                "radius_m": 487300.0,
                "srid_lonlat": 990100,
                "srid_equirectangular": 990110,
                "srid_sinusoidal": 990120,
                "srid_north_polar": 990130,
                "srid_south_polar": 990135,
            },
            {
                "name": "vesta",
                "naif_id": 2000004,
                "radius_m": 255000.0,
                "srid_lonlat": 990400,
                "srid_equirectangular": 990410,
                "srid_sinusoidal": 990420,
                "srid_north_polar": 990430,
                "srid_south_polar": 990435,
            },
        ],
    )


_BODY_COLUMNS = (
    "name",
    "naif_id",
    "radius_m",
    "srid_lonlat",
    "srid_equirectangular",
    "srid_sinusoidal",
    "srid_north_polar",
    "srid_south_polar",
)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("attempt", schema="cda")
    op.drop_table("batch", schema="cda")
    op.drop_table("run_scene", schema="cda")
    op.drop_table("run_level", schema="cda")
    op.drop_table("rest_row", schema="cda")
    op.drop_table("rest_pair", schema="cda")
    op.drop_table("redecide", schema="cda")
    op.drop_table("imaged_layer", schema="cda")
    op.drop_table("imaged_ground", schema="cda")
    op.drop_table("crater_count", schema="cda")
    op.drop_table("catalogue", schema="cda")
    op.drop_table("scene", schema="cda")
    op.drop_table("run", schema="cda")
    op.drop_table("suppression", schema="cda")
    op.drop_table("staging_15", schema="cda")
    op.drop_table("staging_14", schema="cda")
    op.drop_table("staging_13", schema="cda")
    op.drop_table("staging_12", schema="cda")
    op.drop_table("staging_11", schema="cda")
    op.drop_table("staging_10", schema="cda")
    op.drop_table("staging_09", schema="cda")
    op.drop_table("staging_08", schema="cda")
    op.drop_table("staging_07", schema="cda")
    op.drop_table("staging_06", schema="cda")
    op.drop_table("staging_05", schema="cda")
    op.drop_table("staging_04", schema="cda")
    op.drop_table("staging_03", schema="cda")
    op.drop_table("staging_02", schema="cda")
    op.drop_table("staging_01", schema="cda")
    op.drop_table("staging_00", schema="cda")
    op.drop_table("sql_file", schema="cda")
    op.drop_table("model", schema="cda")
    op.drop_table("detection", schema="cda")
    op.drop_table("crater", schema="cda")
    op.drop_table("body", schema="cda")
