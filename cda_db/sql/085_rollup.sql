-- Density roll-up: counts by HEALPix cell and root-2 bin, ready at orders 9 to 0.

CREATE OR REPLACE FUNCTION cda.roll_up_bins(run_id int, finest int, bins int[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    k int;
    total bigint;
BEGIN
    DELETE FROM cda.crater_count n
    WHERE n.run_id = roll_up_bins.run_id AND (bins IS NULL OR n.bin = ANY(bins));
    SET LOCAL client_min_messages = warning;
    DROP TABLE IF EXISTS pg_temp.finer, pg_temp.coarser;
    -- into a table of its own, because an INSERT .. SELECT never runs parallel
    EXECUTE format($sql$
        CREATE TEMP TABLE finer AS
        SELECT bin::smallint, cell >> %2$s AS cell, count(*)::int AS n
        FROM (SELECT cda.diameter_bin(diameter_m) AS bin, cell FROM cda.crater_r%1$s OFFSET 0) AS c
        WHERE %3$s GROUP BY 1, 2$sql$, run_id, 2 * (13 - finest),
        CASE WHEN bins IS NULL THEN 'true' ELSE format('bin = ANY(%L::int[])', bins) END);
    SELECT coalesce(sum(f.n), 0) INTO total FROM finer f;
    FOR k IN REVERSE finest..0 LOOP
        ANALYZE finer;
        -- in the order of the primary key, which then grows at its end
        INSERT INTO cda.crater_count (run_id, cell_order, bin, cell, n)
        SELECT roll_up_bins.run_id, k, f.bin, f.cell, f.n FROM finer f ORDER BY f.bin, f.cell;
        CREATE TEMP TABLE coarser AS
            SELECT f.bin, f.cell >> 2 AS cell, sum(f.n)::int AS n FROM finer f GROUP BY 1, 2;
        DROP TABLE finer;
        ALTER TABLE coarser RENAME TO finer;
    END LOOP;
    DROP TABLE finer;
    RETURN total;
END $$;
COMMENT ON FUNCTION cda.roll_up_bins(int, int, int[]) IS
'Count a run''s craters of some root-2 bins (all without) by cell, from order finest (at most 13)
down to 0; returns how many those are. Several connections may each take bins of their own.
Example: SELECT cda.roll_up_bins(7, 9, ''{-8,-7}'')';

CREATE OR REPLACE FUNCTION cda.roll_up_shares(run_id int) RETURNS TABLE (bin int, share float8)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        WITH sample AS (SELECT cda.diameter_bin(diameter_m) AS bin, count(*) AS n
                        FROM cda.crater_r%s TABLESAMPLE SYSTEM (1) GROUP BY 1)
        SELECT k, coalesce(s.n, 0) / greatest(sum(s.n) OVER (), 1)::float8
        FROM generate_series(-25, 40) AS k LEFT JOIN sample s ON s.bin = k$sql$, run_id);
END $$;
COMMENT ON FUNCTION cda.roll_up_shares(int) IS
'About what share (0-1) of a run''s craters each root-2 bin holds, by a sample of the pages; every
bin has a row. Example: SELECT * FROM cda.roll_up_shares(7)';

CREATE OR REPLACE FUNCTION cda.roll_up_done(run_id int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    total bigint;
BEGIN
    SELECT coalesce(sum(n.n), 0) INTO total FROM cda.crater_count n
    WHERE n.run_id = roll_up_done.run_id AND n.cell_order = 0;
    UPDATE cda.catalogue c SET rolled_up_at = clock_timestamp()
    WHERE c.run_id = roll_up_done.run_id AND c.n_craters = total;
    RETURN total;
END $$;
COMMENT ON FUNCTION cda.roll_up_done(int) IS
'Sum of a run''s counts; where it is the catalogue''s number of craters the roll-up is said to be up
to date. Example: SELECT cda.roll_up_done(7)';

CREATE OR REPLACE FUNCTION cda.roll_up_counts(run_id int, finest int) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cda.roll_up_bins(run_id, finest);
    RETURN cda.roll_up_done(run_id);
END $$;
COMMENT ON FUNCTION cda.roll_up_counts(int, int) IS
'Count a run''s craters by cell and bin, from order finest (at most 13) down to 0; returns their sum.
Example: SELECT cda.roll_up_counts(7, 9)';
