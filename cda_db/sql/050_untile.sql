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
-- OFFSET 0 keeps a step's result from being computed again by every expression that names it.
CREATE OR REPLACE FUNCTION cda.untile_sql(f cda.batch_frame, staging text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- a box at the picture's own edge is incomplete; at a tile's, a view's or a margin's it is cut
    left_cut text := CASE WHEN f.margin_px > 0 OR f.cut_edges ? 'left' THEN 'true' ELSE 'ox > 0' END;
    top_cut text := CASE WHEN f.margin_px > 0 OR f.cut_edges ? 'top' THEN 'true' ELSE 'oy > 0' END;
    right_cut text := CASE WHEN f.margin_px > 0 OR f.cut_edges ? 'right' THEN 'true'
        ELSE format('ox + %s < %s', f.tile_px, f.level_width) END;
    bottom_cut text := CASE WHEN f.margin_px > 0 OR f.cut_edges ? 'bottom' THEN 'true'
        ELSE format('oy + %s < %s', f.tile_px, f.level_height) END;
    last_x text := format('least(%s, %s - ox)', f.tile_px, f.level_width);
    last_y text := format('least(%s, %s - oy)', f.tile_px, f.level_height);
    -- without rotation and shear the map's derivative is a product of two scales
    plain boolean := f.b = 0 AND f.d = 0 AND f.projection <> 'sinusoidal';
    back text := CASE WHEN f.margin_px > 0 THEN format(' - %s', f.margin_px) ELSE '' END;
    ox text := format('cda.tile_origin(tile_col, %s, %s, %s)', f.level_width, f.tile_px, f.overlap_px);
    oy text := format('cda.tile_origin(tile_row, %s, %s, %s)', f.level_height, f.tile_px, f.overlap_px);
    col text := format('(%s%s + (x0 + x1) * 0.5::float8) * %L::float8', ox, back, f.factor);
    row_ text := format('(%s%s + (y0 + y1) * 0.5::float8) * %L::float8', oy, back, f.factor);
    y_north text := CASE WHEN f.projection IN ('polar_stereographic', 'mercator') THEN 'x_east'
        ELSE format('cda.map_y_north(%L, lat, %L, %L)', f.projection, f.lat_ts_deg, f.radius_m) END;
    scale text := CASE WHEN plain
        THEN format('sqrt(%L::float8 / (x_east * %s))', abs(f.a * f.e), y_north)
        ELSE format('cda.ground_scale(%L, %L, %L, %L, x_east, cda.map_x_north(%L, turned_lon, lat, %L), %s)',
                    f.a, f.b, f.d, f.e, f.projection, f.lon_0_deg, y_north)
        END;
BEGIN
    RETURN format($sql$
WITH stored AS (
INSERT INTO cda.%1$I (run_id, tile_row, tile_col, detection_id, lon, lat, diameter_m, score,
                      x0, y0, x1, y1, cut, data_edge)
SELECT %2$s, tile_row, tile_col, %3$s::bigint + place - 1, cda.wrap_lon(turned_lon), lat,
       sqrt((x1 - x0)::float8 * (y1 - y0)) * %8$L::float8 * %9$s, score, x0, y0, x1, y1,
       (x0 <= %10$s AND %11$s) OR (y0 <= %10$s AND %12$s)
           OR (x1 >= %15$s - %10$s AND %13$s) OR (y1 >= %16$s - %10$s AND %14$s),
       data_edge OR x0 <= %10$s AND NOT (%11$s) OR y0 <= %10$s AND NOT (%12$s)
           OR x1 >= %15$s - %10$s AND NOT (%13$s) OR y1 >= %16$s - %10$s AND NOT (%14$s)
FROM (
    SELECT *, cda.map_lon_unwrapped(%4$L, x, y, lat, %5$L, %6$L, %7$L) AS turned_lon,
           cda.map_x_east(%4$L, lat, %6$L, %7$L) AS x_east
    FROM (
        SELECT *, cda.map_lat(%4$L, x, y, %6$L, %7$L) AS lat FROM (
            -- numbered first, while rows are narrow; workers push them sorted
            SELECT *, %19$s AS ox, %20$s AS oy, %17$s AS x, %18$s AS y,
                   row_number() OVER (ORDER BY tile_row, tile_col, x0, y0, x1, y1, score) AS place
            FROM cda.%21$I OFFSET 0) AS map OFFSET 0) AS sphere OFFSET 0) AS placed
RETURNING lon, lat, diameter_m, cut)
SELECT count(*)::int AS n, (count(*) FILTER (WHERE cut))::int AS n_cut,
       min(lon) AS west, max(lon) AS east, min(lat) AS south, max(lat) AS north,
       max(diameter_m) AS max_diameter_m FROM stored$sql$,
        'detection_r' || f.run_id, f.run_id, f.batch_id << 22,
        f.projection, f.lon_0_deg, f.lat_ts_deg, f.radius_m,
        f.diameter_factor * f.factor, scale, f.edge_margin_px,
        left_cut, top_cut, right_cut, bottom_cut, last_x, last_y,
        CASE WHEN f.b = 0 THEN format('%L::float8 * (%s) + %L::float8', f.a, col, f.c)
             ELSE format('%L::float8 * (%s) + %L::float8 * (%s) + %L::float8',
                         f.a, col, f.b, row_, f.c) END,
        CASE WHEN f.d = 0 THEN format('%L::float8 * (%s) + %L::float8', f.e, row_, f.f)
             ELSE format('%L::float8 * (%s) + %L::float8 * (%s) + %L::float8',
                         f.d, col, f.e, row_, f.f) END,
        ox, oy, staging);
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
