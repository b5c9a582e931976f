-- Density roll-up: counts by HEALPix cell and root-2 bin, ready at orders 9 to 0.

CREATE OR REPLACE FUNCTION cda.roll_up_counts(run_id int, finest int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    k int;
    total bigint;
BEGIN
    DELETE FROM cda.crater_count n WHERE n.run_id = roll_up_counts.run_id;
    SET LOCAL client_min_messages = warning;
    DROP TABLE IF EXISTS pg_temp.finer, pg_temp.coarser;
    -- into a table of its own, because an INSERT .. SELECT never runs parallel
    EXECUTE format($sql$
        CREATE TEMP TABLE finer AS
        SELECT cda.diameter_bin(diameter_m)::smallint AS bin, cell >> %2$s AS cell, count(*)::int AS n
        FROM cda.crater_r%1$s GROUP BY 1, 2$sql$, run_id, 2 * (13 - finest));
    FOR k IN REVERSE finest..0 LOOP
        ANALYZE finer;
        -- in the order of the primary key, which then grows at its end
        INSERT INTO cda.crater_count (run_id, cell_order, bin, cell, n)
        SELECT roll_up_counts.run_id, k, f.bin, f.cell, f.n FROM finer f ORDER BY f.bin, f.cell;
        CREATE TEMP TABLE coarser AS
            SELECT f.bin, f.cell >> 2 AS cell, sum(f.n)::int AS n FROM finer f GROUP BY 1, 2;
        DROP TABLE finer;
        ALTER TABLE coarser RENAME TO finer;
    END LOOP;
    DROP TABLE finer;
    SELECT coalesce(sum(n.n), 0) INTO total FROM cda.crater_count n
    WHERE n.run_id = roll_up_counts.run_id AND n.cell_order = 0;
    UPDATE cda.catalogue c SET rolled_up_at = clock_timestamp()
    WHERE c.run_id = roll_up_counts.run_id;
    RETURN total;
END $$;
COMMENT ON FUNCTION cda.roll_up_counts(int, int) IS
'Count a run''s craters by cell and bin, from order finest (at most 13) down to 0; returns their sum.
Example: SELECT cda.roll_up_counts(7, 9)';
