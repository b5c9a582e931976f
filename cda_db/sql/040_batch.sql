-- Batches: at-least-once work, exactly-once effect (rule 3).
-- A claim commits at once with attempt + 1 and a lease; results commit only WHERE attempt = mine.
-- These functions are all that the ingest role may call; they act as the owner.

CREATE OR REPLACE FUNCTION cda.scene_json(scene_id int) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT to_jsonb(s) - 'sha256' - 'file_sha256' - 'footprint' - 'coverage'
        || jsonb_build_object('sha256', encode(s.sha256, 'hex'),
                              'file_sha256', encode(s.file_sha256, 'hex'))
    FROM cda.scene s WHERE s.scene_id = scene_json.scene_id;
END;
COMMENT ON FUNCTION cda.scene_json(int) IS
'A scene as JSON, without its outline. Example: SELECT cda.scene_json(1) ->> ''path''';

CREATE OR REPLACE FUNCTION cda.claim_batch(
    run_name text, host text, pid int, job_id text, threads int,
    code_version text, lease interval, only_batch bigint DEFAULT NULL, max_attempts int DEFAULT 5,
    only_scenes text[] DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = cda, public, pg_temp AS $$
DECLARE
    r cda.run;
    b cda.batch;
    wanted text;
    lost int;
BEGIN
    SELECT * INTO r FROM cda.run WHERE name = run_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no run %', quote_literal(run_name) USING errcode = 'no_data_found';
    END IF;
    LOOP
        -- lost work first; one state at a time, so that each is the head of an index and not a sort
        -- of all that is open
        FOREACH wanted IN ARRAY ARRAY['claimed', 'open'] LOOP
            SELECT * INTO b FROM cda.batch
            WHERE run_id = r.run_id AND state = wanted
              AND (wanted = 'open' OR lease_until < clock_timestamp())
              AND (only_batch IS NULL OR batch_id = only_batch)
              AND (only_scenes IS NULL OR scene_id IN (
                  SELECT s.scene_id FROM cda.scene s WHERE s.name = ANY(only_scenes)))
            ORDER BY batch_id LIMIT 1 FOR UPDATE SKIP LOCKED;
            EXIT WHEN b.batch_id IS NOT NULL;
        END LOOP;
        IF b.batch_id IS NULL THEN
            RETURN NULL;
        END IF;
        -- a batch that killed this many workers would kill the next: it waits for a person
        SELECT count(*) INTO lost FROM cda.attempt t
        WHERE t.batch_id = b.batch_id AND t.outcome IS NULL;
        EXIT WHEN lost < max_attempts;
        UPDATE cda.batch SET state = 'failed', lease_until = NULL,
            error = format('%s workers were lost on it', lost) WHERE batch_id = b.batch_id;
    END LOOP;
    UPDATE cda.batch SET state = 'claimed', attempt = b.attempt + 1, error = NULL,
        lease_until = clock_timestamp() + lease
    WHERE batch_id = b.batch_id RETURNING * INTO b;
    INSERT INTO cda.attempt (batch_id, attempt, host, pid, job_id, threads, "precision", code_version)
    VALUES (b.batch_id, b.attempt, claim_batch.host, claim_batch.pid, claim_batch.job_id,
            claim_batch.threads, r.config ->> 'precision', claim_batch.code_version);
    RETURN to_jsonb(b) || jsonb_build_object(
        'scene', cda.scene_json(b.scene_id),
        -- by content, so that every worker fills the margin alike
        'neighbours', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'scene', cda.scene_json(n.neighbour_id), 'x_px', n.x_px, 'y_px', n.y_px)
                           ORDER BY s.sha256), '[]')
                       FROM cda.run_neighbour n JOIN cda.scene s ON s.scene_id = n.neighbour_id
                       WHERE n.run_id = r.run_id AND n.scene_id = b.scene_id),
        'run', to_jsonb(r) - 'config_sha256',
        'level', (SELECT to_jsonb(l) FROM cda.run_level l
                  WHERE l.run_id = r.run_id AND l.factor = b.factor),
        'model', (SELECT jsonb_build_object('name', m.name, 'sha256', encode(m.sha256, 'hex'))
                  FROM cda.model m WHERE m.model_id = r.model_id));
END $$;
COMMENT ON FUNCTION
    cda.claim_batch(text, text, int, text, int, text, interval, bigint, int, text[]) IS
'Claim the next open batch of a run (or the expired claim of a lost worker), perhaps only of some
scenes: all that a worker needs as JSON, or NULL when nothing is open. Commit at once.
Example: SELECT cda.claim_batch(''demo'', ''node1'', 42, NULL, 1, ''0.1'', ''5 min'')';

CREATE OR REPLACE FUNCTION cda.renew_batch(batch_id bigint, attempt int, lease interval)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = cda, public, pg_temp
BEGIN ATOMIC
    WITH renewed AS (
        UPDATE cda.batch b SET lease_until = clock_timestamp() + renew_batch.lease
        WHERE b.batch_id = renew_batch.batch_id AND b.attempt = renew_batch.attempt
          AND b.state = 'claimed'
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM renewed);
END;
COMMENT ON FUNCTION cda.renew_batch(bigint, int, interval) IS
'Prolong a claim; false when another worker holds the batch now.
Example: SELECT cda.renew_batch(17, 1, ''5 min'')';

CREATE OR REPLACE FUNCTION cda.fail_batch(batch_id bigint, attempt int, error text)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = cda, public, pg_temp
BEGIN ATOMIC
    WITH failed AS (
        UPDATE cda.batch b SET state = 'failed', lease_until = NULL, error = fail_batch.error
        WHERE b.batch_id = fail_batch.batch_id AND b.attempt = fail_batch.attempt
          AND b.state = 'claimed'
        RETURNING b.batch_id, b.attempt
    ), logged AS (
        UPDATE cda.attempt t
        SET ended_at = clock_timestamp(), outcome = 'failed', error = fail_batch.error
        FROM failed f WHERE t.batch_id = f.batch_id AND t.attempt = f.attempt
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM logged);
END;
COMMENT ON FUNCTION cda.fail_batch(bigint, int, text) IS
'Give a batch up with the reason; false when another worker holds it now.
Example: SELECT cda.fail_batch(17, 1, ''file is gone'')';

CREATE OR REPLACE FUNCTION cda.open_batches(run_name text, only_scenes text[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = cda, public, pg_temp AS $$
DECLARE
    stranger text;
BEGIN
    SELECT x.name INTO stranger FROM unnest(only_scenes) AS x (name)
    WHERE NOT EXISTS (SELECT FROM cda.run r JOIN cda.run_scene USING (run_id)
                      JOIN cda.scene s USING (scene_id)
                      WHERE r.name = run_name AND s.name = x.name);
    IF FOUND THEN
        RAISE EXCEPTION 'run % has no scene %', quote_literal(run_name), quote_literal(stranger)
            USING errcode = 'no_data_found';
    END IF;
    RETURN (SELECT count(*) FROM cda.batch b JOIN cda.run r USING (run_id)
            JOIN cda.scene s USING (scene_id)
            WHERE r.name = run_name AND b.state IN ('open', 'claimed')
              AND (only_scenes IS NULL OR s.name = ANY(only_scenes)));
END $$;
COMMENT ON FUNCTION cda.open_batches(text, text[]) IS
'How many batches of a run, or of some of its scenes, are not finished: a worker waits while others
may be lost. Example: SELECT cda.open_batches(''demo'')';

CREATE OR REPLACE FUNCTION cda.take_staging_slot() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = cda, public, pg_temp AS $$
DECLARE
    slot int := floor(random() * 16);
    got boolean;
BEGIN
    FOR i IN 1..16 LOOP
        slot := (slot + 1) % 16;
        got := pg_try_advisory_xact_lock(hashtext('cda.staging'), slot);
        EXIT WHEN got;
    END LOOP;
    IF NOT got THEN
        PERFORM pg_advisory_xact_lock(hashtext('cda.staging'), slot);
    END IF;
    -- rows that somebody committed here without finishing a batch are nobody's
    EXECUTE format('DELETE FROM cda.staging_%s', lpad(slot::text, 2, '0'));
    RETURN 'staging_' || lpad(slot::text, 2, '0');
END $$;
COMMENT ON FUNCTION cda.take_staging_slot() IS
'Name of a staging table that is this transaction''s alone until it ends: COPY into it, then call
cda.finish_batch. Example: SELECT cda.take_staging_slot() -- staging_07';

CREATE OR REPLACE FUNCTION cda.repeat_batch(batch_id bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    b cda.batch;
    first_id bigint := repeat_batch.batch_id << 22;
    last_id bigint := ((repeat_batch.batch_id + 1) << 22) - 1;
    craters bigint;
    losers bigint;
    n bigint;
BEGIN
    SELECT * INTO b FROM cda.batch WHERE batch.batch_id = repeat_batch.batch_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no batch %', batch_id USING errcode = 'no_data_found';
    END IF;
    PERFORM cda.lock_catalogue(b.run_id);
    IF b.decided THEN
        -- what its kept detections had suppressed must be decided again
        INSERT INTO cda.redecide (run_id, detection_id)
        SELECT s.run_id, s.detection_id FROM cda.suppression s
        WHERE s.run_id = b.run_id AND s.crater_id BETWEEN first_id AND last_id
          AND s.detection_id NOT BETWEEN first_id AND last_id
        ON CONFLICT DO NOTHING;
        DELETE FROM cda.suppression s WHERE s.run_id = b.run_id
            AND (s.detection_id BETWEEN first_id AND last_id
                 OR s.crater_id BETWEEN first_id AND last_id);
        GET DIAGNOSTICS losers = ROW_COUNT;
        DELETE FROM cda.crater c
        WHERE c.run_id = b.run_id AND c.crater_id BETWEEN first_id AND last_id;
        GET DIAGNOSTICS craters = ROW_COUNT;
        UPDATE cda.catalogue c SET n_craters = n_craters - craters,
            n_suppressed = n_suppressed - losers, n_cut = n_cut - b.n_cut, rolled_up_at = NULL
        WHERE c.run_id = b.run_id;
        DELETE FROM cda.redecide d
        WHERE d.run_id = b.run_id AND d.detection_id BETWEEN first_id AND last_id;
    END IF;
    DELETE FROM cda.detection d
    WHERE d.run_id = b.run_id AND d.detection_id BETWEEN first_id AND last_id;
    GET DIAGNOSTICS n = ROW_COUNT;
    -- the attempt goes on counting, so that a worker still at the old one cannot finish
    UPDATE cda.batch SET state = 'open', lease_until = NULL, decided = false, error = NULL,
        n_tiles = NULL, n_empty = NULL, n_detections = NULL, n_cut = NULL, n_outside = NULL,
        west = NULL, east = NULL, south = NULL, north = NULL, max_diameter_m = NULL,
        finished_at = NULL
    WHERE batch.batch_id = repeat_batch.batch_id;
    -- workers lost before do not count against the batch any more
    UPDATE cda.attempt t SET ended_at = clock_timestamp(), outcome = 'failed',
        error = 'lost, or still at work when the batch was repeated'
    WHERE t.batch_id = repeat_batch.batch_id AND t.outcome IS NULL;
    RETURN n;
END $$;
COMMENT ON FUNCTION cda.repeat_batch(bigint) IS
'Delete a batch''s rows and open it again, in one transaction; returns how many detections went.
The owner''s. Example: SELECT cda.repeat_batch(17)';
