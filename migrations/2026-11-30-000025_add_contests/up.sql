-- A contest. Its windows are half-open, and `clock_timestamp()` inside the statement that inserts a vote or an upload
-- judges them: no process compares clocks. A rule that is null does not exist.
CREATE TABLE contests (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    -- Names the contest in addresses and commands.
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 60),
    name text NOT NULL,
    -- IANA name, as `pg_timezone_names` has it.
    time_zone text NOT NULL,
    submissions_open_at timestamptz NOT NULL,
    submissions_close_at timestamptz NOT NULL,
    voting_open_at timestamptz NOT NULL,
    voting_close_at timestamptz NOT NULL,
    votes_per_day integer CHECK (votes_per_day > 0),
    votes_in_all integer CHECK (votes_in_all > 0),
    min_account_age_seconds integer CHECK (min_account_age_seconds > 0),
    entries_per_player integer CHECK (entries_per_player > 0),
    min_duration_seconds integer CHECK (min_duration_seconds > 0),
    max_duration_seconds integer CHECK (max_duration_seconds > 0),
    min_lines integer CHECK (min_lines > 0),
    max_file_bytes bigint CHECK (max_file_bytes > 0),
    -- The contest that votes and uploads belong to, until another one is created.
    is_current boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- When `results` was written, and the SHA-256 of its canonical JSON, in hexadecimal.
    frozen_at timestamptz,
    digest text,
    published_at timestamptz,
    CHECK (submissions_open_at < submissions_close_at),
    CHECK (voting_open_at < voting_close_at),
    CHECK (submissions_open_at < voting_close_at AND submissions_close_at <= voting_close_at),
    CHECK (min_duration_seconds <= max_duration_seconds),
    CHECK ((frozen_at IS NULL) = (digest IS NULL)),
    CHECK (published_at IS NULL OR frozen_at IS NOT NULL)
);
CREATE UNIQUE INDEX contests_current ON contests (is_current) WHERE is_current;

-- The contest that a video takes part in: the one that was current, with its submissions open, when its upload began. No
-- foreign key, which would need an index for the rare removal of a contest.
ALTER TABLE uploads ADD COLUMN contest_id bigint;
ALTER TABLE videos ADD COLUMN contest_id bigint;

-- The frozen ranking of a contest. It outlives videos and accounts.
CREATE TABLE results (
    contest_id bigint NOT NULL REFERENCES contests ON DELETE CASCADE,
    -- In the whole country.
    position integer NOT NULL,
    city_key text COLLATE "C" NOT NULL,
    city text NOT NULL,
    city_position integer NOT NULL,
    -- Another player of the city has as many votes; the earlier upload decided the order.
    is_tied boolean NOT NULL,
    user_id bigint NOT NULL,
    player text NOT NULL,
    -- Of all clips of the player.
    votes bigint NOT NULL,
    -- The most voted of them.
    video_id uuid NOT NULL,
    title text NOT NULL,
    PRIMARY KEY (contest_id, position)
);
CREATE UNIQUE INDEX results_city ON results (contest_id, city_key, city_position);

-- Votes per hour, for the organisers' plot. Each session counts in a row of its own (`slot`), so that concurrent rounds
-- of counting do not wait for each other.
CREATE TABLE vote_hours (
    hour timestamptz NOT NULL,
    slot smallint NOT NULL,
    votes bigint NOT NULL,
    PRIMARY KEY (hour, slot)
) WITH (fillfactor = 50);

-- As in `count_votes_in_rounds`, and notes the votes per hour.
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
    WITH taken AS (
        DELETE FROM uncounted WHERE video_id = ANY (locked)
        RETURNING video_id, votes, date_trunc('hour', noted_at) AS hour),
    hours AS (
        INSERT INTO vote_hours AS noted (hour, slot, votes)
        SELECT hour, pg_backend_pid() % 16, sum(votes) FROM taken GROUP BY hour ORDER BY hour
        ON CONFLICT (hour, slot) DO UPDATE SET votes = noted.votes + EXCLUDED.votes)
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

-- As in `count_votes_in_rounds`; while there is a contest, its clips alone are ranked.
CREATE OR REPLACE FUNCTION rank_players(players bigint[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    locked bigint;
    contest bigint;
BEGIN
    PERFORM FROM standings WHERE user_id = ANY (players) ORDER BY user_id FOR NO KEY UPDATE;
    GET DIAGNOSTICS locked = ROW_COUNT;
    IF locked < cardinality(players) THEN
        INSERT INTO standings (user_id, city_key)
            SELECT id, city_key FROM users WHERE id = ANY (players) ORDER BY id
            ON CONFLICT DO NOTHING;
        PERFORM FROM standings WHERE user_id = ANY (players) ORDER BY user_id FOR NO KEY UPDATE;
    END IF;
    SELECT id INTO contest FROM contests WHERE is_current;
    UPDATE standings SET votes = now.votes, since = now.since, best = now.best
    FROM unnest(players) AS player (id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(v.votes) FILTER (WHERE v.is_ranked), 0)::bigint AS votes,
            min(v.uploaded_at) FILTER (WHERE v.is_ranked) AS since,
            (array_agg(v.id ORDER BY v.votes DESC, v.uploaded_at, v.id) FILTER (WHERE v.is_ranked))[1] AS best
        FROM (
            SELECT id, votes, uploaded_at,
                is_public AND status = 'processed' AND (contest IS NULL OR contest_id = contest) AS is_ranked
            FROM videos WHERE user_id = player.id) AS v) AS now
    WHERE standings.user_id = player.id;
END $$;

-- The current contest, if there is one, and whether it takes votes at the moment `at`. Whoever freezes a contest holds the
-- lock exclusively, so a transaction that was told that it is open commits before the votes are counted for the result.
-- The lock comes first: a volatile function sees what was committed before each of its statements.
CREATE FUNCTION open_ballot(OUT contest contests, OUT at timestamptz, OUT is_open boolean) LANGUAGE plpgsql AS $$
DECLARE
    is_held boolean := pg_try_advisory_xact_lock_shared(x'616e6276'::int);
BEGIN
    SELECT * INTO contest FROM contests WHERE is_current;
    at := clock_timestamp();
    is_open := contest.id IS NULL
        OR (is_held AND contest.frozen_at IS NULL AND at >= contest.voting_open_at AND at < contest.voting_close_at);
END $$;

-- How many votes these players have cast since two moments. Locks their rows first, in one order: the count sees the
-- votes that concurrent transactions cast for them, and later transactions see those of this one. So limits are exact.
CREATE FUNCTION count_cast(voters bigint[], since timestamptz, day timestamptz)
RETURNS TABLE (voter bigint, joined_at timestamptz, today bigint, in_all bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    PERFORM FROM users WHERE id = ANY (voters) ORDER BY id FOR NO KEY UPDATE;
    RETURN QUERY
        SELECT users.id, users.created_at, earlier.today, earlier.in_all
        FROM unnest(voters) AS asked (id)
        JOIN users ON users.id = asked.id
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE votes.created_at >= day) AS today, count(*) AS in_all
            FROM votes WHERE votes.user_id = asked.id AND votes.created_at >= since) AS earlier;
END $$;
