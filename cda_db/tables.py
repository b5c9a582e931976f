"""The tables of schema ``cda`` as SQLAlchemy metadata; migrations/ holds them frozen.

Row tables (``detection``, ``crater``, ``suppression``) are partitioned by run and carry no row
foreign keys: a bare COPY runs 5-8 times faster without them. What keeps them honest instead: the
commit of a batch locks the batch's row and derives ids from it, unique indexes are built when a
load phase ends, and ``cda db check`` counts orphans and duplicates.
"""

from __future__ import annotations

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB, REAL

SCHEMA = "cda"
N_STAGING_SLOTS = 16
# A detection's id is its batch's id shifted by this many bits, plus its place in the batch.
ORDINAL_BITS = 22

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

_now = func.clock_timestamp()


def _col(name: str, kind: object, comment: str, *args: object, **kw: object) -> Column:  # type: ignore[type-arg]
    """A NOT NULL column with a comment unless told otherwise."""
    kw.setdefault("nullable", False)
    return Column(name, kind, *args, comment=comment, **kw)  # type: ignore[arg-type]


body = Table(
    "body",
    metadata,
    _col("name", Text, "lower-case name, the key", primary_key=True),
    _col("naif_id", Integer, "NAIF integer of the body", unique=True),
    _col("radius_m", Double, "radius of the IAU_2015 sphere, metres"),
    _col("srid_lonlat", Integer, "SRID of longitude/latitude, degrees", unique=True),
    _col("srid_equirectangular", Integer, "SRID of the equirectangular frame, clon 0"),
    _col("srid_sinusoidal", Integer, "SRID of the sinusoidal frame, clon 0"),
    _col("srid_north_polar", Integer, "SRID of the north polar stereographic frame"),
    _col("srid_south_polar", Integer, "SRID of the south polar stereographic frame"),
    UniqueConstraint("name", "srid_lonlat"),
    CheckConstraint("radius_m > 0", name="radius"),
    comment="Planetary bodies: a sphere and the SRIDs of its frames; nothing ever guesses a body",
)

scene = Table(
    "scene",
    metadata,
    _col("scene_id", Integer, "surrogate key", Identity(always=True), primary_key=True),
    _col("sha256", LargeBinary, "identity: the file and how it is seen (view, shading)"),
    _col("file_sha256", LargeBinary, "sha256 of the image file"),
    _col("name", Text, "file stem, with the view's name for a view", unique=True),
    _col("path", Text, "absolute path at registration"),
    _col("size_bytes", BigInteger, "size of the file, bytes"),
    _col("body", Text, "the planet"),
    _col("srid", Integer, "SRID of the footprint: lon/lat of the body"),
    _col("driver", Text, "GDAL driver that reads the file"),
    _col("dtype", Text, "sample type of the file"),
    _col("kind", Text, "image, or elevation (shaded before the detector sees it)"),
    _col("view", JSONB, "how part of a global raster is seen; null: as it is", nullable=True),
    _col("shading", JSONB, "illumination of an elevation model; null: none", nullable=True),
    _col("radiometry", JSONB, "stretch to 8 bits, the same for every tile"),
    _col("width", Integer, "pixels across, as seen"),
    _col("height", Integer, "pixels down, as seen"),
    _col("a", Double, "map x = a col + b row + c (affine, as seen)"),
    _col("b", Double, "see a"),
    _col("c", Double, "see a"),
    _col("d", Double, "map y = d col + e row + f"),
    _col("e", Double, "see d"),
    _col("f", Double, "see d"),
    _col("projection", Text, "spherical map projection of the affine's map plane"),
    _col("lon_0_deg", Double, "central meridian, degrees east"),
    _col("lat_ts_deg", Double, "latitude of true scale; its sign names the pole for polar"),
    _col("radius_m", Double, "radius of the sphere that the projection uses, metres"),
    _col("crs_wkt", Text, "CRS as seen, WKT"),
    _col("source_crs_wkt", Text, "CRS as the file said, WKT"),
    _col("pixel_scale_m", Double, "ground metres a pixel at the scene's centre"),
    _col(
        "footprint",
        Geometry("MULTIPOLYGON", srid=-1, spatial_index=False),
        "outline of the imaged ground, lon/lat degrees",
    ),
    _col("coverage_order", SmallInteger, "HEALPix order of coverage"),
    _col("coverage", INT8MULTIRANGE, "imaged ground: nested HEALPix cells of coverage_order"),
    _col("label", JSONB, "product id, instrument, times and angles from the file's label"),
    _col("registered_at", DateTime(timezone=True), "when", server_default=_now),
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
    CheckConstraint("coverage_order BETWEEN 0 AND 14", name="coverage_order"),
    comment="One raster file seen in one way; the picture itself stays where it is",
)

model = Table(
    "model",
    metadata,
    _col("model_id", Integer, "surrogate key", Identity(always=True), primary_key=True),
    _col("name", Text, "name of the model"),
    _col("sha256", LargeBinary, "sha256 of the weights that run", unique=True),
    _col("architecture", Text, "network family and size"),
    _col("diameter_factor", Double, "rim diameter / box size, fitted on training data"),
    _col("card", JSONB, "model card: data, recipe, seed, figures"),
    _col("registered_at", DateTime(timezone=True), "when", server_default=_now),
    CheckConstraint("octet_length(sha256) = 32", name="sha256"),
    CheckConstraint("diameter_factor BETWEEN 0.5 AND 2", name="diameter_factor"),
    comment="Detector weights that may run, known by their hash",
)

run = Table(
    "run",
    metadata,
    _col(
        "run_id",
        Integer,
        "surrogate key, the partition key of rows",
        Identity(always=True),
        primary_key=True,
    ),
    _col("name", Text, "name given by its maker", unique=True),
    _col("body", Text, "the planet", ForeignKey("cda.body.name")),
    _col("model_id", Integer, "the detector", ForeignKey("cda.model.model_id")),
    _col("tile_px", Integer, "side of a tile, pixels"),
    _col("edge_margin_px", REAL, "a box this near to an inner tile edge is cut, pixels"),
    _col("score_threshold", REAL, "lowest score that is stored"),
    _col("iou_threshold", Double, "circles that overlap this much are one crater"),
    _col("config", JSONB, "the whole configuration"),
    _col("config_sha256", LargeBinary, "sha256 of the canonical JSON of config"),
    _col("code_version", Text, "version of this project's code"),
    _col("created_at", DateTime(timezone=True), "when", server_default=_now),
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
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("factor", REAL, "down-sampling factor; below 1 up-samples"),
    _col("overlap_px", Integer, "overlap of neighbouring tiles, pixels of the level"),
    _col("min_px", REAL, "smallest box accepted, pixels of the level"),
    _col("max_px", REAL, "largest box accepted, pixels of the level"),
    PrimaryKeyConstraint("run_id", "factor"),
    CheckConstraint("factor > 0", name="factor"),
    CheckConstraint("overlap_px >= 0", name="overlap_px"),
    CheckConstraint("min_px > 0 AND max_px > min_px", name="window"),
    comment="Levels of a run: every crater of the size window is whole in some tile of the level",
)

run_scene = Table(
    "run_scene",
    metadata,
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("scene_id", Integer, "the scene", ForeignKey("cda.scene.scene_id")),
    _col("added_at", DateTime(timezone=True), "when", server_default=_now),
    PrimaryKeyConstraint("run_id", "scene_id"),
    comment="Scenes of a run; scenes may be added, never taken away",
)

BATCH_STATES = ("open", "claimed", "done", "failed")

batch = Table(
    "batch",
    metadata,
    _col(
        "batch_id",
        BigInteger,
        "surrogate key, the high bits of detection ids",
        Identity(always=True),
        primary_key=True,
    ),
    _col("run_id", Integer, "the run"),
    _col("scene_id", Integer, "the scene"),
    _col("factor", REAL, "the level"),
    _col("row_start", Integer, "first tile row"),
    _col("row_stop", Integer, "one past the last tile row"),
    _col("state", Text, "open, claimed, done or failed", server_default="open"),
    _col("attempt", Integer, "how often it was claimed", server_default="0"),
    _col("lease_until", DateTime(timezone=True), "a claim is good until then", nullable=True),
    _col("decided", Boolean, "suppression has seen its detections", server_default="false"),
    _col("n_tiles", Integer, "tiles that the detector saw", nullable=True),
    _col("n_empty", Integer, "tiles without a valid pixel, skipped", nullable=True),
    _col("n_detections", Integer, "rows stored", nullable=True),
    _col("n_cut", Integer, "of these, cut by an inner tile edge", nullable=True),
    _col("n_outside", Integer, "boxes outside the size window, dropped", nullable=True),
    _col("west", Double, "least longitude of its detections", nullable=True),
    _col("east", Double, "greatest longitude of its detections", nullable=True),
    _col("south", Double, "least latitude of its detections", nullable=True),
    _col("north", Double, "greatest latitude of its detections", nullable=True),
    _col("max_diameter_m", REAL, "greatest diameter of its detections", nullable=True),
    _col("finished_at", DateTime(timezone=True), "when its rows were committed", nullable=True),
    _col("error", Text, "why it failed", nullable=True),
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
    _col("batch_id", BigInteger, "the batch", ForeignKey("cda.batch.batch_id", ondelete="CASCADE")),
    _col("attempt", Integer, "1 for the first claim"),
    _col("host", Text, "machine of the worker"),
    _col("pid", Integer, "process of the worker"),
    _col("job_id", Text, "cluster job, if any", nullable=True),
    _col("threads", Integer, "threads of the detector, fixed"),
    _col("precision", Text, "arithmetic of the detector, fixed"),
    _col("code_version", Text, "version of the worker's code"),
    _col("claimed_at", DateTime(timezone=True), "when", server_default=_now),
    _col("ended_at", DateTime(timezone=True), "when it finished or failed", nullable=True),
    _col("outcome", Text, "done, failed; null: running or lost", nullable=True),
    _col("error", Text, "why it failed", nullable=True),
    PrimaryKeyConstraint("batch_id", "attempt"),
    CheckConstraint("outcome IN ('done', 'failed')", name="outcome"),
    comment="Every claim of a batch: who worked on it, and how it ended",
)

detection = Table(
    "detection",
    metadata,
    _col("run_id", Integer, "the run, the partition key"),
    _col("tile_row", SmallInteger, "row of the tile in its level"),
    _col("tile_col", SmallInteger, "column of the tile in its level"),
    _col("detection_id", BigInteger, "batch_id << 22 | place in the batch by content"),
    _col("lon", Double, "centre, degrees east, [-180, 180)"),
    _col("lat", Double, "centre, planetocentric degrees"),
    _col("diameter_m", REAL, "true diameter: sqrt(w h) of the box on the ground x model factor"),
    _col("score", REAL, "detector's score"),
    _col("x0", REAL, "left of the raw box, pixels of its tile"),
    _col("y0", REAL, "top"),
    _col("x1", REAL, "right"),
    _col("y1", REAL, "bottom"),
    _col("cut", Boolean, "touches an inner tile edge: takes no part"),
    _col("data_edge", Boolean, "touches the scene's edge or nodata: may be incomplete"),
    comment="Raw boxes as the detector gave them, put on the sphere",
    postgresql_partition_by="LIST (run_id)",
)

suppression = Table(
    "suppression",
    metadata,
    _col("run_id", Integer, "the run, the partition key"),
    _col("iou", REAL, "overlap of the two circles"),
    _col("detection_id", BigInteger, "the detection that went"),
    _col("crater_id", BigInteger, "its highest-ranked kept rival"),
    comment="Verdict on a detection that lost: to which crater, at which overlap",
    postgresql_partition_by="LIST (run_id)",
)

crater = Table(
    "crater",
    metadata,
    _col("run_id", Integer, "the run, the partition key"),
    _col("cell", Integer, "nested HEALPix cell of order 13"),
    _col("crater_id", BigInteger, "detection_id of the detection that was kept"),
    _col("lon", Double, "centre, degrees east, [-180, 180)"),
    _col("lat", Double, "centre, planetocentric degrees"),
    _col("diameter_m", REAL, "true diameter, metres"),
    _col("score", REAL, "detector's score"),
    comment="The catalogue: detections that suppression kept, one a crater",
    postgresql_partition_by="LIST (run_id)",
)

redecide = Table(
    "redecide",
    metadata,
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("detection_id", BigInteger, "a detection whose rival went away"),
    PrimaryKeyConstraint("run_id", "detection_id"),
    comment="Detections that suppression must decide again, because a batch was repeated",
)

rest_row = Table(
    "rest_row",
    metadata,
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("detection_id", BigInteger, "a detection whose verdict hangs on another zone"),
    _col("dropped", Boolean, "it lost already, but not yet known to which crater"),
    comment="Scratch of suppression: chains of overlaps that leave their zone",
)

rest_pair = Table(
    "rest_pair",
    metadata,
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("winner", BigInteger, "the detection of higher rank"),
    _col("loser", BigInteger, "the detection of lower rank, a rest_row"),
    _col("iou", REAL, "overlap of the two circles"),
    _col("score", REAL, "the winner's score"),
    _col("radius_m", Double, "the winner's radius"),
    _col("place", BigInteger, "the winner's place in the order of content"),
    comment="Scratch of suppression: rivals of the rows in rest_row",
)

catalogue = Table(
    "catalogue",
    metadata,
    _col(
        "run_id",
        Integer,
        "the run",
        ForeignKey("cda.run.run_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _col("n_craters", BigInteger, "kept"),
    _col("n_suppressed", BigInteger, "suppressed"),
    _col("n_cut", BigInteger, "cut"),
    _col("decided_at", DateTime(timezone=True), "when", server_default=_now),
    _col(
        "rolled_up_at", DateTime(timezone=True), "when the density roll-up was made", nullable=True
    ),
    comment="State of a run's catalogue as of its last suppression",
)

crater_count = Table(
    "crater_count",
    metadata,
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("cell_order", SmallInteger, "HEALPix order"),
    _col("bin", SmallInteger, "k: diameters of [2^(k/2), 2^((k+1)/2)) km"),
    _col("cell", Integer, "nested HEALPix cell"),
    _col("n", Integer, "craters whose centre lies in the cell"),
    PrimaryKeyConstraint("run_id", "cell_order", "bin", "cell"),
    comment="Roll-up: craters a cell and root-2 diameter bin, at several orders",
)

imaged_layer = Table(
    "imaged_layer",
    metadata,
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("bin", SmallInteger, "root-2 diameter bin"),
    _col("layer", SmallInteger, "bins that the same scenes can show share a layer"),
    PrimaryKeyConstraint("run_id", "bin"),
    comment="Which imaged area belongs to a diameter bin",
)

imaged_ground = Table(
    "imaged_ground",
    metadata,
    _col("run_id", Integer, "the run", ForeignKey("cda.run.run_id", ondelete="CASCADE")),
    _col("layer", SmallInteger, "see imaged_layer"),
    _col("cell_order", SmallInteger, "HEALPix order of ranges"),
    _col("ranges", INT8MULTIRANGE, "imaged nested HEALPix cells, overlaps counted once"),
    PrimaryKeyConstraint("run_id", "layer"),
    comment="Roll-up: the ground that a diameter bin could be seen on, by layer",
)

sql_file = Table(
    "sql_file",
    metadata,
    _col("name", Text, "file in cda_db/sql", primary_key=True),
    _col("sha256", LargeBinary, "content that was applied"),
    _col("applied_at", DateTime(timezone=True), "when", server_default=_now),
    comment="Which text of each SQL file this database holds",
)


def _staging(slot: int) -> Table:
    return Table(
        f"staging_{slot:02d}",
        metadata,
        _col("tile_row", SmallInteger, "row of the tile in its level"),
        _col("tile_col", SmallInteger, "column of the tile in its level"),
        _col("x0", REAL, "left of the raw box, pixels of its tile"),
        _col("y0", REAL, "top"),
        _col("x1", REAL, "right"),
        _col("y1", REAL, "bottom"),
        _col("score", REAL, "detector's score"),
        _col("data_edge", Boolean, "the box touches nodata"),
        prefixes=["UNLOGGED"],
        comment="Boxes of one batch on their way in; a slot belongs to one transaction at a time",
    )


staging = tuple(_staging(slot) for slot in range(N_STAGING_SLOTS))
