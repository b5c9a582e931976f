-- Incremental suppression: decide again only the connected components that a change touched.
-- A component is closed under "IoU at least the threshold", so what lies outside cannot change,
-- and the catalogue equals a rebuild from nothing.

CREATE OR REPLACE FUNCTION cda.lock_catalogue(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('cda.catalogue'), run_id) THEN
        RAISE EXCEPTION 'the catalogue of run % is being made', run_id
            USING errcode = 'lock_not_available', hint = 'Try again when suppression has ended.';
    END IF;
END $$;
COMMENT ON FUNCTION cda.lock_catalogue(int) IS
'One suppression or repetition at a time, till the transaction ends.
Example: SELECT cda.lock_catalogue(7)';

CREATE OR REPLACE FUNCTION cda.closure_reach_deg(radius_m float8, iou_threshold float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN degrees(cda.rival_reach(iou_threshold) * (1 / sqrt(iou_threshold) + 1 / iou_threshold) / radius_m)
    * 1.000003;
COMMENT ON FUNCTION cda.closure_reach_deg(float8, float8) IS
'How far (degrees a metre of radius) the crater of a circle''s rival may lie from the circle, on a body''s
radius in metres. Example: SELECT 1000 * cda.closure_reach_deg(3396190, 0.3) -- 0.077, of 1 km';

-- Rivals of a ring of the closure: each is a crater or was suppressed by one (whatever else there
-- may be is in the closure from the start), so that the craters' sphere index finds all of them.
-- With g = 1 / sqrt(t) and f the radius in the ring: a rival's radius d is at most g f, its crater's c
-- at most g d, and the places of f and c at most reach * (max(f, d) + max(d, c)) apart.
-- LATERAL with OFFSET 0 holds the planner to one look into the index a row, however large the table.
CREATE OR REPLACE FUNCTION cda.next_ring_sql(run_id int, radius_m float8, iou_threshold float8)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN format($sql$
    INSERT INTO closure
    SELECT DISTINCT ON (id) id, lon, lat, r, $1 + 1
    FROM (SELECT d.id, d.lon, d.lat, d.r, c.f_r,
                 cda.great_circle_m(c.f_lon, c.f_lat, d.lon, d.lat, %2$L) AS distance
          FROM (SELECT f.lon AS f_lon, f.lat AS f_lat, f.r AS f_r, c.*, least(f.r, c.r) * %4$L AS d_r,
                       cda.great_circle_m(f.lon, f.lat, c.lon, c.lat, %2$L) AS away
                FROM closure f, LATERAL (
                    SELECT c.crater_id AS id, c.lon, c.lat, c.diameter_m::float8 / 2 AS r
                    FROM cda.crater_r%1$s c
                    WHERE f.r <= %6$L
                      AND public.q3c_join(f.lon, f.lat, c.lon, c.lat, f.r * %5$L::float8 + 1e-9)
                    UNION ALL
                    -- Q3C knows no circle that wide, but craters that large are few
                    SELECT c.crater_id, c.lon, c.lat, c.diameter_m::float8 / 2
                    FROM cda.crater_r%1$s c
                    WHERE f.r > %6$L AND c.diameter_m BETWEEN f.r * 2 * %7$L AND f.r * 2 / %7$L%9$s
                    OFFSET 0) AS c
                WHERE f.depth = $1 AND c.r BETWEEN f.r * %7$L AND f.r / %7$L OFFSET 0) AS c,
          LATERAL (
              SELECT c.id, c.lon, c.lat, c.r
              UNION ALL
              SELECT x.detection_id, d.lon, d.lat, d.diameter_m::float8 / 2
              FROM cda.suppression_r%1$s x JOIN cda.detection_r%1$s d USING (detection_id)
              WHERE x.crater_id = c.id OFFSET 0) AS d
          WHERE c.away <= %3$L::float8 * (greatest(c.f_r, c.d_r) + greatest(c.r, c.d_r)) OFFSET 0) AS near
    WHERE cda.circle_iou(distance, f_r, r) >= %8$L::float8
    ON CONFLICT DO NOTHING$sql$,
    run_id, radius_m, cda.rival_reach(iou_threshold) * 1.000001, 1.000001 / sqrt(iou_threshold),
    cda.closure_reach_deg(radius_m, iou_threshold), 60 / cda.closure_reach_deg(radius_m, iou_threshold),
    iou_threshold * 0.999998, iou_threshold,
    -- named for the index of large craters, where it holds anyway
    CASE WHEN 100 * iou_threshold / cda.closure_reach_deg(radius_m, iou_threshold) > 3000
         THEN ' AND c.diameter_m >= 3000' END);
COMMENT ON FUNCTION cda.next_ring_sql(int, float8, float8) IS
'The INSERT that adds to the closure the rivals of its rows of depth $1, on a body''s radius in metres.
Example: internal to cda.suppress_closure';

CREATE OR REPLACE FUNCTION cda.suppress_closure(run_id int, fresh bigint[]) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    t float8;
    radius float8;
    n bigint;
    depth int := 0;
BEGIN
    SELECT iou_threshold, radius_m INTO STRICT t, radius
    FROM cda.run JOIN cda.body ON body.name = run.body WHERE run.run_id = suppress_closure.run_id;
    TRUNCATE closure;
    EXECUTE format($sql$
        INSERT INTO closure
        SELECT d.detection_id, d.lon, d.lat, d.diameter_m::float8 / 2, 0
        FROM unnest($1) AS b (batch_id) JOIN cda.detection_r%1$s d
          ON d.detection_id BETWEEN b.batch_id << 22 AND ((b.batch_id + 1) << 22) - 1
        WHERE NOT d.cut
        UNION
        SELECT d.detection_id, d.lon, d.lat, d.diameter_m::float8 / 2, 0
        FROM cda.redecide x JOIN cda.detection_r%1$s d USING (detection_id)
        WHERE x.run_id = %1$s$sql$, run_id) USING fresh;
    LOOP
        ANALYZE closure;
        EXECUTE cda.next_ring_sql(run_id, radius, t)
        USING depth;
        GET DIAGNOSTICS n = ROW_COUNT;
        EXIT WHEN n = 0;
        depth := depth + 1;
    END LOOP;
    PERFORM cda.drop_scratch('work');
    EXECUTE cda.work_sql(format($sql$
        SELECT c.id, c.lon, c.lat, c.r, cda.radius_class(c.r) AS class, cos(radians(c.lat)) AS cos_lat,
               d.score, true AS own,
               (k.rank << 22) | (c.id & 4194303) AS place
        FROM closure c JOIN cda.detection_r%1$s d ON d.detection_id = c.id
        JOIN batch_rank k ON k.batch_id = c.id >> 22$sql$, run_id), radius, t);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
COMMENT ON FUNCTION cda.suppress_closure(int, bigint[]) IS
'Fill this session''s work table with the components that the fresh batches and the rows of
cda.redecide touch; returns their number. Example: SELECT cda.suppress_closure(7, ARRAY[17, 18])';

CREATE OR REPLACE FUNCTION cda.forget_verdicts(run_id int) RETURNS TABLE (craters bigint, suppressed bigint)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM cda.crater_r%s c USING work w WHERE c.crater_id = w.id', run_id);
    GET DIAGNOSTICS craters = ROW_COUNT;
    EXECUTE format('DELETE FROM cda.suppression_r%s s USING work w WHERE s.detection_id = w.id', run_id);
    GET DIAGNOSTICS suppressed = ROW_COUNT;
    DELETE FROM cda.redecide d WHERE d.run_id = forget_verdicts.run_id;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION cda.forget_verdicts(int) IS
'Delete the verdicts on the rows of this session''s work table; returns how many of each.
Example: SELECT * FROM cda.forget_verdicts(7)';
