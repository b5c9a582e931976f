-- Rivals: all pairs of circles on the sphere whose overlap reaches the run's threshold, in one hash
-- join on cubes of space.
--
-- Cubes (x, y, z in metres: no pole, no seam), one grid for each class of radius [4^k, 4^(k+1)), of
-- 8 x 4^(k+1) m. A row lies in the cube of its centre, in its own class and in each higher one that
-- holds a larger rival (radius up to r / sqrt(t)); it asks, as the larger of a pair, the cubes that
-- the ball of its reach touches: nearly always one. The reach is exact: a rival of a circle of
-- radius r that is no larger lies within rival_reach(t) * r of its centre.

CREATE OR REPLACE FUNCTION cda.drop_scratch(VARIADIC names text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    scratch text;
BEGIN
    FOREACH scratch IN ARRAY names LOOP
        -- DROP .. IF EXISTS would say each time that there is none
        IF to_regclass('pg_temp.' || scratch) IS NOT NULL THEN
            EXECUTE format('DROP TABLE pg_temp.%I', scratch);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION cda.drop_scratch(text[]) IS
'Drop temporary tables of this session, where they are. Example: SELECT cda.drop_scratch(''work'', ''pair'')';

CREATE OR REPLACE FUNCTION cda.cube_scale() RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT array_agg(1 / (8 * 4.0::float8 ^ (k + 1)) ORDER BY k) FROM generate_series(0, 40) AS k;
END;
COMMENT ON FUNCTION cda.cube_scale() IS
'Cubes a metre of the grid of each class. Example: SELECT (cda.cube_scale())[1] -- 0.03125';

CREATE OR REPLACE FUNCTION cda.radius_class(radius_m float8) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(0, floor(ln(radius_m) * 0.7213475204444817::float8))::int;
COMMENT ON FUNCTION cda.radius_class(float8) IS
'k of [4^k, 4^(k+1)) metres, 0 below; suppression keeps a grid a class.
Example: SELECT cda.radius_class(20) -- 2';

-- 21 bits an axis: the finest grid has 2^18 cubes along the radius of Mars, 2^19 along Earth's.
CREATE OR REPLACE FUNCTION cda.cube(x float8, y float8, z float8, class int) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (floor(x)::bigint << 42) + (floor(y)::bigint << 21) + floor(z)::bigint + class * 7919000001;
COMMENT ON FUNCTION cda.cube(float8, float8, float8, int) IS
'Number of the cube that holds a point (in cubes) of a class''s grid; within a class no two cubes
share one. Example: SELECT cda.cube(0.5, 0.5, 0.5, 0) -- 0';

CREATE OR REPLACE FUNCTION cda.work_sql(source text, radius_m float8, iou_threshold float8)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN format($sql$
    CREATE TEMP TABLE work AS
    SELECT id, lon, lat, r, x, y, z, cda.cube(x * f, y * f, z * f, class) AS cube, place, class,
           (floor((x - q) * f) <> floor((x + q) * f))::int
           + (floor((y - q) * f) <> floor((y + q) * f))::int * 2
           + (floor((z - q) * f) <> floor((z + q) * f))::int * 4 AS axes,
           score, own, r * f * %4$L::float8 >= 1 AS up
    FROM (SELECT *, %3$L::float8 * r + 0.001::float8 AS q,
                 (cda.cube_scale())[class + 1] AS f,
                 -- 1e-100 m: the square of no difference is too small for a float8, an error here
                 %2$L::float8 * cos_lat * cos(radians(lon)) + 1e-100::float8 AS x,
                 %2$L::float8 * cos_lat * sin(radians(lon)) + 1e-100::float8 AS y,
                 %2$L::float8 * sin(radians(lat)) + 1e-100::float8 AS z
          FROM (%1$s) AS source OFFSET 0) AS spaced$sql$,
    -- f is 1 / (8 * 4^(class + 1)): whether a rival may be of a higher class, a little generously
    source, radius_m, cda.rival_reach(iou_threshold) * 1.000001, 8 * 1.000002 / sqrt(iou_threshold));
COMMENT ON FUNCTION cda.work_sql(text, float8, float8) IS
'The statement that makes the work table of the rows of a query (id, lon, lat, r, score, own, place,
class: cda.radius_class(r), cos_lat: the latitude''s cosine) with their cubes, for a body''s radius in metres and a threshold of IoU. Example: internal to cda.suppress_load';

-- Rows as the smaller of a pair: in the cube of their centre, in their own class and in each higher
-- one where a larger rival may be.
CREATE OR REPLACE FUNCTION cda.small_side_sql(iou_threshold float8) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN 'SELECT *, class AS grid, cube AS key FROM work' || (
    SELECT string_agg(format(
        ' UNION ALL SELECT id, lon, lat, r, x, y, z, cube, place, class, axes, score, own, up,'
        ' class + %1$s, cda.cube(x * f, y * f, z * f, class + %1$s)'
        ' FROM (SELECT *, (cda.cube_scale())[class + %1$s + 1] AS f FROM work'
        ' WHERE up AND (%1$s = 1 OR cda.radius_class(r * %2$L::float8) >= class + %1$s)'
        ' OFFSET 0) AS up_%1$s',
        up, 1.000001 / sqrt(iou_threshold)), '' ORDER BY up)
    FROM generate_series(1, ceil(ln(1.000002 / sqrt(iou_threshold)) / ln(4.0::float8))::int) AS up);
COMMENT ON FUNCTION cda.small_side_sql(float8) IS
'Query for the rows of the work table by grid and cube. Example: internal to cda.suppress_pairs';

-- Rows as the larger of a pair: every cube that the ball of the reach touches, each once.
CREATE OR REPLACE FUNCTION cda.large_side_sql(reach float8) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN format($sql$
    SELECT *, cube AS key FROM work WHERE axes = 0
    UNION ALL
    SELECT id, lon, lat, r, x, y, z, cube, place, class, axes, score, own, up,
           cda.cube(x0 + i, y0 + j, z0 + k, class)
    FROM (SELECT *, floor((x - q) * f) AS x0, floor((y - q) * f) AS y0, floor((z - q) * f) AS z0
          FROM (SELECT *, %1$L::float8 * r + 0.001::float8 AS q, (cda.cube_scale())[class + 1] AS f
                FROM work WHERE axes > 0 OFFSET 0) AS wide OFFSET 0) AS corner
    JOIN (VALUES %2$s) AS step (axes, i, j, k) USING (axes)$sql$,
    reach * 1.000001,
    (SELECT string_agg(format('(%s, %s, %s, %s)', axes, step & 1, step >> 1 & 1, step >> 2), ', ')
     FROM generate_series(1, 7) AS axes, generate_series(0, 7) AS step WHERE step & ~axes = 0));
COMMENT ON FUNCTION cda.large_side_sql(float8) IS
'Query for the rows of the work table by the cubes in which each may have a smaller rival.
Example: internal to cda.suppress_pairs';

CREATE OR REPLACE FUNCTION cda.suppress_pairs(run_id int) RETURNS bigint
LANGUAGE plpgsql SET enable_mergejoin = off AS $$
DECLARE
    t float8;
    radius float8;
    n bigint;
BEGIN
    SELECT iou_threshold, radius_m INTO STRICT t, radius
    FROM cda.run JOIN cda.body ON body.name = run.body WHERE run.run_id = suppress_pairs.run_id;
    PERFORM cda.drop_scratch('pair');
    -- each pair once, by its larger circle; the smaller lies within rival_reach of its centre, and
    -- the chord is no longer than the arc
    EXECUTE format($sql$
        CREATE TEMP TABLE pair AS
        SELECT CASE WHEN a_wins THEN a_id ELSE b_id END AS winner,
               CASE WHEN a_wins THEN b_id ELSE a_id END AS loser,
               -- the rank of the winner: score, r, place
               CASE WHEN a_wins THEN a_place ELSE b_place END AS place,
               CASE WHEN a_wins THEN a_r ELSE b_r END AS r,
               CASE WHEN a_wins THEN a_score ELSE b_score END AS score, iou::real AS iou,
               CASE WHEN a_wins THEN a_own ELSE b_own END AS winner_own,
               CASE WHEN a_wins THEN b_own ELSE a_own END AS loser_own
        FROM (SELECT *, cda.circle_iou(distance, a_r, b_r) AS iou,
                     (a_score, a_r, b_place) > (b_score, b_r, a_place) AS a_wins
              FROM (SELECT a.id AS a_id, b.id AS b_id, a.place AS a_place, b.place AS b_place,
                           a.r AS a_r, b.r AS b_r, a.score AS a_score, b.score AS b_score,
                           a.own AS a_own, b.own AS b_own,
                           cda.great_circle_m(a.lon, a.lat, b.lon, b.lat, %1$L) AS distance
                    FROM (%5$s) AS a JOIN (%6$s) AS b ON a.key = b.key AND b.grid - a.class = 0
                    WHERE b.r <= a.r AND b.r >= a.r * %3$L::float8
                      AND (b.r < a.r OR b.id < a.id) AND (a.own OR b.own)
                      AND (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y)
                          + (a.z - b.z) * (a.z - b.z)
                          <= (a.r * %2$L::float8 + 0.001::float8) * (a.r * %2$L::float8 + 0.001::float8)
                    OFFSET 0) AS near OFFSET 0) AS rival
        WHERE iou >= %4$L::float8$sql$,
        radius, cda.rival_reach(t) * 1.000001, sqrt(t) * 0.999999, t,
        cda.large_side_sql(cda.rival_reach(t)), cda.small_side_sql(t));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
COMMENT ON FUNCTION cda.suppress_pairs(int) IS
'Find all pairs of rivals in the work table, the winner by rank; returns their number.
Example: SELECT cda.suppress_pairs(7)';
