-- Finds the places of the players who were there before, a thousand at a time, so that votes for their videos wait for
-- one batch at most. If it is interrupted, it begins again and skips players who have a `city_name`. A player's row in
-- `standings` is locked after all videos of the player, as when votes are counted.
DO $$
DECLARE
    ids bigint[];
    last bigint := 0;
BEGIN
    LOOP
        ids := ARRAY(SELECT id FROM users WHERE id > last ORDER BY id LIMIT 1000);
        EXIT WHEN ids = '{}';
        last := ids[cardinality(ids)];
        UPDATE users SET city_key = city_key WHERE id = ANY (ids) AND city_name = '';
        COMMIT;
    END LOOP;
END $$;
