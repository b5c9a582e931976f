-- Runs: partitions of their rows, immutability, the indexes that a load phase ends with.

CREATE OR REPLACE FUNCTION cda.create_partitions(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['detection', 'suppression', 'crater'] LOOP
        -- autovacuum would only get in the way of a load; the indexes at its end turn it on
        EXECUTE format('CREATE TABLE cda.%I PARTITION OF cda.%I FOR VALUES IN (%s) '
                       'WITH (autovacuum_enabled = off)',
                       parent || '_r' || run_id, parent, run_id);
        EXECUTE format('COMMENT ON TABLE cda.%I IS %L',
                       parent || '_r' || run_id, format('Rows of run %s of cda.%s', run_id, parent));
    END LOOP;
END $$;
COMMENT ON FUNCTION cda.create_partitions(int) IS
'Make the partitions of a new run''s rows, so that no ingest ever changes the schema.
Example: SELECT cda.create_partitions(7)';

CREATE OR REPLACE FUNCTION cda.end_load(parent text, run_id int) RETURNS void
LANGUAGE plpgsql SET default_statistics_target = 10 AS $$
BEGIN
    -- a sample of 3,000 rows: the hot queries' plans are held by their text, not by statistics
    EXECUTE format('ANALYZE cda.%I', parent || '_r' || run_id);
    EXECUTE format('ALTER TABLE cda.%I RESET (autovacuum_enabled)', parent || '_r' || run_id);
END $$;
COMMENT ON FUNCTION cda.end_load(text, int) IS
'End a load of a run''s partition: statistics for the planner, and autovacuum as usual.
Example: SELECT cda.end_load(''crater'', 7)';

CREATE OR REPLACE FUNCTION cda.index_detection_ids(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning;
    EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS detection_r%1$s_detection_id_key '
                   'ON cda.detection_r%1$s (detection_id)', run_id);
    PERFORM cda.end_load('detection', run_id);
END $$;
COMMENT ON FUNCTION cda.index_detection_ids(int) IS
'Build the unique index of a run''s detections: a load phase ends with it.
Example: SELECT cda.index_detection_ids(7)';

CREATE OR REPLACE FUNCTION cda.index_crater_ids(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning;
    EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS crater_r%1$s_crater_id_key '
                   'ON cda.crater_r%1$s (crater_id)', run_id);
END $$;
COMMENT ON FUNCTION cda.index_crater_ids(int) IS
'Build the unique index of a run''s craters: the bulk suppression ends with it.
Example: SELECT cda.index_crater_ids(7)';

CREATE OR REPLACE FUNCTION cda.index_crater_places(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning;
    EXECUTE format('CREATE INDEX IF NOT EXISTS crater_r%1$s_sphere_idx '
                   'ON cda.crater_r%1$s (public.q3c_ang2ipix(lon, lat))', run_id);
    EXECUTE format('CREATE INDEX IF NOT EXISTS crater_r%1$s_diameter_m_idx '
                   'ON cda.crater_r%1$s (diameter_m) WHERE diameter_m >= 3000', run_id);
END $$;
COMMENT ON FUNCTION cda.index_crater_places(int) IS
'Build the sphere index of a run''s craters and that of large ones: the bulk suppression ends with it.
Example: SELECT cda.index_crater_places(7)';

CREATE OR REPLACE FUNCTION cda.index_suppressions(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning;
    EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS suppression_r%1$s_detection_id_key '
                   'ON cda.suppression_r%1$s (detection_id)', run_id);
    EXECUTE format('CREATE INDEX IF NOT EXISTS suppression_r%1$s_crater_id_idx '
                   'ON cda.suppression_r%1$s (crater_id)', run_id);
    PERFORM cda.end_load('suppression', run_id);
END $$;
COMMENT ON FUNCTION cda.index_suppressions(int) IS
'Build the indexes of a run''s suppressions: the bulk suppression ends with it.
Example: SELECT cda.index_suppressions(7)';

CREATE OR REPLACE FUNCTION cda.clear_catalogue(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    index_name regclass;
BEGIN
    DELETE FROM cda.catalogue c WHERE c.run_id = clear_catalogue.run_id;
    DELETE FROM cda.redecide d WHERE d.run_id = clear_catalogue.run_id;
    DELETE FROM cda.rest_row x WHERE x.run_id = clear_catalogue.run_id;
    DELETE FROM cda.rest_pair x WHERE x.run_id = clear_catalogue.run_id;
    EXECUTE format('TRUNCATE cda.crater_r%1$s, cda.suppression_r%1$s', run_id);
    EXECUTE format('ALTER TABLE cda.crater_r%s SET (autovacuum_enabled = off)', run_id);
    EXECUTE format('ALTER TABLE cda.suppression_r%s SET (autovacuum_enabled = off)', run_id);
    -- rows go in faster without indexes; the rebuild's end makes them again
    FOR index_name IN
        SELECT indexrelid FROM pg_index
        WHERE indrelid IN (format('cda.crater_r%s', run_id)::regclass,
                           format('cda.suppression_r%s', run_id)::regclass)
    LOOP
        EXECUTE format('DROP INDEX %s', index_name);
    END LOOP;
END $$;
COMMENT ON FUNCTION cda.clear_catalogue(int) IS
'Forget the catalogue of a run and its indexes: a rebuild begins with it.
Example: SELECT cda.clear_catalogue(7)';

CREATE OR REPLACE FUNCTION cda.count_verdicts(run_id int) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    UPDATE cda.catalogue c SET decided_at = clock_timestamp(), rolled_up_at = NULL,
        n_cut = (SELECT coalesce(sum(b.n_cut), 0) FROM cda.batch b
                 WHERE b.run_id = count_verdicts.run_id AND b.decided)
    WHERE c.run_id = count_verdicts.run_id;
END;
COMMENT ON FUNCTION cda.count_verdicts(int) IS
'Note that the catalogue changed and how many detections are cut.
Example: SELECT cda.count_verdicts(7)';

CREATE OR REPLACE FUNCTION cda.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'cda.% is immutable: model and configuration of a run never change',
        tg_table_name USING hint = 'Create another run with the new model or configuration.';
END $$;
COMMENT ON FUNCTION cda.refuse_change() IS
'Trigger: refuses every UPDATE of the table. Example: UPDATE cda.run SET tile_px = 640 -- error';

CREATE OR REPLACE TRIGGER run_immutable BEFORE UPDATE ON cda.run
FOR EACH STATEMENT EXECUTE FUNCTION cda.refuse_change();
CREATE OR REPLACE TRIGGER run_level_immutable BEFORE UPDATE ON cda.run_level
FOR EACH STATEMENT EXECUTE FUNCTION cda.refuse_change();
CREATE OR REPLACE TRIGGER model_immutable BEFORE UPDATE ON cda.model
FOR EACH STATEMENT EXECUTE FUNCTION cda.refuse_change();

CREATE OR REPLACE FUNCTION cda.refuse_level() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM cda.run_scene s WHERE s.run_id = new.run_id) THEN
        RAISE EXCEPTION 'run % has scenes already: its levels never change', new.run_id
            USING hint = 'Create another run with the new levels.';
    END IF;
    RETURN new;
END $$;
COMMENT ON FUNCTION cda.refuse_level() IS
'Trigger: refuses a new level of a run that has scenes.
Example: INSERT INTO cda.run_level VALUES (7, 2, 96, 6, 92) -- error';

CREATE OR REPLACE TRIGGER run_level_complete BEFORE INSERT ON cda.run_level
FOR EACH ROW EXECUTE FUNCTION cda.refuse_level();

CREATE OR REPLACE FUNCTION cda.level_size(size_px int, factor real) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ceil(size_px / factor::float8)::int;
COMMENT ON FUNCTION cda.level_size(int, real) IS
'Pixels of a scene''s side at a level. Example: SELECT cda.level_size(1000, 8) -- 125';

CREATE OR REPLACE FUNCTION cda.tile_count(level_px int, tile_px int, overlap_px int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(1, ceil((level_px - overlap_px) / (tile_px - overlap_px)::float8)::int);
COMMENT ON FUNCTION cda.tile_count(int, int, int) IS
'Tiles along a side of level_px pixels. Example: SELECT cda.tile_count(1000, 416, 96) -- 3';

CREATE OR REPLACE FUNCTION cda.tile_margin(config jsonb, view jsonb, overlap_px int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN coalesce((config ->> 'neighbours')::boolean, false)
             AND coalesce(view ->> 'name', 'as_is') = 'as_is' THEN overlap_px ELSE 0 END;
COMMENT ON FUNCTION cda.tile_margin(jsonb, jsonb, int) IS
'Pixels of the level by which tiles go past a scene''s edges: an overlap in runs with neighbours, for
scenes on their file''s own grid. Example: SELECT cda.tile_margin(''{"neighbours": true}'', NULL, 96) -- 96';

CREATE OR REPLACE FUNCTION cda.tile_origin(
    place int, level_px int, tile_px int, overlap_px int
) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(place * (tile_px - overlap_px), greatest(level_px - tile_px, 0));
COMMENT ON FUNCTION cda.tile_origin(int, int, int, int) IS
'First pixel of the tile at a place (row or column): the last tile is moved back to end with the
picture. Example: SELECT cda.tile_origin(2, 1000, 416, 96) -- 584';
