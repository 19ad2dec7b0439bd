-- No output of an earlier version has a tag. The triggers on `videos` exist already: their lock would last until all
-- videos are noted, and uploads and jobs would wait. If it is interrupted, it begins again.
DO $$
DECLARE
    ids uuid[];
    last uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    LOOP
        ids := ARRAY(SELECT id FROM videos WHERE id > last ORDER BY id LIMIT 10000);
        EXIT WHEN ids = '{}';
        last := ids[cardinality(ids)];
        INSERT INTO untagged (video_id)
            SELECT id FROM videos WHERE id = ANY (ids) AND is_public AND status = 'processed'
            ON CONFLICT DO NOTHING;
        COMMIT;
    END LOOP;
END $$;
