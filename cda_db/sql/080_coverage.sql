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

CREATE OR REPLACE FUNCTION cda.scene_windows(run_id int)
RETURNS TABLE (scene_id int, least_m float8, most_m float8)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    -- neighbouring levels' windows meet (create refuses gaps), so a scene has one window
    SELECT s.scene_id, min(l.min_px * l.factor) * s.pixel_scale_m * m.diameter_factor,
           max(l.max_px * l.factor) * s.pixel_scale_m * m.diameter_factor
    FROM cda.run r JOIN cda.model m USING (model_id) JOIN cda.run_level l USING (run_id)
    JOIN cda.run_scene rs USING (run_id) JOIN cda.scene s ON s.scene_id = rs.scene_id
    WHERE r.run_id = scene_windows.run_id
      -- ground that no detector has seen yet is not empty: it is not imaged (rule 5)
      AND EXISTS (SELECT FROM cda.batch b WHERE b.run_id = r.run_id AND b.scene_id = s.scene_id
                  AND b.factor = l.factor AND b.decided)
    GROUP BY s.scene_id, s.pixel_scale_m, m.diameter_factor;
END;
COMMENT ON FUNCTION cda.scene_windows(int) IS
'Smallest and largest diameter (metres) that a run could find in each scene, by the levels that are
done there.
Example: SELECT * FROM cda.scene_windows(7)';

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

CREATE OR REPLACE FUNCTION cda.imaged_ranges(run_id int, bin int, cell_order int)
RETURNS int8multirange
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(range_agg(x), '{}')
    FROM cda.scene_windows(imaged_ranges.run_id) w JOIN cda.scene s USING (scene_id),
         LATERAL cda.at_order(s.coverage, s.coverage_order, imaged_ranges.cell_order) AS x
    WHERE w.least_m <= 1000 * 2 ^ (imaged_ranges.bin / 2.0::float8) * 1.000001
      AND w.most_m >= 1000 * 2 ^ ((imaged_ranges.bin + 1) / 2.0::float8) * 0.999999;
END;
COMMENT ON FUNCTION cda.imaged_ranges(int, int, int) IS
'Imaged ground for a root-2 bin of a run, as nested HEALPix cells of an order at least as fine as
its scenes'' own; overlaps count once. Example: SELECT cda.imaged_ranges(7, 0, 14)';

-- Every change of the set of usable scenes with diameter starts a new layer of imaged ground.
CREATE OR REPLACE FUNCTION cda.roll_up_ground(run_id int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    k int;
    layers int := 0;
    scenes int[];
    last_scenes int[] := '{}';
    fine int;
BEGIN
    DELETE FROM cda.imaged_layer l WHERE l.run_id = roll_up_ground.run_id;
    DELETE FROM cda.imaged_ground g WHERE g.run_id = roll_up_ground.run_id;
    SELECT coalesce(max(s.coverage_order), 0) INTO fine
    FROM cda.run_scene rs JOIN cda.scene s USING (scene_id) WHERE rs.run_id = roll_up_ground.run_id;
    FOR k IN -24..40 LOOP
        SELECT array_agg(w.scene_id ORDER BY w.scene_id) INTO scenes
        FROM cda.scene_windows(run_id) w
        WHERE w.least_m <= 1000 * 2 ^ (k / 2.0::float8) * 1.000001
          AND w.most_m >= 1000 * 2 ^ ((k + 1) / 2.0::float8) * 0.999999;
        CONTINUE WHEN scenes IS NULL;
        IF scenes <> last_scenes THEN
            layers := layers + 1;
            INSERT INTO cda.imaged_ground (run_id, layer, cell_order, ranges)
            VALUES (roll_up_ground.run_id, layers, fine, cda.imaged_ranges(run_id, k, fine));
            last_scenes := scenes;
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
