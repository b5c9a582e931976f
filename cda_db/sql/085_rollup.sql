-- Density roll-up: counts by HEALPix cell and root-2 bin, ready at orders 9 to 0.

CREATE OR REPLACE FUNCTION cda.roll_up_counts(run_id int, finest int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    k int;
    total bigint;
BEGIN
    DELETE FROM cda.crater_count n WHERE n.run_id = roll_up_counts.run_id;
    INSERT INTO cda.crater_count (run_id, cell_order, bin, cell, n)
    SELECT c.run_id, finest, cda.diameter_bin(c.diameter_m), c.cell >> 2 * (13 - finest), count(*)
    FROM cda.crater c WHERE c.run_id = roll_up_counts.run_id GROUP BY 1, 3, 4;
    FOR k IN REVERSE finest - 1..0 LOOP
        INSERT INTO cda.crater_count (run_id, cell_order, bin, cell, n)
        SELECT n.run_id, k, n.bin, n.cell >> 2, sum(n.n) FROM cda.crater_count n
        WHERE n.run_id = roll_up_counts.run_id AND n.cell_order = k + 1 GROUP BY 1, 3, 4;
    END LOOP;
    SELECT coalesce(sum(n.n), 0) INTO total FROM cda.crater_count n
    WHERE n.run_id = roll_up_counts.run_id AND n.cell_order = 0;
    UPDATE cda.catalogue c SET rolled_up_at = clock_timestamp()
    WHERE c.run_id = roll_up_counts.run_id;
    RETURN total;
END $$;
COMMENT ON FUNCTION cda.roll_up_counts(int, int) IS
'Count a run''s craters by cell and bin, from order finest (at most 13) down to 0; returns their sum.
Example: SELECT cda.roll_up_counts(7, 9)';
