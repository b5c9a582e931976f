-- Who may do what. The reader's and the ingest role's rights are exactly these lines.

REVOKE ALL ON SCHEMA cda FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA cda FROM PUBLIC, cda_reader, cda_ingest;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cda FROM PUBLIC, cda_reader, cda_ingest;
GRANT USAGE ON SCHEMA cda TO cda_reader, cda_ingest;

-- reader: everything may be read; functions run with the caller's own rights
GRANT SELECT ON ALL TABLES IN SCHEMA cda TO cda_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA cda GRANT SELECT ON TABLES TO cda_reader;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cda TO cda_reader;
REVOKE EXECUTE ON FUNCTION
    cda.claim_batch, cda.renew_batch, cda.fail_batch, cda.take_staging_slot, cda.finish_batch
FROM cda_reader;

-- ingest: claim, renew, fail, finish, and COPY into staging; nothing else
GRANT EXECUTE ON FUNCTION
    cda.claim_batch, cda.renew_batch, cda.fail_batch, cda.take_staging_slot, cda.finish_batch,
    cda.open_batches
TO cda_ingest;
DO $$
BEGIN
    FOR slot IN 0..15 LOOP
        EXECUTE format('GRANT INSERT ON cda.staging_%s TO cda_ingest', lpad(slot::text, 2, '0'));
    END LOOP;
END $$;
