-- Imaged ground by diameter (rule 5): the union of the scenes whose size windows hold the bin.

CREATE OR REPLACE FUNCTION cda.bin_edges_m() RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT array_agg(1000 * 2 ^ (k / 2.0::float8) ORDER BY k) FROM generate_series(-24, 40) AS k;
END;
COMMENT ON FUNCTION cda.bin_edges_m() IS
'Lower edges (metres) of the root-2 diameter bins k = -24 .. 40: 2^(k/2) km.
Example: SELECT (cda.bin_edges_m())[25] -- 1000, the edge of bin 0';

-- By logarithm: a search among the edges costs four times as much. The edges' own rounding is a
-- thousand times smaller than 1e-9, the next smaller float4 170 times larger.
CREATE OR REPLACE FUNCTION cda.diameter_bin(diameter_m real) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN diameter_m > 0 THEN
    greatest(-25, least(40, floor(ln(diameter_m::float8 / 1000) * 2.8853900817779268::float8 + 1e-9)))
    ::int END;
COMMENT ON FUNCTION cda.diameter_bin(real) IS
'Root-2 bin k of a diameter: 2^(k/2) <= D/km < 2^((k+1)/2).
Example: SELECT cda.diameter_bin(1500) -- 1';

CREATE OR REPLACE FUNCTION cda.scene_levels(run_id int)
RETURNS TABLE (scene_id int, factor real, least_m float8, most_m float8)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT s.scene_id, l.factor, l.min_px * l.factor * s.pixel_scale_m * m.diameter_factor,
           l.max_px * l.factor * s.pixel_scale_m * m.diameter_factor
    FROM cda.run r JOIN cda.model m USING (model_id) JOIN cda.run_level l USING (run_id)
    JOIN cda.run_scene rs USING (run_id) JOIN cda.scene s ON s.scene_id = rs.scene_id
    WHERE r.run_id = scene_levels.run_id
      -- ground that no detector has seen yet is not empty: it is not imaged (rule 5)
      AND EXISTS (SELECT FROM cda.batch b WHERE b.run_id = r.run_id AND b.scene_id = s.scene_id
                  AND b.factor = l.factor AND b.decided);
END;
COMMENT ON FUNCTION cda.scene_levels(int) IS
'Smallest and largest diameter (metres) that a run could find in each scene at each level that is
done there. Example: SELECT * FROM cda.scene_levels(7)';

CREATE OR REPLACE FUNCTION cda.bin_coverage(run_id int, bin int)
RETURNS TABLE (scene_id int, factor real)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH edges AS (
        SELECT 1000 * 2 ^ (bin_coverage.bin / 2.0::float8) * 1.000001 AS low,
               1000 * 2 ^ ((bin_coverage.bin + 1) / 2.0::float8) * 0.999999 AS high
    ), level AS (
        SELECT l.*, low, high, least_m <= low AND most_m >= high AS alone
        FROM cda.scene_levels(bin_coverage.run_id) l, edges WHERE least_m < high AND most_m > low
    ), placed AS (  -- by windows: a join of thousands of scenes with themselves would be a loop
        SELECT l.scene_id, l.factor, alone, bool_or(alone) OVER (PARTITION BY l.scene_id) AS by_one,
            min(l.factor) OVER (PARTITION BY l.scene_id) AS finest,
            -- windows that join can hold together what none holds alone
            range_agg(numrange(least_m::numeric, most_m::numeric, '[]'))
                OVER (PARTITION BY l.scene_id) @> numrange(low::numeric, high::numeric) AS whole
        FROM level l
    )
    SELECT DISTINCT p.scene_id, (
        SELECT max(c.factor) FROM cda.scene_coverage c
        WHERE c.scene_id = p.scene_id AND c.factor <= greatest(p.factor, 1))
    FROM placed p WHERE whole AND (alone OR NOT by_one AND p.factor = finest);
END;
COMMENT ON FUNCTION cda.bin_coverage(int, int) IS
'The rows of scene_coverage on whose ground a run could find every crater of a root-2 bin: of each
level that holds the bin, or of the finest of those that hold it together.
Example: SELECT * FROM cda.bin_coverage(7, 0)';

CREATE OR REPLACE FUNCTION cda.imaged_parts(run_id int, bin int)
RETURNS TABLE (
    cell_order smallint, ranges int8multirange, border_cells bigint[], border_masks bigint[]
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH chosen AS MATERIALIZED (
        SELECT s.coverage_order, c.ranges, c.border_cells, c.border_masks
        FROM cda.bin_coverage(imaged_parts.run_id, imaged_parts.bin) b
        JOIN cda.scene_coverage c USING (scene_id, factor) JOIN cda.scene s USING (scene_id)
    ), whole AS MATERIALIZED (
        SELECT c.coverage_order, coalesce(range_agg(x), '{}') AS ranges
        FROM chosen c LEFT JOIN LATERAL unnest(c.ranges) AS x ON true GROUP BY 1
    ), border AS (
        SELECT c.coverage_order, x.cell, bit_or(x.mask) AS mask
        FROM chosen c, LATERAL unnest(c.border_cells, c.border_masks) AS x (cell, mask)
        GROUP BY 1, 2
    ), part AS (
        -- what neighbours make whole stays here, with a full mask: ranges cost ten times more
        SELECT b.coverage_order, array_agg(b.cell ORDER BY b.cell) AS cells,
               array_agg(b.mask ORDER BY b.cell) AS masks
        FROM border b JOIN whole w USING (coverage_order) WHERE NOT w.ranges @> b.cell GROUP BY 1
    )
    SELECT w.coverage_order, w.ranges, coalesce(p.cells, '{}'), coalesce(p.masks, '{}')
    FROM whole w LEFT JOIN part p USING (coverage_order) ORDER BY 1;
END;
COMMENT ON FUNCTION cda.imaged_parts(int, int) IS
'Imaged ground for a root-2 bin of a run, overlaps counted once: for each HEALPix order that its
scenes have, whole cells, and border cells with the mask of their 64 sub-cells (all, if neighbours
make them whole).
Example: SELECT cell_order, cardinality(border_cells) FROM cda.imaged_parts(7, 0)';

CREATE OR REPLACE FUNCTION cda.at_order(ranges int8multirange, from_order int, to_order int)
RETURNS SETOF int8range
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT int8range(lower(x) << 2 * (to_order - from_order),
                     upper(x) << 2 * (to_order - from_order))
    FROM unnest(ranges) AS x;
END;
COMMENT ON FUNCTION cda.at_order(int8multirange, int, int) IS
'Ranges of nested HEALPix cells at a finer order.
Example: SELECT * FROM cda.at_order(''{[1,2)}'', 3, 4) -- [4,8)';

CREATE OR REPLACE FUNCTION cda.part_ranges(
    ranges int8multirange, border_cells bigint[], border_masks bigint[]
) RETURNS int8multirange
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(range_agg(x), '{}') FROM (
        SELECT int8range(lower(r) << 6, upper(r) << 6) FROM unnest(ranges) AS r
        UNION ALL
        SELECT int8range(cell << 6, (cell + 1) << 6)
        FROM unnest(border_cells, border_masks) AS b (cell, mask) WHERE mask = -1
        UNION ALL
        SELECT int8range((cell << 6) + i, (cell << 6) + i + 1)
        FROM unnest(border_cells, border_masks) AS b (cell, mask), generate_series(0, 63) AS i
        WHERE mask <> -1 AND (mask >> i) & 1 = 1
    ) AS piece (x);
END;
COMMENT ON FUNCTION cda.part_ranges(int8multirange, bigint[], bigint[]) IS
'Whole cells and masked border cells as one set of cells three orders finer.
Example: SELECT cda.part_ranges(''{[1,2)}'', ''{2}'', ''{3}'') -- {[64,130)}';

CREATE OR REPLACE FUNCTION cda.imaged_order(run_id int) RETURNS int
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(max(s.coverage_order), 0) + 3
    FROM cda.run_scene rs JOIN cda.scene s USING (scene_id)
    WHERE rs.run_id = imaged_order.run_id;
END;
COMMENT ON FUNCTION cda.imaged_order(int) IS
'HEALPix order that holds the imaged ground of all of a run''s scenes exactly: that of the finest
sub-cells. Example: SELECT cda.imaged_order(7)';

CREATE OR REPLACE FUNCTION cda.imaged_ranges(run_id int, bin int, cell_order int)
RETURNS int8multirange
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(range_agg(x), '{}')
    FROM cda.imaged_parts(imaged_ranges.run_id, imaged_ranges.bin) p,
         LATERAL cda.at_order(cda.part_ranges(p.ranges, p.border_cells, p.border_masks),
                              p.cell_order + 3, imaged_ranges.cell_order) AS x;
END;
COMMENT ON FUNCTION cda.imaged_ranges(int, int, int) IS
'Imaged ground for a root-2 bin of a run, as nested HEALPix cells of an order at least as fine as
cda.imaged_order; overlaps count once.
Example: SELECT cda.imaged_ranges(7, 0, cda.imaged_order(7))';

-- Every change of the set of usable scenes with diameter starts a new layer of imaged ground.
CREATE OR REPLACE FUNCTION cda.roll_up_ground(run_id int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    k int;
    layers int := 0;
    used text[];
    last_used text[] := '{}';
BEGIN
    DELETE FROM cda.imaged_layer l WHERE l.run_id = roll_up_ground.run_id;
    DELETE FROM cda.imaged_ground g WHERE g.run_id = roll_up_ground.run_id;
    FOR k IN -24..40 LOOP
        SELECT array_agg(b::text ORDER BY b) INTO used
        FROM cda.bin_coverage(run_id, k) b;
        CONTINUE WHEN used IS NULL;
        IF used <> last_used THEN
            layers := layers + 1;
            INSERT INTO cda.imaged_ground
                (run_id, layer, cell_order, ranges, border_cells, border_masks)
            SELECT roll_up_ground.run_id, layers, p.* FROM cda.imaged_parts(run_id, k) p;
            last_used := used;
        END IF;
        INSERT INTO cda.imaged_layer VALUES (roll_up_ground.run_id, k, layers);
    END LOOP;
    RETURN layers;
END $$;
COMMENT ON FUNCTION cda.roll_up_ground(int) IS
'Make the imaged ground of a run by diameter bin; returns the number of distinct layers.
Example: SELECT cda.roll_up_ground(7)';

CREATE OR REPLACE FUNCTION cda.cell_fractions(
    ranges int8multirange, from_order int, cell_order int
) RETURNS TABLE (cell bigint, fraction float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH shift AS (SELECT 2 * greatest(from_order - cell_order, 0) AS bits)
    SELECT c, sum(least(upper(x), (c + 1) << bits) - greatest(lower(x), c << bits))
              / (1::bigint << bits)::float8
    FROM shift,
         LATERAL cda.at_order(ranges, from_order, greatest(from_order, cell_order)) AS x,
         LATERAL generate_series(lower(x) >> bits, (upper(x) - 1) >> bits) AS c
    GROUP BY c, bits;
END;
COMMENT ON FUNCTION cda.cell_fractions(int8multirange, int, int) IS
'Imaged part (0-1) of every HEALPix cell of an order that the ranges touch.
Example: SELECT * FROM cda.cell_fractions(''{[0,2)}'', 4, 3) -- cell 0: 0.5';

CREATE OR REPLACE FUNCTION cda.scene_fractions(scene_id int, factor real, cell_order int)
RETURNS TABLE (cell bigint, fraction float8)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT f.cell, f.fraction
    FROM cda.scene_coverage c JOIN cda.scene s USING (scene_id),
         LATERAL cda.cell_fractions(cda.part_ranges(c.ranges, c.border_cells, c.border_masks),
                                    s.coverage_order + 3, scene_fractions.cell_order) AS f
    WHERE c.scene_id = scene_fractions.scene_id AND c.factor = (
        SELECT max(x.factor) FROM cda.scene_coverage x
        WHERE x.scene_id = scene_fractions.scene_id
          AND x.factor <= greatest(scene_fractions.factor, 1));
END;
COMMENT ON FUNCTION cda.scene_fractions(int, real, int) IS
'Imaged part (0-1) of every HEALPix cell that a scene touches, as a level sees it.
Example: SELECT * FROM cda.scene_fractions(3, 1, 9)';
