-- Craters near a place, on the body's sphere: right at the poles and across +-180.
-- PostGIS `geography` is not, once it uses an index: it pads boxes with the Earth's radius.
-- The index (Q3C) finds candidates in a slightly larger circle, the distance in metres decides.

CREATE OR REPLACE FUNCTION cda.require_run_catalogue(run_id int) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    n bigint;
BEGIN
    SELECT k.n_craters INTO n FROM cda.catalogue k WHERE k.run_id = require_run_catalogue.run_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % has no catalogue', run_id USING errcode = 'no_data_found',
            hint = 'See cda.run for the runs; cda ingest suppress makes a catalogue.';
    END IF;
    RETURN n;
END $$;
COMMENT ON FUNCTION cda.require_run_catalogue(int) IS
'Number of craters of a run; an error where it has no catalogue.
Example: SELECT cda.require_run_catalogue(7)';

CREATE OR REPLACE FUNCTION cda.craters_within(run_id int, lon float8, lat float8, metres float8)
RETURNS TABLE (crater_id bigint, crater_lon float8, crater_lat float8, diameter_m real, score real,
               distance_m float8)
LANGUAGE plpgsql STABLE ROWS 1000 SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    radius float8;
BEGIN
    PERFORM cda.require_run_catalogue(run_id);
    IF lon IS NULL OR NOT lat BETWEEN -90 AND 90 OR NOT metres >= 0 THEN
        RAISE EXCEPTION 'no circle of % m around longitude %, latitude %', metres, lon, lat
            USING errcode = 'invalid_parameter_value', hint = 'Degrees east and north, metres.';
    END IF;
    SELECT b.radius_m INTO STRICT radius FROM cda.run r JOIN cda.body b ON b.name = r.body
    WHERE r.run_id = craters_within.run_id;
    -- literals, so that the planner knows the circle's index ranges; past 60 degrees they would
    -- cover most of the sphere, and Q3C knows no circle beyond 90
    RETURN QUERY EXECUTE format($sql$
        SELECT * FROM (
            SELECT c.crater_id, c.lon, c.lat, c.diameter_m, c.score,
                   cda.great_circle_m(%2$L::float8, %3$L::float8, c.lon, c.lat, %4$L::float8) AS d
            FROM cda.crater_r%1$s c WHERE %5$s OFFSET 0) AS near
        WHERE d <= %6$L::float8 ORDER BY d, crater_id$sql$,
        run_id, lon, lat, radius,
        CASE WHEN degrees(greatest(metres, 1e-9) / radius) > 60 THEN 'true' ELSE format(
            'q3c_radial_query(c.lon, c.lat, %L::float8, %L::float8, %L::float8)',
            cda.wrap_lon(lon), lat, degrees(greatest(metres, 1e-9) / radius) * 1.000001 + 1e-9) END, metres);
END $$;
COMMENT ON FUNCTION cda.craters_within(int, float8, float8, float8) IS
'Craters of a run whose centre lies at most so many metres (great circle) from a place in degrees
east and north, nearest first. Example: SELECT * FROM cda.craters_within(7, 166.19, 7.70, 300000)';

CREATE OR REPLACE FUNCTION cda.nearest_craters(run_id int, lon float8, lat float8, k int)
RETURNS TABLE (crater_id bigint, crater_lon float8, crater_lat float8, diameter_m real, score real,
               distance_m float8)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    total bigint := cda.require_run_catalogue(run_id);
    radius float8;
    metres float8;
    n bigint;
BEGIN
    IF NOT k >= 1 THEN
        RAISE EXCEPTION 'the % nearest craters cannot be found', k
            USING errcode = 'invalid_parameter_value', hint = 'Ask for 1 or more.';
    END IF;
    SELECT b.radius_m INTO STRICT radius FROM cda.run r JOIN cda.body b ON b.name = r.body
    WHERE r.run_id = nearest_craters.run_id;
    -- a circle that would hold k on ground of mean density, doubled until it does
    metres := radius * 2 * sqrt(least(1, k / greatest(total, 1)::float8));
    LOOP
        SELECT count(*) INTO n FROM cda.craters_within(run_id, lon, lat, metres);
        EXIT WHEN n >= k OR metres > 3.2 * radius;  -- past half a turn there is no more
        metres := metres * 2;
    END LOOP;
    RETURN QUERY SELECT * FROM cda.craters_within(run_id, lon, lat, metres) AS w
        ORDER BY w.distance_m, w.crater_id LIMIT k;
END $$;
COMMENT ON FUNCTION cda.nearest_craters(int, float8, float8, int) IS
'The k craters of a run that lie nearest to a place (degrees east and north), nearest first.
Example: SELECT * FROM cda.nearest_craters(7, 166.19, 7.70, 10)';

CREATE OR REPLACE FUNCTION cda.craters_near(
    run_id int, lons float8[], lats float8[], metres float8
) RETURNS TABLE (point bigint, crater_id bigint, crater_lon float8, crater_lat float8,
                 diameter_m real, score real, distance_m float8)
LANGUAGE plpgsql STABLE ROWS 100000
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    radius float8;
BEGIN
    PERFORM cda.require_run_catalogue(run_id);
    IF cardinality(lons) <> cardinality(lats) THEN
        RAISE EXCEPTION '% longitudes and % latitudes', cardinality(lons), cardinality(lats)
            USING errcode = 'invalid_parameter_value', hint = 'Give arrays of equal length.';
    END IF;
    SELECT b.radius_m INTO STRICT radius FROM cda.run r JOIN cda.body b ON b.name = r.body
    WHERE r.run_id = craters_near.run_id;
    IF NOT (metres >= 0 AND degrees(greatest(metres, 1e-9) / radius) <= 60) THEN
        RAISE EXCEPTION 'no join over % m', metres USING errcode = 'invalid_parameter_value',
            hint = 'A join reaches 60 degrees of arc at most; see cda.craters_within.';
    END IF;
    RETURN QUERY EXECUTE format($sql$
        SELECT * FROM (
            SELECT p.point, c.crater_id, c.lon, c.lat, c.diameter_m, c.score,
                   cda.great_circle_m(p.lon, p.lat, c.lon, c.lat, %2$L::float8) AS d
            FROM (SELECT u.point, cda.wrap_lon(u.lon) AS lon, u.lat
                  FROM unnest($1, $2) WITH ORDINALITY AS u (lon, lat, point) OFFSET 0) AS p
            -- held to one look into the index a place
            CROSS JOIN LATERAL (
                SELECT * FROM cda.crater_r%1$s c
                WHERE q3c_join(p.lon, p.lat, c.lon, c.lat, %3$L::float8) OFFSET 0) AS c
            OFFSET 0) AS near
        WHERE d <= %4$L::float8$sql$,
        run_id, radius, degrees(greatest(metres, 1e-9) / radius) * 1.000001 + 1e-9, metres)
    USING lons, lats;
END $$;
COMMENT ON FUNCTION cda.craters_near(int, float8[], float8[], float8) IS
'Join of places with the craters of a run at most so many metres away: point is 1, 2, ... in the order
of the arrays. Example: SELECT p.name, n.* FROM (SELECT array_agg(lon ORDER BY id) AS lons,
array_agg(lat ORDER BY id) AS lats FROM mine) AS a, cda.craters_near(7, a.lons, a.lats, 5000) AS n
JOIN (SELECT name, row_number() OVER (ORDER BY id) AS point FROM mine) AS p USING (point)';
