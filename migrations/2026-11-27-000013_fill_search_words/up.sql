-- Fills the words of the videos that were there before, a thousand at a time: whoever votes meanwhile waits for one batch
-- and not for all of them. Broken off, it begins again: a video that has its words is left alone.
DO $$
DECLARE
    ids uuid[];
    last uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    LOOP
        ids := ARRAY(SELECT id FROM videos WHERE id > last ORDER BY id LIMIT 1000);
        EXIT WHEN ids = '{}';
        last := ids[cardinality(ids)];
        -- Locked in the order in which votes are counted.
        PERFORM FROM videos WHERE id = ANY (ids) AND search_key = '' ORDER BY id FOR NO KEY UPDATE;
        UPDATE videos SET title = title WHERE id = ANY (ids) AND search_key = '';
        COMMIT;
    END LOOP;
END $$;
