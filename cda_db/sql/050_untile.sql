-- Untiling: tile box -> level pixel -> scene pixel -> map -> sphere, in the commit of a batch.

-- The frame of one batch: scene, level and run in one row, the constants of its untiling.
CREATE OR REPLACE VIEW cda.batch_frame AS
SELECT
    b.batch_id, b.run_id, b.row_start, b.row_stop, r.tile_px, r.edge_margin_px, r.score_threshold,
    m.diameter_factor, l.factor, l.overlap_px, l.min_px, l.max_px,
    s.a, s.b, s.c, s.d, s.e, s.f, s.projection, s.lon_0_deg, s.lat_ts_deg, s.radius_m,
    -- with the margins on both sides that the tiles go on over
    cda.level_size(s.width, l.factor) + 2 * margin_px AS level_width,
    cda.level_size(s.height, l.factor) + 2 * margin_px AS level_height,
    -- where a view ends but the picture goes on, a box at the edge is cut, not incomplete
    coalesce(s.view -> 'cut_edges', '[]'::jsonb) AS cut_edges,
    margin_px
FROM cda.batch b
JOIN cda.run r USING (run_id)
JOIN cda.model m USING (model_id)
JOIN cda.run_level l USING (run_id, factor)
JOIN cda.scene s USING (scene_id)
CROSS JOIN LATERAL cda.tile_margin(r.config, s.view, l.overlap_px) AS margin_px;
COMMENT ON VIEW cda.batch_frame IS
'Constants by which the boxes of a batch are put on the sphere: affine, projection, level, tiles';

CREATE OR REPLACE FUNCTION cda.check_staging(f cda.batch_frame, staging text) RETURNS void
LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    wrong int;
BEGIN
    EXECUTE format(
        'SELECT count(*) FROM cda.%I WHERE NOT coalesce('
        'tile_row >= $1 AND tile_row < $2 AND tile_col >= 0 AND tile_col < $3 '
        'AND x0 >= -1 AND y0 >= -1 AND x1 <= $4 + 1 AND y1 <= $4 + 1 '
        'AND x1 > x0 AND y1 > y0 AND score >= $5 AND score <= 1 '
        'AND (x1 - x0) * (y1 - y0) BETWEEN $6 AND $7, false)', staging)
    INTO wrong
    USING f.row_start, f.row_stop, cda.tile_count(f.level_width, f.tile_px, f.overlap_px),
        f.tile_px, f.score_threshold, (f.min_px * 0.9999) ^ 2, (f.max_px * 1.0001) ^ 2;
    IF wrong > 0 THEN
        RAISE EXCEPTION '% boxes of batch % lie outside their tile, the batch, the size window or the scores',
            wrong, f.batch_id USING errcode = 'check_violation',
            hint = 'The worker and the database disagree about the run: nothing was stored.';
    END IF;
END $$;
COMMENT ON FUNCTION cda.check_staging(cda.batch_frame, text) IS
'Refuse staged boxes that cannot belong to the batch. Example: internal to cda.finish_batch';

-- The statement is written out with the frame as literals: the planner then folds every branch on
-- the projection away (the same expressions with parameters take three times as long).
-- What a frame does not need is left out of its statement: 0.1 us a row are 5 s of two workers at
-- 10^8 rows.

-- A box at the picture's own edge is incomplete; at a tile's, a view's or a margin's it is cut.
CREATE OR REPLACE FUNCTION cda.edge_sql(
    f cda.batch_frame, OUT near text, OUT cut text, OUT incomplete text
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT string_agg(at_edge, ' OR '),
           string_agg(format('%s AND %s', at_edge, is_cut), ' OR '),
           string_agg(format('%s AND NOT %s', at_edge, is_cut), ' OR ')
    FROM (VALUES
        ('left', format('x0 <= %s', f.edge_margin_px), 'tile_col > 0'),
        ('top', format('y0 <= %s', f.edge_margin_px), 'tile_row > 0'),
        ('right', format('x1 >= %s', least(f.tile_px, f.level_width) - f.edge_margin_px),
         format('tile_col < %s', cda.tile_count(f.level_width, f.tile_px, f.overlap_px) - 1)),
        ('bottom', format('y1 >= %s', least(f.tile_px, f.level_height) - f.edge_margin_px),
         format('tile_row < %s', cda.tile_count(f.level_height, f.tile_px, f.overlap_px) - 1))
    ) AS side (name, at_edge, inside)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN f.margin_px > 0 OR f.cut_edges ? name THEN 'true' ELSE inside END AS is_cut
    ) AS kind;
END;
COMMENT ON FUNCTION cda.edge_sql(cda.batch_frame) IS
'Conditions on a staged box: near an edge of its tile; then, cut there; or incomplete there.
Example: SELECT (cda.edge_sql(f)).cut FROM cda.batch_frame f WHERE batch_id = 1';

-- OFFSET 0 keeps a step's result from being computed again by every expression that names it.
CREATE OR REPLACE FUNCTION cda.placed_sql(f cda.batch_frame, staging text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    back text := CASE WHEN f.margin_px > 0 THEN format(' - %s', f.margin_px) ELSE '' END;
    zoom text := CASE WHEN f.factor = 1 THEN '' ELSE format(' * %L::float8', f.factor) END;
    col text := format('(cda.tile_origin(tile_col, %s, %s, %s)%s + (x0 + x1) * 0.5::float8)%s',
                       f.level_width, f.tile_px, f.overlap_px, back, zoom);
    row_ text := format('(cda.tile_origin(tile_row, %s, %s, %s)%s + (y0 + y1) * 0.5::float8)%s',
                        f.level_height, f.tile_px, f.overlap_px, back, zoom);
    x text := CASE WHEN f.b = 0 THEN format('%L::float8 * (%s) + %L::float8', f.a, col, f.c)
        ELSE format('%L::float8 * (%s) + %L::float8 * (%s) + %L::float8', f.a, col, f.b, row_, f.c) END;
    y text := CASE WHEN f.d = 0 THEN format('%L::float8 * (%s) + %L::float8', f.e, row_, f.f)
        ELSE format('%L::float8 * (%s) + %L::float8 * (%s) + %L::float8', f.d, col, f.e, row_, f.f) END;
    lat text := format('cda.map_lat(%L, %%s, %%s, %L, %L) AS lat',
                       f.projection, f.lat_ts_deg, f.radius_m);
    lon text := format('cda.map_lon_unwrapped(%L, %%s, %%s, %%s, %L, %L, %L) AS turned_lon',
                       f.projection, f.lon_0_deg, f.lat_ts_deg, f.radius_m);
    -- numbered first, while rows are narrow; workers push them sorted
    numbered text := format(
        'SELECT *, %s AS near, row_number() OVER (ORDER BY tile_row, tile_col, x0, y0, x1, y1, score)'
        ' AS place, %%s, %%s FROM cda.%I OFFSET 0', (cda.edge_sql(f)).near, staging);
BEGIN
    IF f.b = 0 AND f.d = 0 AND f.projection IN ('equirectangular', 'lonlat') THEN
        -- longitude hangs on x alone and latitude on y alone: one step instead of three
        RETURN format(numbered, format(lon, x, 'NULL', 'NULL'), format(lat, 'NULL', y));
    END IF;
    RETURN format('SELECT *, %s FROM (SELECT *, %s FROM (%s) AS map OFFSET 0) AS sphere OFFSET 0',
                  format(lon, 'x', 'y', 'lat'), format(lat, 'x', 'y'),
                  format(numbered, x || ' AS x', y || ' AS y'));
END $$;
COMMENT ON FUNCTION cda.placed_sql(cda.batch_frame, text) IS
'The SELECT that numbers the boxes of a staging table by content and puts them on the sphere.
Example: SELECT cda.placed_sql(f, ''staging_00'') FROM cda.batch_frame f WHERE batch_id = 1';

CREATE OR REPLACE FUNCTION cda.scale_sql(f cda.batch_frame) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    x_east text := format('cda.map_x_east(%L, lat, %L, %L)', f.projection, f.lat_ts_deg, f.radius_m);
    y_north text := format('cda.map_y_north(%L, lat, %L, %L)', f.projection, f.lat_ts_deg, f.radius_m);
BEGIN
    IF f.b <> 0 OR f.d <> 0 OR f.projection = 'sinusoidal' THEN
        RETURN format('cda.ground_scale(%L, %L, %L, %L, %s, cda.map_x_north(%L, turned_lon, lat, %L), %s)',
                      f.a, f.b, f.d, f.e, x_east, f.projection, f.lon_0_deg, y_north);
    END IF;
    -- without rotation and shear the map's derivative is a product of two scales
    RETURN format('sqrt(%L::float8 / %s / %s)', abs(f.a * f.e), y_north, x_east);
END $$;
COMMENT ON FUNCTION cda.scale_sql(cda.batch_frame) IS
'Ground metres a pixel of the scene at lat and turned_lon, as an expression.
Example: SELECT cda.scale_sql(f) FROM cda.batch_frame f WHERE batch_id = 1';

CREATE OR REPLACE FUNCTION cda.untile_sql(f cda.batch_frame, staging text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    edge record := cda.edge_sql(f);
BEGIN
    RETURN format($sql$
WITH stored AS (
INSERT INTO cda.%I (run_id, tile_row, tile_col, detection_id, lon, lat, diameter_m, score,
                    x0, y0, x1, y1, cut, data_edge)
SELECT %s, tile_row, tile_col, %s::bigint + place, cda.wrap_lon(turned_lon), lat,
       sqrt((x1 - x0)::float8 * (y1 - y0))%s * %s, score, x0, y0, x1, y1,
       near AND (%s), data_edge OR near AND (%s)
FROM (%s) AS placed
RETURNING lon, lat, diameter_m, cut)
SELECT count(*)::int AS n, (count(*) FILTER (WHERE cut))::int AS n_cut,
       min(lon) AS west, max(lon) AS east, min(lat) AS south, max(lat) AS north,
       max(diameter_m) AS max_diameter_m FROM stored$sql$,
        'detection_r' || f.run_id, f.run_id, (f.batch_id << 22) - 1,
        CASE WHEN f.diameter_factor * f.factor = 1 THEN ''
             ELSE format(' * %L::float8', f.diameter_factor * f.factor) END,
        cda.scale_sql(f), edge.cut, edge.incomplete, cda.placed_sql(f, staging));
END $$;
COMMENT ON FUNCTION cda.untile_sql(cda.batch_frame, text) IS
'The INSERT .. SELECT that puts the boxes of a staging table on the sphere.
Example: SELECT cda.untile_sql(f, ''staging_00'') FROM cda.batch_frame f WHERE batch_id = 1';

CREATE OR REPLACE FUNCTION cda.finish_batch(
    batch_id bigint, attempt int, staging text, n_tiles int, n_empty int, n_outside int
) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = cda, public, pg_temp AS $$
DECLARE
    frame cda.batch_frame;
    stored record;
BEGIN
    PERFORM FROM cda.batch b
    WHERE b.batch_id = finish_batch.batch_id AND b.attempt = finish_batch.attempt
      AND b.state = 'claimed' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;  -- the lease was lost to another worker: the caller rolls back
    END IF;
    IF staging !~ '^staging_[01][0-9]$' THEN
        RAISE EXCEPTION 'no staging table is named %', staging USING errcode = 'undefined_table';
    END IF;
    SELECT * INTO STRICT frame FROM cda.batch_frame f WHERE f.batch_id = finish_batch.batch_id;
    PERFORM cda.check_staging(frame, staging);
    EXECUTE cda.untile_sql(frame, staging) INTO stored;
    IF stored.n >= 1 << 22 THEN
        RAISE EXCEPTION 'batch % has % detections, more than its ids can number', batch_id, stored.n
            USING errcode = 'program_limit_exceeded', hint = 'Make the run with smaller batches.';
    END IF;
    -- TRUNCATE walks all shared buffers: for few rows that costs more than their deletion
    EXECUTE format(CASE WHEN pg_relation_size(format('cda.%I', staging)) > 262144
                        THEN 'TRUNCATE cda.%I' ELSE 'DELETE FROM cda.%I' END, staging);
    UPDATE cda.batch b SET state = 'done', lease_until = NULL, decided = false, error = NULL,
        n_tiles = finish_batch.n_tiles, n_empty = finish_batch.n_empty,
        n_detections = stored.n, n_cut = stored.n_cut, west = stored.west, east = stored.east,
        south = stored.south, north = stored.north, max_diameter_m = stored.max_diameter_m,
        n_outside = finish_batch.n_outside, finished_at = clock_timestamp()
    WHERE b.batch_id = finish_batch.batch_id;
    UPDATE cda.attempt t SET ended_at = clock_timestamp(), outcome = 'done'
    WHERE t.batch_id = finish_batch.batch_id AND t.attempt = finish_batch.attempt;
    RETURN stored.n;
END $$;
COMMENT ON FUNCTION cda.finish_batch(bigint, int, text, int, int, int) IS
'Store the staged boxes of a batch as detections, its counts and its state, in one transaction;
returns how many, or NULL when another worker holds the batch now (then roll back).
Example: SELECT cda.finish_batch(17, 1, ''staging_03'', 64, 2, 5)';
