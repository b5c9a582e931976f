-- Exact greedy suppression on the sphere (rule 1): the catalogue equals greedy NMS over all whole
-- detections of a run, ranked by (score desc, diameter desc, place of content), never by arrival.
--
-- The work is done zone by zone (a box of longitude and latitude), from any number of connections:
--   suppress_begin   temporary tables of this session
--   suppress_load    a zone's own detections, and the halo: every other that may have a rival in it
--   suppress_pairs   all rivals (057_rivals.sql: one hash join on cubes of space)
--   suppress_rounds  "keep what outranks all its undecided rivals, drop its rivals", to the end
--   suppress_store   what is certain goes to the catalogue; what hangs on another zone waits
--   suppress_rest    when all zones are stored: the chains that leave their zone, to the end
-- Their tables are made anew for each zone: CREATE TABLE AS writes a row in two thirds of INSERT's time.
--   work      a row a detection: place in metres (x, y, z), class and cube as in 057_rivals.sql, rank;
--             axes: a bit (x 1, y 2, z 4) for each along which its reach leaves the cube (a cube's side
--             is more than twice the reach, so it then touches two); up: a rival may be of a higher class
--   pair      winner, loser, the rank of the winner (score, r, place), iou
--   verdict   a row a loser: its highest-ranked rival and its fate: dropped, kept, open while rounds
--             go on, waiting for another zone
-- The halo is exact: a rival of a circle of radius r lies within rival_reach(t) / sqrt(t) * r of
-- it, because its own radius is at most r / sqrt(t).

CREATE OR REPLACE FUNCTION cda.suppress_begin(run_id int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning;
    CREATE TEMP TABLE IF NOT EXISTS batch_rank (
        batch_id bigint PRIMARY KEY, rank bigint NOT NULL);
    -- two, to filter from one into the other: a DELETE costs more
    CREATE TEMP TABLE IF NOT EXISTS open_pair (
        winner bigint NOT NULL, loser bigint NOT NULL, winner_own boolean NOT NULL);
    CREATE TEMP TABLE IF NOT EXISTS open_pair_next (LIKE open_pair);
    CREATE TEMP TABLE IF NOT EXISTS dropped (id bigint NOT NULL, round int NOT NULL);
    CREATE TEMP TABLE IF NOT EXISTS closure (
        id bigint PRIMARY KEY, lon float8 NOT NULL, lat float8 NOT NULL, r float8 NOT NULL,
        depth int NOT NULL);
    TRUNCATE batch_rank;
    -- order of content among equals: scene, level, tile row; within a batch the id's low bits
    INSERT INTO batch_rank
    SELECT b.batch_id, row_number() OVER (ORDER BY s.sha256, b.factor, b.row_start)
    FROM cda.batch b JOIN cda.scene s USING (scene_id)
    WHERE b.run_id = suppress_begin.run_id AND b.decided;
    ANALYZE batch_rank;
END $$;
COMMENT ON FUNCTION cda.suppress_begin(int) IS
'Make this session''s scratch tables and the order of the run''s batches by content.
Example: SELECT cda.suppress_begin(7)';

-- Not STRICT, so that the planner inlines it though it holds CASE and GREATEST.
CREATE OR REPLACE FUNCTION cda.zone_distance_deg(
    lon float8, lat float8, west float8, south float8, east float8, north float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(
    0, south - lat, lat - north,
    -- to the nearer of the two meridians, the short way round; past 90 degrees to the pole
    CASE WHEN lon BETWEEN west AND east THEN 0
         WHEN least(abs(cda.wrap_lon(lon - west)), abs(cda.wrap_lon(lon - east))) >= 90
             THEN 90 - abs(lat)
         ELSE asind(sind(least(abs(cda.wrap_lon(lon - west)), abs(cda.wrap_lon(lon - east))))
                    * cosd(lat)) END);
COMMENT ON FUNCTION cda.zone_distance_deg(float8, float8, float8, float8, float8, float8) IS
'Lower bound (degrees) of the distance of a point to a box of longitude and latitude; 0 inside.
Example: SELECT cda.zone_distance_deg(179, 0, -180, -10, -170, 10) -- 1';

CREATE OR REPLACE FUNCTION cda.suppress_load(
    run_id int, west float8, south float8, east float8, north float8
) RETURNS bigint
LANGUAGE plpgsql SET enable_nestloop = on AS $$
DECLARE
    t float8;
    radius float8;
    n bigint;
    by_id boolean := to_regclass(format('cda.detection_r%s_detection_id_key', run_id)) IS NOT NULL;
BEGIN
    SELECT iou_threshold, radius_m INTO STRICT t, radius
    FROM cda.run JOIN cda.body ON body.name = run.body WHERE run.run_id = suppress_load.run_id;
    PERFORM cda.drop_scratch('work');
    -- a zone's batches one by one, or while there is no index, all rows once
    PERFORM set_config('enable_nestloop', by_id::text, true);
    EXECUTE cda.work_sql(format($sql$
        SELECT * FROM (
            SELECT d.detection_id AS id, d.lon, d.lat, d.diameter_m::float8 / 2 AS r, d.score,
                   cda.radius_class(d.diameter_m::float8 / 2) AS class, cos(radians(d.lat)) AS cos_lat,
                   (k.rank << 22) | (d.detection_id & 4194303) AS place,
                   d.diameter_m::float8 * ($5 / 2 * 1.000001) + 1e-9 AS halo,
                   d.lon >= $1 AND d.lon < $3 AND d.lat >= $2 AND (d.lat < $4 OR $4 >= 90) AS own
            FROM (%2$s) AS k
            JOIN cda.detection_r%1$s d ON %3$s
            WHERE NOT d.cut OFFSET 0) AS near
        -- the latitude alone turns most rows away
        WHERE own OR (lat >= $2 - halo AND lat <= $4 + halo
                      AND cda.zone_distance_deg(lon, lat, $1, $2, $3, $4) <= halo)$sql$,
        run_id, cda.zone_batches_sql(run_id),
        CASE WHEN by_id
             THEN 'd.detection_id BETWEEN k.batch_id << 22 AND ((k.batch_id + 1) << 22) - 1'
             ELSE 'd.detection_id >> 22 = k.batch_id' END), radius, t)
    USING west, south, east, north, degrees(cda.rival_reach(t) / sqrt(t) / radius);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
COMMENT ON FUNCTION cda.suppress_load(int, float8, float8, float8, float8) IS
'Fill this session''s work table with the whole detections of a zone (west, south, east, north in
degrees) and its halo; returns their number. Example: SELECT cda.suppress_load(7, -180, -90, 180, 90)';

-- Batches whose detections may lie in the zone or its halo, by the bounds kept with each batch:
-- $1..$4 the zone, $5 degrees of reach a metre of radius.
CREATE OR REPLACE FUNCTION cda.zone_batches_sql(run_id int) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format($sql$
    SELECT b.batch_id, k.rank
    FROM cda.batch b JOIN batch_rank k USING (batch_id),
         LATERAL (SELECT b.max_diameter_m / 2 * $5 * 1.000001 + 1e-6 AS reach,
                         greatest(abs(b.south), abs(b.north)) AS top) AS x,
         LATERAL (SELECT CASE WHEN x.top + x.reach >= 89.9 THEN 360
                              ELSE degrees(asin(least(1, sind(x.reach) / cosd(x.top)))) + 1e-6
                         END AS lon_reach) AS y
    WHERE b.run_id = %s AND b.n_detections > 0
      AND b.south - x.reach <= $4 AND b.north + x.reach >= $2
      AND least(greatest(b.west - $3, $1 - b.east),
                greatest(b.west + 360 - $3, $1 - b.east - 360),
                greatest(b.west - 360 - $3, $1 - b.east + 360)) <= y.lon_reach
    -- first of all, so that a detection is held against one list, not two
    OFFSET 0$sql$, run_id);
COMMENT ON FUNCTION cda.zone_batches_sql(int) IS
'Query for the batches that a zone must read. Example: internal to cda.suppress_load';

CREATE OR REPLACE FUNCTION cda.suppress_rounds() RETURNS int
LANGUAGE plpgsql SET enable_mergejoin = off SET enable_nestloop = off SET jit = off AS $$
DECLARE
    step int := 0;
    n bigint;
    now_open text := 'open_pair';
    next_open text := 'open_pair_next';
BEGIN
    PERFORM cda.drop_scratch('verdict', 'unsure_pair');
    TRUNCATE open_pair, open_pair_next, dropped;
    -- the highest-ranked rival of each own row that has one above it; whose rival is outranked by
    -- nothing is dropped, by that one: nearly all
    CREATE TEMP TABLE verdict AS
        WITH best AS MATERIALIZED (
            SELECT DISTINCT ON (p.loser) p.loser, p.winner, p.iou, p.winner_own
            FROM pair p WHERE p.loser_own
            ORDER BY p.loser, p.score DESC, p.r DESC, p.place
        )
        SELECT b.loser AS id, b.winner, b.iou,
               CASE WHEN b.winner_own AND above.loser IS NULL THEN 'dropped' ELSE 'open' END AS fate
        FROM best b LEFT JOIN best above ON above.loser = b.winner;
    CREATE TEMP TABLE unsure_pair AS
        SELECT p.* FROM pair p JOIN verdict v ON v.id = p.loser WHERE v.fate = 'open';
    IF NOT EXISTS (SELECT FROM unsure_pair) THEN
        RETURN 1;
    END IF;
    INSERT INTO dropped
    SELECT DISTINCT v.id, -1 FROM verdict v JOIN unsure_pair p ON p.winner = v.id
    WHERE v.fate = 'dropped';
    INSERT INTO open_pair
    SELECT p.winner, p.loser, p.winner_own FROM unsure_pair p
    WHERE NOT EXISTS (SELECT FROM dropped d WHERE d.id = p.winner);
    LOOP
        -- a winner that nothing outranks any more is kept, and its rivals go; a winner of the
        -- halo is another zone's to decide
        EXECUTE format($sql$
            INSERT INTO dropped
            SELECT DISTINCT p.loser, %2$s FROM %1$s AS p
            WHERE p.winner_own AND NOT EXISTS (SELECT FROM %1$s AS q WHERE q.loser = p.winner)$sql$,
            now_open, step);
        GET DIAGNOSTICS n = ROW_COUNT;
        EXIT WHEN n = 0;
        EXECUTE format($sql$
            INSERT INTO %2$s
            SELECT p.winner, p.loser, p.winner_own FROM %1$s AS p
            WHERE NOT EXISTS (SELECT FROM dropped d WHERE d.round = %3$s AND d.id = p.loser)
              AND NOT EXISTS (SELECT FROM dropped d WHERE d.round = %3$s AND d.id = p.winner)$sql$,
            now_open, next_open, step);
        now_open := next_open;
        next_open := CASE now_open WHEN 'open_pair' THEN 'open_pair_next' ELSE 'open_pair' END;
        EXECUTE format('TRUNCATE %s', next_open);
        step := step + 1;
    END LOOP;
    PERFORM cda.settle_open(now_open);
    RETURN step + 1;
END $$;
COMMENT ON FUNCTION cda.suppress_rounds() IS
'Decide the pairs of this session to the fixed point; returns the number of rounds.
Example: SELECT cda.suppress_rounds()';

CREATE OR REPLACE FUNCTION cda.settle_open(still_open text) RETURNS void
LANGUAGE plpgsql SET enable_mergejoin = off SET enable_nestloop = off SET jit = off AS $$
BEGIN
    -- undecided, or dropped but perhaps to a higher rival elsewhere: the rest decides
    EXECUTE format($sql$
        WITH fate AS (
            SELECT v.id,
                   CASE WHEN bool_or(NOT p.winner_own OR o.loser IS NOT NULL) THEN 'waiting'
                        WHEN d.id IS NOT NULL THEN 'dropped' ELSE 'kept' END AS fate
            FROM verdict v JOIN unsure_pair p ON p.loser = v.id
            LEFT JOIN (SELECT DISTINCT loser FROM %I) AS o ON o.loser = p.winner
            LEFT JOIN dropped d ON d.id = v.id
            WHERE v.fate = 'open' GROUP BY v.id, d.id
        )
        UPDATE verdict v SET fate = f.fate FROM fate f
        WHERE f.id = v.id AND v.fate = 'open'$sql$, still_open);
    -- the rival to name is the highest-ranked one that was kept
    UPDATE verdict v SET winner = w.winner, iou = w.iou
    FROM (SELECT DISTINCT ON (p.loser) p.loser, p.winner, p.iou
          FROM unsure_pair p LEFT JOIN verdict x ON x.id = p.winner
          WHERE x.id IS NULL OR x.fate = 'kept'
          ORDER BY p.loser, p.score DESC, p.r DESC, p.place) AS w
    WHERE v.id = w.loser AND v.fate = 'dropped';
END $$;
COMMENT ON FUNCTION cda.settle_open(text) IS
'Name the fate of the rows that the first look left open. Example: internal to cda.suppress_rounds';

CREATE OR REPLACE FUNCTION cda.suppress_store(
    run_id int, OUT craters bigint, OUT suppressed bigint
)
LANGUAGE plpgsql SET enable_mergejoin = off SET enable_nestloop = off SET jit = off AS $$
BEGIN
    -- in the order of the sphere, so that neighbours share pages
    EXECUTE format($sql$
        INSERT INTO cda.crater_r%1$s (run_id, cell, crater_id, lon, lat, diameter_m, score)
        SELECT %1$s, cell, id, lon, lat, diameter_m, score FROM (%2$s) AS kept ORDER BY cell$sql$,
        run_id, cda.healpix_sql($sql$
            SELECT w.id, w.lon, w.lat, (w.r * 2)::real AS diameter_m, w.score FROM work w
            WHERE w.own
              AND NOT EXISTS (SELECT FROM verdict v WHERE v.id = w.id AND v.fate <> 'kept')$sql$, 13));
    GET DIAGNOSTICS craters = ROW_COUNT;
    EXECUTE format($sql$
        INSERT INTO cda.suppression_r%1$s (run_id, iou, detection_id, crater_id)
        SELECT %1$s, v.iou, v.id, v.winner FROM verdict v WHERE v.fate = 'dropped'$sql$, run_id);
    GET DIAGNOSTICS suppressed = ROW_COUNT;
    INSERT INTO cda.rest_row (run_id, detection_id, dropped)
    SELECT suppress_store.run_id, v.id, d.id IS NOT NULL
    FROM verdict v LEFT JOIN dropped d USING (id) WHERE v.fate = 'waiting';
    INSERT INTO cda.rest_pair (run_id, winner, loser, iou, score, radius_m, place)
    SELECT suppress_store.run_id, p.winner, p.loser, p.iou, p.score, p.r, p.place
    FROM unsure_pair p JOIN verdict v ON v.id = p.loser WHERE v.fate = 'waiting';
END $$;
COMMENT ON FUNCTION cda.suppress_store(int) IS
'Store the verdicts of this session''s zone: craters, suppressions, and the rest that hangs on other
zones; returns how many craters and suppressions. Example: SELECT * FROM cda.suppress_store(7)';

CREATE OR REPLACE FUNCTION cda.suppress_rest(
    run_id int, OUT waiting bigint, OUT craters bigint, OUT suppressed bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    SET LOCAL client_min_messages = warning;
    DROP TABLE IF EXISTS rest_state, rest;
    CREATE TEMP TABLE rest AS
        SELECT winner, loser, iou, score, radius_m, place FROM cda.rest_pair p
        WHERE p.run_id = suppress_rest.run_id;
    -- state of every detection that takes part: kept, dropped or (null) open
    CREATE TEMP TABLE rest_state AS
        SELECT detection_id AS id, CASE WHEN dropped THEN false END AS kept, true AS own
        FROM cda.rest_row r WHERE r.run_id = suppress_rest.run_id;
    SELECT count(*) INTO waiting FROM rest_state;
    INSERT INTO rest_state
    SELECT w.id, EXISTS (SELECT FROM cda.crater c
                         WHERE c.run_id = suppress_rest.run_id AND c.crater_id = w.id), false
    FROM (SELECT DISTINCT winner AS id FROM rest
          EXCEPT SELECT id FROM rest_state) AS w;
    CREATE UNIQUE INDEX ON rest_state (id);
    CREATE INDEX ON rest (loser);
    ANALYZE rest_state;
    ANALYZE rest;
    LOOP
        WITH decided AS (
            SELECT s.id, CASE WHEN bool_or(w.kept) THEN false
                              WHEN bool_and(NOT w.kept) AND count(w.kept) = count(*) THEN true END AS kept
            FROM rest_state s JOIN rest p ON p.loser = s.id JOIN rest_state w ON w.id = p.winner
            WHERE s.kept IS NULL GROUP BY s.id
        )
        UPDATE rest_state s SET kept = d.kept FROM decided d
        WHERE s.id = d.id AND d.kept IS NOT NULL;
        GET DIAGNOSTICS n = ROW_COUNT;
        EXIT WHEN n = 0;
    END LOOP;
    INSERT INTO cda.crater (run_id, cell, crater_id, lon, lat, diameter_m, score)
    SELECT suppress_rest.run_id, cda.healpix_cell(13, d.lon, d.lat), d.detection_id, d.lon, d.lat,
           d.diameter_m, d.score
    FROM rest_state s JOIN cda.detection d
      ON d.run_id = suppress_rest.run_id AND d.detection_id = s.id
    WHERE s.own AND s.kept;
    GET DIAGNOSTICS craters = ROW_COUNT;
    INSERT INTO cda.suppression (run_id, iou, detection_id, crater_id)
    SELECT DISTINCT ON (p.loser) suppress_rest.run_id, p.iou, p.loser, p.winner
    FROM rest_state s JOIN rest p ON p.loser = s.id JOIN rest_state w ON w.id = p.winner
    WHERE s.own AND NOT s.kept AND w.kept
    ORDER BY p.loser, p.score DESC, p.radius_m DESC, p.place;
    GET DIAGNOSTICS suppressed = ROW_COUNT;
    DELETE FROM cda.rest_pair p WHERE p.run_id = suppress_rest.run_id;
    DELETE FROM cda.rest_row r WHERE r.run_id = suppress_rest.run_id;
END $$;
COMMENT ON FUNCTION cda.suppress_rest(int) IS
'Decide the chains of overlaps that leave their zone, once every zone is stored; returns how many
detections that were, and the craters and suppressions that came of it.
Example: SELECT * FROM cda.suppress_rest(7)';
