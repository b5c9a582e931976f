-- Audits where constraints would cost too much, and a checksum over content.

CREATE OR REPLACE FUNCTION cda.audit(run_id int) RETURNS TABLE (audit text, n bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT 'detections of no finished batch' AS audit, count(*) AS n
    FROM cda.detection d WHERE d.run_id = audit.run_id AND NOT EXISTS (
        SELECT FROM cda.batch b WHERE b.batch_id = d.detection_id >> 22
        AND b.run_id = d.run_id AND b.state = 'done')
    UNION ALL
    SELECT 'batches whose count differs from their rows' AS audit, count(*) AS n
    FROM (SELECT b.batch_id, b.n_detections, b.n_cut FROM cda.batch b
          WHERE b.run_id = audit.run_id AND b.state = 'done') AS b
    LEFT JOIN (SELECT d.detection_id >> 22 AS batch_id, count(*) AS n,
                      count(*) FILTER (WHERE d.cut) AS cuts
               FROM cda.detection d WHERE d.run_id = audit.run_id GROUP BY 1) AS x USING (batch_id)
    WHERE b.n_detections <> coalesce(x.n, 0) OR b.n_cut <> coalesce(x.cuts, 0)
    UNION ALL
    SELECT 'duplicate detections' AS audit, count(*) - count(DISTINCT d.detection_id) AS n
    FROM cda.detection d WHERE d.run_id = audit.run_id
    UNION ALL
    SELECT 'duplicate craters' AS audit, count(*) - count(DISTINCT c.crater_id) AS n
    FROM cda.crater c WHERE c.run_id = audit.run_id
    UNION ALL
    SELECT 'duplicate suppressions' AS audit, count(*) - count(DISTINCT s.detection_id) AS n
    FROM cda.suppression s WHERE s.run_id = audit.run_id
    UNION ALL
    SELECT 'craters of no whole detection' AS audit, count(*) AS n
    FROM cda.crater c WHERE c.run_id = audit.run_id AND NOT EXISTS (
        SELECT FROM cda.detection d WHERE d.run_id = c.run_id
        AND d.detection_id = c.crater_id AND NOT d.cut
        AND (d.lon, d.lat, d.diameter_m, d.score) = (c.lon, c.lat, c.diameter_m, c.score))
    UNION ALL
    SELECT 'suppressions of no whole detection' AS audit, count(*) AS n
    FROM cda.suppression s WHERE s.run_id = audit.run_id AND NOT EXISTS (
        SELECT FROM cda.detection d WHERE d.run_id = s.run_id
        AND d.detection_id = s.detection_id AND NOT d.cut)
    UNION ALL
    SELECT 'suppressions by no crater' AS audit, count(*) AS n
    FROM cda.suppression s WHERE s.run_id = audit.run_id AND NOT EXISTS (
        SELECT FROM cda.crater c WHERE c.run_id = s.run_id AND c.crater_id = s.crater_id)
    UNION ALL
    SELECT 'detections both kept and suppressed' AS audit, count(*) AS n
    FROM cda.suppression s JOIN cda.crater c
      ON c.run_id = s.run_id AND c.crater_id = s.detection_id
    WHERE s.run_id = audit.run_id
    UNION ALL
    SELECT 'whole detections without verdict' AS audit, count(*) AS n
    FROM cda.detection d JOIN cda.batch b ON b.batch_id = d.detection_id >> 22 AND b.decided
    WHERE d.run_id = audit.run_id AND NOT d.cut
      AND EXISTS (SELECT FROM cda.catalogue k WHERE k.run_id = d.run_id)
      AND NOT EXISTS (SELECT FROM cda.redecide x
                      WHERE x.run_id = d.run_id AND x.detection_id = d.detection_id)
      AND NOT EXISTS (SELECT FROM cda.crater c
                      WHERE c.run_id = d.run_id AND c.crater_id = d.detection_id)
      AND NOT EXISTS (SELECT FROM cda.suppression s
                      WHERE s.run_id = d.run_id AND s.detection_id = d.detection_id)
    UNION ALL
    SELECT 'catalogue counts that differ from rows' AS audit, count(*) AS n
    FROM cda.catalogue k WHERE k.run_id = audit.run_id AND (
        k.n_craters <> (SELECT count(*) FROM cda.crater c WHERE c.run_id = k.run_id)
        OR k.n_suppressed <> (SELECT count(*) FROM cda.suppression s WHERE s.run_id = k.run_id)
        OR k.n_cut <> (SELECT coalesce(sum(b.n_cut), 0) FROM cda.batch b
                       WHERE b.run_id = k.run_id AND b.decided))
    UNION ALL
    SELECT 'roll-ups that do not add up to the catalogue' AS audit, count(*) AS n
    FROM cda.catalogue k, LATERAL generate_series(0, (
        SELECT coalesce(max(x.cell_order), 0) FROM cda.crater_count x
        WHERE x.run_id = k.run_id)) AS o (cell_order)
    WHERE k.run_id = audit.run_id AND k.rolled_up_at IS NOT NULL AND k.n_craters <> (
        SELECT coalesce(sum(x.n), 0) FROM cda.crater_count x
        WHERE x.run_id = k.run_id AND x.cell_order = o.cell_order);
END;
COMMENT ON FUNCTION cda.audit(int) IS
'Counts of what must not be: orphans, duplicates, rows without verdict. All 0 in a sound run.
Example: SELECT * FROM cda.audit(7) WHERE n > 0';

-- Joins as written, by hashing: the planner thinks little of "detection_id >> 22", and walks 10^6 rows
-- for each of 10^6.
CREATE OR REPLACE FUNCTION cda.content_checksum(run_id int) RETURNS text
LANGUAGE sql STABLE SET enable_nestloop = off SET join_collapse_limit = 1
BEGIN ATOMIC
    WITH rows AS (
        SELECT d.detection_id, hash_record_extended(ROW(
            s.sha256, b.factor, d.tile_row, d.tile_col, d.x0, d.y0, d.x1, d.y1, d.score,
            d.lon, d.lat, d.diameter_m, d.cut, d.data_edge), 0) AS content
        FROM cda.detection d JOIN cda.batch b ON b.batch_id = d.detection_id >> 22
        JOIN cda.scene s USING (scene_id)
        WHERE d.run_id = content_checksum.run_id
    ), verdicts AS (
        SELECT r.content, c.crater_id IS NOT NULL AS kept, v.iou, k.content AS winner
        FROM rows r
        LEFT JOIN cda.crater c ON c.run_id = content_checksum.run_id AND c.crater_id = r.detection_id
        LEFT JOIN cda.suppression v
          ON v.run_id = content_checksum.run_id AND v.detection_id = r.detection_id
        LEFT JOIN rows k ON k.detection_id = v.crater_id
    )
    -- a sum does not care about order, and unlike an exclusive or it sees pairs
    SELECT format('%s-%s', count(*), md5(coalesce(
        sum(hash_record_extended(ROW(content, kept, iou, winner), 0)::numeric), 0)::text))
    FROM verdicts;
END;
COMMENT ON FUNCTION cda.content_checksum(int) IS
'Checksum of a run''s detections and verdicts by content, not by ids: equal for any order of ingest,
number of workers or batches. Example: SELECT cda.content_checksum(7)';
