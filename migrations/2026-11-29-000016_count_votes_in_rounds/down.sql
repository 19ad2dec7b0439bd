-- Counts players anew. The rows are locked first, in one order: the statement after that sees what others
-- committed before, and those who come later see this.
CREATE OR REPLACE FUNCTION rank_players(players bigint[]) RETURNS void LANGUAGE plpgsql AS $$
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
        SELECT coalesce(sum(v.votes), 0)::bigint AS votes, min(v.uploaded_at) AS since,
            (array_agg(v.id ORDER BY v.votes DESC, v.uploaded_at, v.id))[1] AS best
        FROM videos v
        WHERE v.user_id = player.id AND v.is_public AND v.status = 'processed') AS now
    WHERE standings.user_id = player.id;
END $$;

CREATE OR REPLACE FUNCTION rank_changed_videos() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    players bigint[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(DISTINCT now.user_id ORDER BY now.user_id) INTO players
        FROM before AS once JOIN after AS now USING (id)
        WHERE ((once.is_public AND once.status = 'processed') OR (now.is_public AND now.status = 'processed'))
            AND (once.votes, once.is_public, once.status, once.uploaded_at)
                IS DISTINCT FROM (now.votes, now.is_public, now.status, now.uploaded_at);
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT user_id ORDER BY user_id) INTO players
        FROM after WHERE is_public AND status = 'processed';
    ELSE
        SELECT array_agg(DISTINCT user_id ORDER BY user_id) INTO players
        FROM before WHERE is_public AND status = 'processed';
    END IF;
    IF players IS NOT NULL THEN
        PERFORM rank_players(players);
    END IF;
    RETURN NULL;
END $$;

DROP FUNCTION count_votes;
DROP INDEX uncounted_noted_at;
ALTER TABLE uncounted DROP COLUMN noted_at;
