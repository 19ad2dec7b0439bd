-- The read side of the rankings. Triggers keep it, in the transaction that votes, publishes, processes or
-- deletes: so no statement can forget it. Keys of cities compare byte by byte, so that all cities that begin
-- with a word are one range of an index.
ALTER TABLE videos ADD COLUMN city_key text COLLATE "C" NOT NULL DEFAULT '';
UPDATE videos SET city_key = users.city_key FROM users WHERE users.id = user_id;

-- One row for each player who ever had a public processed video; `best` is null while there is none.
CREATE TABLE standings (
    user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    city_key text COLLATE "C" NOT NULL,
    -- Of all their public processed videos.
    votes bigint NOT NULL DEFAULT 0,
    -- When the first of them was uploaded.
    since timestamptz,
    -- The most voted of them; of equals the earlier one.
    best uuid
);
CREATE INDEX standings_votes ON standings (votes DESC, since, best) WHERE best IS NOT NULL;
CREATE INDEX standings_city ON standings (city_key, votes DESC, since, user_id) WHERE best IS NOT NULL;

-- Counts players anew. The rows are locked first, in one order: the statement after that sees what others
-- committed before, and those who come later see this.
CREATE FUNCTION rank_players(players bigint[]) RETURNS void LANGUAGE plpgsql AS $$
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

CREATE FUNCTION rank_changed_videos() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER videos_added AFTER INSERT ON videos
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION rank_changed_videos();
CREATE TRIGGER videos_changed AFTER UPDATE ON videos
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION rank_changed_videos();
CREATE TRIGGER videos_removed AFTER DELETE ON videos
    REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION rank_changed_videos();

-- A video is where its player is.
CREATE FUNCTION place_video() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.city_key := coalesce((SELECT city_key FROM users WHERE id = NEW.user_id), '');
    RETURN NEW;
END $$;
CREATE TRIGGER videos_placed BEFORE INSERT ON videos
    FOR EACH ROW EXECUTE FUNCTION place_video();

CREATE FUNCTION move_player() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE videos SET city_key = NEW.city_key WHERE user_id = NEW.id;
    UPDATE standings SET city_key = NEW.city_key WHERE user_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER users_moved AFTER UPDATE OF city_key ON users
    FOR EACH ROW WHEN (OLD.city_key IS DISTINCT FROM NEW.city_key) EXECUTE FUNCTION move_player();

-- Everybody at once: in one pass over the videos, and not one look-up for each player.
CREATE FUNCTION rank_everybody() RETURNS void LANGUAGE sql AS $$
    INSERT INTO standings (user_id, city_key, votes, since, best)
        SELECT user_id, min(city_key), sum(votes), min(uploaded_at),
            (array_agg(id ORDER BY votes DESC, uploaded_at, id))[1]
        FROM videos WHERE is_public AND status = 'processed' GROUP BY user_id;
$$;
SELECT rank_everybody();
