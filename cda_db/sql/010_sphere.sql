-- Distances and overlaps on a body's sphere.
-- Q3C measures angles and knows no planet; metres come from the body's radius.

-- The last double below 180 must stay: lon + 180 rounds to 360, and it would leave the range.
CREATE OR REPLACE FUNCTION cda.wrap_lon(lon float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN lon >= -180 AND lon < 180 THEN lon ELSE lon - 360 * floor((lon + 180) / 360) END;
COMMENT ON FUNCTION cda.wrap_lon(float8) IS
'Longitude in degrees east, brought to [-180, 180). Example: SELECT cda.wrap_lon(207.76) -- -152.24';

CREATE OR REPLACE FUNCTION cda.great_circle_m(
    lon_1 float8, lat_1 float8, lon_2 float8, lat_2 float8, radius_m float8
) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN radians(public.q3c_dist(lon_1, lat_1, lon_2, lat_2)) * radius_m;
COMMENT ON FUNCTION cda.great_circle_m(float8, float8, float8, float8, float8) IS
'Great-circle distance in metres of two points (degrees) on a sphere of radius_m metres.
Example: SELECT cda.great_circle_m(0, 0, 90, 0, 3396190) -- 5334722.8, a quarter of Mars';

-- Not STRICT: the planner does not inline a strict function that holds CASE, GREATEST or LEAST, and
-- a call costs more than the formula. circle_iou returns null for null.
CREATE OR REPLACE FUNCTION cda.lens_area(
    distance float8, radius_1 float8, radius_2 float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN
    radius_1 * radius_1 * acos(greatest(-1, least(1,
        (distance * distance + radius_1 * radius_1 - radius_2 * radius_2)
        / (2 * distance * radius_1))))
    + radius_2 * radius_2 * acos(greatest(-1, least(1,
        (distance * distance + radius_2 * radius_2 - radius_1 * radius_1)
        / (2 * distance * radius_2))))
    - 0.5 * sqrt(greatest(0,
        (radius_1 + radius_2 - distance) * (distance + radius_1 - radius_2)
        * (distance - radius_1 + radius_2) * (distance + radius_1 + radius_2)));
COMMENT ON FUNCTION cda.lens_area(float8, float8, float8) IS
'Common area of two overlapping circles that are not nested, in the square of the inputs'' unit.
Example: SELECT cda.lens_area(1, 1, 1) -- 1.2284';
-- Planar lens area of two circles (rule 1: IoU in true metres on the sphere, by this formula).
CREATE OR REPLACE FUNCTION cda.circle_iou(
    distance_m float8, radius_1 float8, radius_2 float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN distance_m + radius_1 + radius_2 IS NULL THEN NULL
    WHEN distance_m >= radius_1 + radius_2 THEN 0
    -- 1e-150: a smaller distance has a square too small for a float8, which is an error
    WHEN distance_m <= abs(radius_1 - radius_2) + 1e-150::float8 THEN
        (least(radius_1, radius_2) / greatest(radius_1, radius_2)) ^ 2
    -- common / (both - common), with the common area named once: it is the dear part
    ELSE coalesce(1 / (pi() * (radius_1 * radius_1 + radius_2 * radius_2)
                       / nullif(cda.lens_area(distance_m, radius_1, radius_2), 0) - 1), 0)
END;

COMMENT ON FUNCTION cda.circle_iou(float8, float8, float8) IS
'Intersection over union of two circles: centre distance and radii in one unit; 0 to 1.
Example: SELECT cda.circle_iou(0, 1, 2) -- 0.25, a crater in another of twice its size';

-- IoU >= t needs a diameter ratio >= sqrt(t), and the distance is largest for equal circles:
-- 0.875 r at t = 0.3, r at t = 0.2431. Below that the bound is the sum of the radii.
CREATE OR REPLACE FUNCTION cda.rival_reach(iou_threshold float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
    WHEN iou_threshold >= 0.3 THEN 0.88
    WHEN iou_threshold >= 0.2431 THEN 1.0
    ELSE 2.0
END;
COMMENT ON FUNCTION cda.rival_reach(float8) IS
'Upper bound of centre distance / larger radius of two circles whose IoU is at least the threshold.
Example: SELECT cda.rival_reach(0.3) -- 0.88';
