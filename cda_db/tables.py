"""Bodies, scenes, models, runs and batches as SQLAlchemy metadata; migrations/ holds them frozen.

``cda_db.row_tables`` holds the tables of detections, craters and roll-ups.
"""

from __future__ import annotations

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, INT8MULTIRANGE, JSONB, REAL

from cda_db.schema import col, metadata, now

body = Table(
    "body",
    metadata,
    col("name", Text, "lower-case name, the key", primary_key=True),
    col("naif_id", Integer, "NAIF integer of the body", unique=True),
    col("radius_m", Double, "radius of the IAU_2015 sphere, metres"),
    col("srid_lonlat", Integer, "SRID of longitude/latitude, degrees", unique=True),
    col("srid_equirectangular", Integer, "SRID of the equirectangular frame, clon 0"),
    col("srid_sinusoidal", Integer, "SRID of the sinusoidal frame, clon 0"),
    col("srid_north_polar", Integer, "SRID of the north polar stereographic frame"),
    col("srid_south_polar", Integer, "SRID of the south polar stereographic frame"),
    UniqueConstraint("name", "srid_lonlat"),
    CheckConstraint("radius_m > 0", name="radius"),
    comment="Planetary bodies: a sphere and the SRIDs of its frames; nothing ever guesses a body",
)

scene = Table(
    "scene",
    metadata,
    col("scene_id", Integer, "surrogate key", Identity(always=True), primary_key=True),
    col("sha256", LargeBinary, "identity: the file and how it is seen (view, shading)"),
    col("file_sha256", LargeBinary, "sha256 of the image file"),
    col("name", Text, "file stem, with the view's name for a view", unique=True),
    col("path", Text, "absolute path at registration"),
    col("size_bytes", BigInteger, "size of the file, bytes"),
    col("body", Text, "the planet"),
    col("srid", Integer, "SRID of the footprint: lon/lat of the body"),
    col("driver", Text, "GDAL driver that reads the file"),
    col("dtype", Text, "sample type of the file"),
    col("kind", Text, "image, or elevation (shaded before the detector sees it)"),
    col("view", JSONB, "how part of a global raster is seen; null: as it is", nullable=True),
    col("shading", JSONB, "illumination of an elevation model; null: none", nullable=True),
    col("radiometry", JSONB, "stretch to 8 bits, the same for every tile"),
    col("width", Integer, "pixels across, as seen"),
    col("height", Integer, "pixels down, as seen"),
    col("a", Double, "map x = a col + b row + c (affine, as seen)"),
    col("b", Double, "see a"),
    col("c", Double, "see a"),
    col("d", Double, "map y = d col + e row + f"),
    col("e", Double, "see d"),
    col("f", Double, "see d"),
    col("projection", Text, "spherical map projection of the affine's map plane"),
    col("lon_0_deg", Double, "central meridian, degrees east"),
    col("lat_ts_deg", Double, "latitude of true scale; its sign names the pole for polar"),
    col("radius_m", Double, "radius of the sphere that the projection uses, metres"),
    col("crs_wkt", Text, "CRS as seen, WKT"),
    col("source_crs_wkt", Text, "CRS as the file said, WKT"),
    col("pixel_scale_m", Double, "ground metres a pixel at the scene's centre"),
    col(
        "footprint",
        Geometry("MULTIPOLYGON", srid=-1, spatial_index=False),
        "outline of the imaged ground, lon/lat degrees",
    ),
    col("coverage_order", SmallInteger, "HEALPix order of the cells in scene_coverage"),
    col("label", JSONB, "product id, instrument, times and angles from the file's label"),
    col("registered_at", DateTime(timezone=True), "when", server_default=now),
    UniqueConstraint("sha256"),
    ForeignKeyConstraint(["body", "srid"], ["cda.body.name", "cda.body.srid_lonlat"]),
    CheckConstraint("octet_length(sha256) = 32 AND octet_length(file_sha256) = 32", name="sha256"),
    CheckConstraint("kind IN ('image', 'elevation')", name="kind"),
    CheckConstraint("(kind = 'elevation') = (shading IS NOT NULL)", name="shading"),
    CheckConstraint("width > 0 AND height > 0", name="size"),
    CheckConstraint("a * e - b * d <> 0", name="affine"),
    CheckConstraint(
        "projection IN ('lonlat', 'equirectangular', 'sinusoidal', 'polar_stereographic',"
        " 'mercator')",
        name="projection",
    ),
    CheckConstraint("abs(lat_ts_deg) <= 90 AND abs(lon_0_deg) <= 360", name="frame"),
    CheckConstraint("radius_m > 0 AND pixel_scale_m > 0", name="scale"),
    CheckConstraint("st_srid(footprint) = srid", name="footprint"),
    CheckConstraint("coverage_order BETWEEN 0 AND 26", name="coverage_order"),
    comment="One raster file seen in one way; the picture itself stays where it is",
)

scene_coverage = Table(
    "scene_coverage",
    metadata,
    col("scene_id", Integer, "the scene", ForeignKey("cda.scene.scene_id", ondelete="CASCADE")),
    col("factor", REAL, "from this level on, to the next row's: what its pixels can show"),
    col("ranges", INT8MULTIRANGE, "cells that are imaged whole, nested, of coverage_order"),
    col("border_cells", ARRAY(BigInteger), "cells that are imaged in part, ascending"),
    col("border_masks", ARRAY(BigInteger), "bit i: sub-cell i (three orders finer) is imaged"),
    PrimaryKeyConstraint("scene_id", "factor"),
    CheckConstraint("factor >= 1", name="factor"),
    CheckConstraint("cardinality(border_cells) = cardinality(border_masks)", name="border"),
    comment="Imaged ground of a scene: HEALPix cells, at the border in 64ths",
)

model = Table(
    "model",
    metadata,
    col("model_id", Integer, "surrogate key", Identity(always=True), primary_key=True),
    col("name", Text, "name of the model"),
    col("sha256", LargeBinary, "sha256 of the weights that run", unique=True),
    col("architecture", Text, "network family and size"),
    col("diameter_factor", Double, "rim diameter / box size, fitted on training data"),
    col("card", JSONB, "model card: data, recipe, seed, figures"),
    col("registered_at", DateTime(timezone=True), "when", server_default=now),
    CheckConstraint("octet_length(sha256) = 32", name="sha256"),
    CheckConstraint("diameter_factor BETWEEN 0.5 AND 2", name="diameter_factor"),
    comment="Detector weights that may run, known by their hash",
)

run = Table(
    "run",
    metadata,
    col(
        "run_id",
        Integer,
        "surrogate key, the partition key of rows",
        Identity(always=True),
        primary_key=True,
    ),
    col("name", Text, "name given by its maker", unique=True),
    col("body", Text, "the planet", ForeignKey("cda.body.name")),
    col("model_id", Integer, "the detector", ForeignKey("cda.model.model_id")),
    col("tile_px", Integer, "side of a tile, pixels"),
    col("edge_margin_px", REAL, "a box this near to an inner tile edge is cut, pixels"),
    col("score_threshold", REAL, "lowest score that is stored"),
    col("iou_threshold", Double, "circles that overlap this much are one crater"),
    col("config", JSONB, "the whole configuration"),
    col("config_sha256", LargeBinary, "sha256 of the canonical JSON of config"),
    col("code_version", Text, "version of this project's code"),
    col("created_at", DateTime(timezone=True), "when", server_default=now),
    CheckConstraint("tile_px BETWEEN 32 AND 4096", name="tile_px"),
    CheckConstraint("edge_margin_px >= 0", name="edge_margin_px"),
    CheckConstraint("score_threshold >= 0 AND score_threshold < 1", name="score_threshold"),
    CheckConstraint("iou_threshold > 0 AND iou_threshold < 1", name="iou_threshold"),
    CheckConstraint("octet_length(config_sha256) = 32", name="config_sha256"),
    comment="A detector with its whole configuration over a growing set of scenes; immutable",
)

run_level = Table(
    "run_level",
    metadata,
    col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    col("factor", REAL, "down-sampling factor; below 1 up-samples"),
    col("overlap_px", Integer, "overlap of neighbouring tiles, pixels of the level"),
    col("min_px", REAL, "smallest box accepted, pixels of the level"),
    col("max_px", REAL, "largest box accepted, pixels of the level"),
    PrimaryKeyConstraint("run_id", "factor"),
    CheckConstraint("factor > 0", name="factor"),
    CheckConstraint("overlap_px >= 0", name="overlap_px"),
    CheckConstraint("min_px > 0 AND max_px > min_px", name="window"),
    comment="Levels of a run: every crater of the size window is whole in some tile of the level",
)

run_scene = Table(
    "run_scene",
    metadata,
    col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    col("scene_id", Integer, "the scene", ForeignKey("cda.scene.scene_id")),
    col("added_at", DateTime(timezone=True), "when", server_default=now),
    PrimaryKeyConstraint("run_id", "scene_id"),
    comment="Scenes of a run; scenes may be added, never taken away",
)

run_neighbour = Table(
    "run_neighbour",
    metadata,
    col("run_id", Integer, "the run"),
    col("scene_id", Integer, "the scene whose margin is filled"),
    col("neighbour_id", Integer, "the scene that fills it"),
    col("x_px", Integer, "the neighbour's left edge in the scene's pixels"),
    col("y_px", Integer, "its top edge"),
    PrimaryKeyConstraint("run_id", "scene_id", "neighbour_id"),
    ForeignKeyConstraint(
        ["run_id", "scene_id"],
        ["cda.run_scene.run_id", "cda.run_scene.scene_id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["run_id", "neighbour_id"],
        ["cda.run_scene.run_id", "cda.run_scene.scene_id"],
        ondelete="CASCADE",
    ),
    comment="Scenes of one pixel grid that fill each other's margins, in runs with neighbours",
)

BATCH_STATES = ("open", "claimed", "done", "failed")

batch = Table(
    "batch",
    metadata,
    col(
        "batch_id",
        BigInteger,
        "surrogate key, the high bits of detection ids",
        Identity(always=True),
        primary_key=True,
    ),
    col("run_id", Integer, "the run"),
    col("scene_id", Integer, "the scene"),
    col("factor", REAL, "the level"),
    col("row_start", Integer, "first tile row"),
    col("row_stop", Integer, "one past the last tile row"),
    col("state", Text, "open, claimed, done or failed", server_default="open"),
    col("attempt", Integer, "how often it was claimed", server_default="0"),
    col("lease_until", DateTime(timezone=True), "a claim is good until then", nullable=True),
    col("decided", Boolean, "suppression has seen its detections", server_default="false"),
    col("n_tiles", Integer, "tiles that the detector saw", nullable=True),
    col("n_empty", Integer, "tiles without a valid pixel, skipped", nullable=True),
    col("n_detections", Integer, "rows stored", nullable=True),
    col("n_cut", Integer, "of these, cut by an inner tile edge", nullable=True),
    col("n_outside", Integer, "boxes outside the size window, dropped", nullable=True),
    col("west", Double, "least longitude of its detections", nullable=True),
    col("east", Double, "greatest longitude of its detections", nullable=True),
    col("south", Double, "least latitude of its detections", nullable=True),
    col("north", Double, "greatest latitude of its detections", nullable=True),
    col("max_diameter_m", REAL, "greatest diameter of its detections", nullable=True),
    col("finished_at", DateTime(timezone=True), "when its rows were committed", nullable=True),
    col("error", Text, "why it failed", nullable=True),
    ForeignKeyConstraint(
        ["run_id", "scene_id"], ["cda.run_scene.run_id", "cda.run_scene.scene_id"]
    ),
    ForeignKeyConstraint(["run_id", "factor"], ["cda.run_level.run_id", "cda.run_level.factor"]),
    UniqueConstraint("run_id", "scene_id", "factor", "row_start"),
    Index(None, "run_id", "state", "batch_id"),
    CheckConstraint("state IN ('open', 'claimed', 'done', 'failed')", name="state"),
    CheckConstraint("row_start >= 0 AND row_stop > row_start", name="rows"),
    CheckConstraint("(state = 'claimed') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint("(state = 'done') = (n_detections IS NOT NULL)", name="counts"),
    CheckConstraint("state <> 'open' OR error IS NULL", name="error"),
    CheckConstraint("state = 'done' OR NOT decided", name="decided"),
    comment="Scene x level, or a range of its tile rows: claimed, repeated and committed as one",
)

attempt = Table(
    "attempt",
    metadata,
    col("batch_id", BigInteger, "the batch", ForeignKey("cda.batch.batch_id", ondelete="CASCADE")),
    col("attempt", Integer, "1 for the first claim"),
    col("host", Text, "machine of the worker"),
    col("pid", Integer, "process of the worker"),
    col("job_id", Text, "cluster job, if any", nullable=True),
    col("threads", Integer, "threads of the detector, fixed"),
    col("precision", Text, "arithmetic of the detector, fixed"),
    col("code_version", Text, "version of the worker's code"),
    col("claimed_at", DateTime(timezone=True), "when", server_default=now),
    col("ended_at", DateTime(timezone=True), "when it finished or failed", nullable=True),
    col("outcome", Text, "done, failed; null: running or lost", nullable=True),
    col("error", Text, "why it failed", nullable=True),
    PrimaryKeyConstraint("batch_id", "attempt"),
    CheckConstraint("outcome IN ('done', 'failed')", name="outcome"),
    comment="Every claim of a batch: who worked on it, and how it ended",
)

sql_file = Table(
    "sql_file",
    metadata,
    col("name", Text, "file in cda_db/sql", primary_key=True),
    col("sha256", LargeBinary, "content that was applied"),
    col("applied_at", DateTime(timezone=True), "when", server_default=now),
    comment="Which text of each SQL file this database holds",
)
