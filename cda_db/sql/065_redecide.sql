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
        -- rivals of the last ring, larger or smaller, that are not yet in; LATERAL with OFFSET 0
        -- holds the planner to one look into the index a row of the ring, however large the table
        EXECUTE format($sql$
            INSERT INTO closure
            SELECT DISTINCT ON (id) id, lon, lat, r, $1 + 1
            FROM (SELECT d.id, d.lon, d.lat, d.r, f.r AS f_r,
                         cda.great_circle_m(f.lon, f.lat, d.lon, d.lat, %2$L) AS distance
                  FROM closure f, LATERAL (
                      SELECT d.detection_id AS id, d.lon, d.lat, d.diameter_m::float8 / 2 AS r
                      FROM cda.detection_r%1$s d
                      WHERE public.q3c_join(f.lon, f.lat, d.lon, d.lat, f.r * %3$L::float8 + 1e-9)
                        AND NOT d.cut OFFSET 0) AS d
                  WHERE f.depth = $1 OFFSET 0) AS near
            WHERE cda.circle_iou(distance, f_r, r) >= %4$L::float8
              AND EXISTS (SELECT FROM batch_rank k WHERE k.batch_id = id >> 22)
            ON CONFLICT DO NOTHING$sql$,
            run_id, radius, degrees(cda.rival_reach(t) / sqrt(t) / radius) * 1.000001, t)
        USING depth;
        GET DIAGNOSTICS n = ROW_COUNT;
        EXIT WHEN n = 0;
        depth := depth + 1;
    END LOOP;
    TRUNCATE work;
    EXECUTE cda.work_sql(format($sql$
        SELECT c.id, c.lon, c.lat, c.r, d.score, true AS own,
               (k.rank << 22) | (c.id & 4194303) AS place
        FROM closure c JOIN cda.detection_r%1$s d ON d.detection_id = c.id
        JOIN batch_rank k ON k.batch_id = c.id >> 22$sql$, run_id), radius, cda.rival_reach(t));
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
