-- Map plane to sphere, and how large a box of the map is on the ground.
-- Closed formulas of the sphere (Snyder 1987, USGS PP 1395), checked against PROJ in the tests:
-- ST_Transform gives no scale factors, and 10^8 boxes want less than a microsecond each.
-- Not STRICT where there is CASE, GREATEST or LEAST: the planner would not inline them.

CREATE OR REPLACE FUNCTION cda.map_lat(
    projection text, x float8, y float8, lat_ts float8, radius float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE projection
    WHEN 'equirectangular' THEN greatest(-90, least(90, degrees(y / radius)))
    WHEN 'lonlat' THEN greatest(-90, least(90, y))
    WHEN 'sinusoidal' THEN greatest(-90, least(90, degrees(y / radius)))
    WHEN 'mercator' THEN degrees(2 * atan(exp(y / (radius * cosd(lat_ts))))) - 90
    WHEN 'polar_stereographic' THEN
        sign(lat_ts) * (90 - 2 * degrees(atan(sqrt(x * x + y * y)
                                              / (radius * (1 + sind(abs(lat_ts)))))))
END;  -- no latitude for a projection that is none of these (least and greatest ignore nulls)
COMMENT ON FUNCTION cda.map_lat(text, float8, float8, float8, float8) IS
'Latitude (degrees) of a point of the map plane (metres; degrees for lonlat) of a sphere.
Example: SELECT cda.map_lat(''equirectangular'', 0, 592747.0, 0, 3396190) -- 10.0';

CREATE OR REPLACE FUNCTION cda.map_lon_unwrapped(
    projection text, x float8, y float8, lat float8, lon_0 float8, lat_ts float8, radius float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lon_0 + CASE projection
    WHEN 'equirectangular' THEN degrees(x / (radius * cosd(lat_ts)))
    WHEN 'lonlat' THEN x - lon_0
    WHEN 'sinusoidal' THEN degrees(x / (radius * greatest(cosd(lat), 1e-12)))
    WHEN 'mercator' THEN degrees(x / (radius * cosd(lat_ts)))
    WHEN 'polar_stereographic' THEN atan2d(x, -sign(lat_ts) * y)
END;
COMMENT ON FUNCTION cda.map_lon_unwrapped(text, float8, float8, float8, float8, float8, float8) IS
'As cda.map_lon, but some turns away from [-180, 180).
Example: SELECT cda.map_lon_unwrapped(''lonlat'', 200, 0, 0, 180, 0, 3396190) -- 200';

CREATE OR REPLACE FUNCTION cda.map_lon(
    projection text, x float8, y float8, lat float8, lon_0 float8, lat_ts float8, radius float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cda.wrap_lon(cda.map_lon_unwrapped(projection, x, y, lat, lon_0, lat_ts, radius));
COMMENT ON FUNCTION cda.map_lon(text, float8, float8, float8, float8, float8, float8) IS
'Longitude (degrees east, [-180, 180)) of a point of the map plane whose latitude is lat.
Example: SELECT cda.map_lon(''polar_stereographic'', 1000, 0, 89.98, 0, 90, 3396190) -- 90';

-- The map's derivative, map units a metre: eastward in x, northward in x, northward in y.
-- A conformal map is as good turned by any angle, so polar ones need no more.
CREATE OR REPLACE FUNCTION cda.map_x_east(
    projection text, lat float8, lat_ts float8, radius float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE projection
    WHEN 'equirectangular' THEN cosd(lat_ts) / greatest(cosd(lat), 1e-12)
    WHEN 'lonlat' THEN degrees(1 / (radius * greatest(cosd(lat), 1e-12)))
    WHEN 'sinusoidal' THEN 1
    WHEN 'mercator' THEN cosd(lat_ts) / greatest(cosd(lat), 1e-12)
    WHEN 'polar_stereographic' THEN
        (1 + sind(abs(lat_ts))) / (1 + sign(lat_ts) * sind(lat))
END;
COMMENT ON FUNCTION cda.map_x_east(text, float8, float8, float8) IS
'Map units in x that one metre eastward makes at latitude lat.
Example: SELECT cda.map_x_east(''equirectangular'', 60, 0, 3396190) -- 2';

CREATE OR REPLACE FUNCTION cda.map_y_north(
    projection text, lat float8, lat_ts float8, radius float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE projection
    WHEN 'equirectangular' THEN 1
    WHEN 'lonlat' THEN degrees(1 / radius)
    WHEN 'sinusoidal' THEN 1
    ELSE cda.map_x_east(projection, lat, lat_ts, radius)
END;
COMMENT ON FUNCTION cda.map_y_north(text, float8, float8, float8) IS
'Map units in y that one metre northward makes at latitude lat.
Example: SELECT cda.map_y_north(''equirectangular'', 60, 0, 3396190) -- 1';

CREATE OR REPLACE FUNCTION cda.map_x_north(
    projection text, lon float8, lat float8, lon_0 float8
) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE projection
    WHEN 'sinusoidal' THEN -radians(cda.wrap_lon(lon - lon_0)) * sind(lat)
    ELSE 0
END;
COMMENT ON FUNCTION cda.map_x_north(text, float8, float8, float8) IS
'Shear of a map: map units in x that one metre northward makes (not 0 in the sinusoidal only).
Example: SELECT cda.map_x_north(''sinusoidal'', 30, 30, 0) -- -0.2618';

-- A circle of diameter D on the ground has, in pixels, the box (D |J1|, D |J2|), J the derivative
-- of pixels by ground metres. Its diameter is then sqrt(w h) / sqrt(|J1| |J2|).
CREATE OR REPLACE FUNCTION cda.ground_scale(
    a float8, b float8, d float8, e float8, x_east float8, x_north float8, y_north float8
) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN abs(a * e - b * d) / sqrt(sqrt(
    ((e * x_east) ^ 2 + (e * x_north - b * y_north) ^ 2)
    * ((d * x_east) ^ 2 + (a * y_north - d * x_north) ^ 2)));
COMMENT ON FUNCTION cda.ground_scale(float8, float8, float8, float8, float8, float8, float8) IS
'Ground metres a pixel (geometric mean of the two ways across a box) from the affine a, b, d, e of
pixel to map and the map''s derivative. Example: SELECT cda.ground_scale(100, 0, 0, -100, 2, 0, 1)
-- 70.7, a pixel of an equirectangular map at 60 degrees';
