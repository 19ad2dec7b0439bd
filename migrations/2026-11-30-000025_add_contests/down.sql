-- Counts the votes of the videos that the `most` oldest rows of `uncounted` name. `is_more`: the round was full, and the
-- next one should begin at once. `oldest_left`: age (s) of the oldest vote that is still uncounted, 0 if there is none.
-- Skips videos that another transaction has locked. Locks videos in the order of their ids.
CREATE OR REPLACE FUNCTION count_votes(most bigint, OUT is_more boolean, OUT oldest_left double precision) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    picked bigint;
    noted uuid[];
    locked uuid[];
    counted uuid[];
    added bigint[];
BEGIN
    SELECT count(*), array_agg(DISTINCT video_id) INTO picked, noted
        FROM (SELECT video_id FROM uncounted ORDER BY noted_at LIMIT most) AS oldest;
    locked := ARRAY(SELECT id FROM videos WHERE id = ANY (noted) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED);
    WITH taken AS (DELETE FROM uncounted WHERE video_id = ANY (locked) RETURNING video_id, votes)
        SELECT array_agg(video_id), array_agg(sum) INTO counted, added
        FROM (SELECT video_id, sum(votes)::bigint FROM taken GROUP BY video_id) AS video;
    UPDATE videos SET votes = videos.votes + video.added
        FROM unnest(counted, added) AS video (id, added) WHERE videos.id = video.id;
    IF cardinality(locked) < cardinality(noted) THEN
        -- Votes for a deleted video are dropped.
        DELETE FROM uncounted
            WHERE video_id = ANY (noted) AND NOT EXISTS (SELECT FROM videos WHERE id = video_id);
    END IF;
    is_more := picked = most AND locked <> '{}';
    oldest_left := coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(noted_at) FROM uncounted)), 0);
END $$;

-- Recomputes the standings of players. Their rows are locked first, in one order: the statements after that see what others
-- committed before, and later transactions see this. The videos of a player are filtered after the look-up by `user_id`:
-- a condition on them would offer indexes that hold the videos of everybody.
CREATE OR REPLACE FUNCTION rank_players(players bigint[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    locked bigint;
BEGIN
    PERFORM FROM standings WHERE user_id = ANY (players) ORDER BY user_id FOR NO KEY UPDATE;
    GET DIAGNOSTICS locked = ROW_COUNT;
    IF locked < cardinality(players) THEN
        INSERT INTO standings (user_id, city_key)
            SELECT id, city_key FROM users WHERE id = ANY (players) ORDER BY id
            ON CONFLICT DO NOTHING;
        PERFORM FROM standings WHERE user_id = ANY (players) ORDER BY user_id FOR NO KEY UPDATE;
    END IF;
    UPDATE standings SET votes = now.votes, since = now.since, best = now.best
    FROM unnest(players) AS player (id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(v.votes) FILTER (WHERE v.is_public AND v.status = 'processed'), 0)::bigint AS votes,
            min(v.uploaded_at) FILTER (WHERE v.is_public AND v.status = 'processed') AS since,
            (array_agg(v.id ORDER BY v.votes DESC, v.uploaded_at, v.id)
                FILTER (WHERE v.is_public AND v.status = 'processed'))[1] AS best
        FROM videos v
        WHERE v.user_id = player.id) AS now
    WHERE standings.user_id = player.id;
END $$;

DROP FUNCTION open_ballot();
DROP FUNCTION count_cast(bigint[], timestamptz, timestamptz);
DROP TABLE vote_hours;
DROP TABLE results;
ALTER TABLE uploads DROP COLUMN contest_id;
ALTER TABLE videos DROP COLUMN contest_id;
DROP TABLE contests;
