-- Detections in full, and the whole chain of one of them (rule 2: every number can be traced).

CREATE OR REPLACE VIEW cda.detection_detail AS
SELECT
    d.run_id, d.detection_id, b.batch_id, b.scene_id, b.factor AS level, d.tile_row, d.tile_col,
    d.lon, d.lat, d.diameter_m, d.score, d.cut, d.data_edge,
    CASE WHEN d.cut THEN 'cut'
         WHEN c.crater_id IS NOT NULL THEN 'kept'
         WHEN s.detection_id IS NOT NULL THEN 'suppressed'
         ELSE 'undecided' END AS verdict,
    s.crater_id AS suppressed_by, s.iou,
    -- box in pixels of the scene as seen: centre and size
    (cda.tile_origin(d.tile_col, f.level_width, f.tile_px, f.overlap_px) - f.margin_px
        + (d.x0 + d.x1) / 2) * f.factor AS x_px,
    (cda.tile_origin(d.tile_row, f.level_height, f.tile_px, f.overlap_px) - f.margin_px
        + (d.y0 + d.y1) / 2) * f.factor AS y_px,
    (d.x1 - d.x0) * f.factor AS w_px,
    (d.y1 - d.y0) * f.factor AS h_px,
    d.x0, d.y0, d.x1, d.y1
FROM cda.detection d
JOIN cda.batch b ON b.batch_id = d.detection_id >> 22
JOIN cda.batch_frame f ON f.batch_id = b.batch_id
LEFT JOIN cda.crater c ON c.run_id = d.run_id AND c.crater_id = d.detection_id
LEFT JOIN cda.suppression s ON s.run_id = d.run_id AND s.detection_id = d.detection_id;
COMMENT ON VIEW cda.detection_detail IS
'Detections with their verdict, their batch and their box in scene pixels; always give run_id';

CREATE OR REPLACE FUNCTION cda.source_image(scene_id int, lon float8, lat float8) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT image ->> 0
    FROM cda.scene s, jsonb_array_elements(s.label #> '{seams,images}')
        WITH ORDINALITY AS listed (image, place),
        LATERAL (SELECT public.st_geomfromtext(image ->> 1) AS outline OFFSET 0) AS shown,
        -- outlines go on past +-180 degrees
        LATERAL (SELECT lon - public.st_xmin(public.box3d(outline)) AS east OFFSET 0) AS turned
    WHERE s.scene_id = source_image.scene_id
      AND public.st_intersects(outline, public.st_point(lon + floor(east / 360) * -360, lat))
    ORDER BY place LIMIT 1;
END;
COMMENT ON FUNCTION cda.source_image(int, float8, float8) IS
'Product id of the image that a mosaic tile shows at a place, by the tile''s seam map; NULL without a
seam map or outside its outlines. Example: SELECT cda.source_image(3, -3.5, -30)';

CREATE OR REPLACE FUNCTION cda.provenance(id bigint) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT jsonb_build_object(
        'detection_id', d.detection_id,
        'verdict', d.verdict,
        'lon', d.lon, 'lat', d.lat, 'diameter_m', d.diameter_m, 'score', d.score,
        'cut', d.cut, 'data_edge', d.data_edge,
        'box_px', jsonb_build_array(d.x0, d.y0, d.x1, d.y1),
        'suppressed_by', CASE WHEN d.suppressed_by IS NOT NULL
            THEN jsonb_build_object('crater_id', d.suppressed_by, 'iou', d.iou) END,
        'suppressed', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'detection_id', s.detection_id, 'iou', s.iou, 'diameter_m', x.diameter_m,
                'score', x.score, 'scene', x.scene, 'level', x.level)
                ORDER BY s.detection_id), '[]')
            FROM cda.suppression s, LATERAL (
                SELECT l.diameter_m, l.score, n.name AS scene, o.factor AS level
                FROM cda.detection l JOIN cda.batch o ON o.batch_id = l.detection_id >> 22
                JOIN cda.scene n USING (scene_id)
                WHERE l.run_id = s.run_id AND l.detection_id = s.detection_id) AS x
            WHERE s.run_id = b.run_id AND s.crater_id = d.detection_id),
        'tile', jsonb_build_object(
            'level', d.level, 'row', d.tile_row, 'column', d.tile_col, 'side_px', r.tile_px,
            'centre_in_scene_px', jsonb_build_array(d.x_px, d.y_px)),
        -- the one image of the seam map, not all of them with their outlines
        'source_image', coalesce(cda.source_image(b.scene_id, d.lon, d.lat), (
            SELECT min(cda.source_image(n.neighbour_id, d.lon, d.lat)) FROM cda.run_neighbour n
            WHERE n.run_id = b.run_id AND n.scene_id = b.scene_id)),
        'scene', cda.scene_json(b.scene_id) #- '{label,seams,images}',
        'neighbours', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'name', s.name, 'file_sha256', encode(s.file_sha256, 'hex'),
                'x_px', n.x_px, 'y_px', n.y_px) ORDER BY s.sha256), '[]')
            FROM cda.run_neighbour n JOIN cda.scene s ON s.scene_id = n.neighbour_id
            WHERE n.run_id = b.run_id AND n.scene_id = b.scene_id),
        'batch', to_jsonb(b) - 'west' - 'east' - 'south' - 'north',
        'attempt', (SELECT to_jsonb(t) FROM cda.attempt t
                    WHERE t.batch_id = b.batch_id AND t.attempt = b.attempt),
        'run', jsonb_build_object(
            'run_id', r.run_id, 'name', r.name, 'body', r.body, 'config', r.config,
            'config_sha256', encode(r.config_sha256, 'hex'), 'code_version', r.code_version,
            'created_at', r.created_at),
        'model', jsonb_build_object(
            'name', m.name, 'weights_sha256', encode(m.sha256, 'hex'),
            'architecture', m.architecture, 'diameter_factor', m.diameter_factor))
    FROM cda.batch b
    JOIN cda.run r USING (run_id)
    JOIN cda.model m USING (model_id)
    JOIN cda.detection_detail d ON d.run_id = b.run_id AND d.detection_id = provenance.id
    WHERE b.batch_id = provenance.id >> 22;
END;
COMMENT ON FUNCTION cda.provenance(bigint) IS
'Where a detection or crater comes from, as JSON: box, tile, scene and its file''s sha256, source image
of a mosaic, neighbours, run, model weights, batch, attempt, and what it suppressed. Example: SELECT cda.provenance(71303171)';
