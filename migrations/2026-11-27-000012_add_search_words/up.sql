-- Search by words. Folding is done here alone, for what is stored and for what is asked, so the two cannot differ.
-- Triggers keep both the key and the words: processes of the version before know neither.

-- Returns the distinct words of a text in lower case without accents, as `src/city.rs` folds names of cities. A word is
-- cut at 64 characters, so that its index entry always fits.
CREATE FUNCTION fold_words(raw text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(
        SELECT DISTINCT left(word, 64) COLLATE "C"
        FROM regexp_split_to_table(
            lower(regexp_replace(
                normalize(raw, NFKD),
                '[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f]',
                '', 'g')),
            '[^[:alnum:]]+') AS word
        WHERE word <> '' ORDER BY 1)
$$;

-- The words of the title and of the player's name, each after a blank.
ALTER TABLE videos ADD COLUMN search_key text COLLATE "C" NOT NULL DEFAULT '';

-- Each word of each public processed video. No foreign key, which would need one more index: triggers delete what a
-- deleted video had.
CREATE TABLE search_words (
    word text COLLATE "C" NOT NULL,
    video_id uuid NOT NULL,
    PRIMARY KEY (word, video_id)
);

CREATE FUNCTION fill_search_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Cut, so that no title makes a row that is expensive to compare.
    NEW.search_key := left(' ' || array_to_string(fold_words(concat_ws(' ', NEW.title,
        (SELECT first_name || ' ' || last_name FROM users WHERE id = NEW.user_id))), ' '), 512);
    RETURN NEW;
END $$;
CREATE TRIGGER videos_folded BEFORE INSERT OR UPDATE OF title ON videos
    FOR EACH ROW EXECUTE FUNCTION fill_search_key();

CREATE FUNCTION rename_player() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE videos SET title = title WHERE user_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER users_renamed AFTER UPDATE OF first_name, last_name ON users
    FOR EACH ROW WHEN ((OLD.first_name, OLD.last_name) IS DISTINCT FROM (NEW.first_name, NEW.last_name))
    EXECUTE FUNCTION rename_player();

CREATE FUNCTION index_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM search_words
        WHERE video_id = OLD.id AND word = ANY (string_to_array(ltrim(OLD.search_key), ' '));
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.is_public AND NEW.status = 'processed' THEN
        INSERT INTO search_words (word, video_id)
            SELECT word, NEW.id FROM unnest(string_to_array(ltrim(NEW.search_key), ' ')) AS word
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER videos_indexed AFTER INSERT ON videos
    FOR EACH ROW WHEN (NEW.is_public AND NEW.status = 'processed') EXECUTE FUNCTION index_words();
CREATE TRIGGER videos_reindexed AFTER UPDATE ON videos
    FOR EACH ROW WHEN (
        (OLD.is_public AND OLD.status = 'processed') IS DISTINCT FROM (NEW.is_public AND NEW.status = 'processed')
        OR (NEW.is_public AND NEW.status = 'processed' AND OLD.search_key <> NEW.search_key))
    EXECUTE FUNCTION index_words();
CREATE TRIGGER videos_unindexed AFTER DELETE ON videos
    FOR EACH ROW WHEN (OLD.is_public AND OLD.status = 'processed') EXECUTE FUNCTION index_words();

-- Finds public processed videos with words that begin with those of `query`, the most voted first, `wanted` of those
-- after a place; in the cities from `city` to before `city_end`, or in all. However many videos there are and whatever
-- is asked, it reads at most 500 candidates or 1,000 videos:
--   * If a word (or the city) has at most 500 videos, those are all candidates, and the answer is complete.
--   * Else it reads the next 1,000 videos in the order of the ranking. A frequent word is found among them often enough.
--     If not, the last row, with `is_match` false, says where the reading ended; who asks again after that place goes on.
-- The settings leave one plan for each statement: the one that stops early.
CREATE FUNCTION search_videos(
    query text, city text, city_end text, after_votes bigint, after_since timestamptz, after_id uuid, wanted bigint)
RETURNS TABLE (id uuid, votes bigint, since timestamptz, is_match boolean)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    most_candidates CONSTANT bigint := 500;
    most_read CONSTANT bigint := 1000;
    asked text[] := fold_words(query);
    patterns text[];
    needle text;
    needle_end text;
    fewest bigint := most_candidates + 1;
    rare text;
    rare_end text;
    read bigint;
BEGIN
    IF asked = '{}' THEN
        RETURN;
    END IF;
    patterns := ARRAY(SELECT '% ' || word || '%' FROM unnest(asked) AS word);
    FOREACH needle IN ARRAY asked[1:8] LOOP
        -- Follows whatever begins with the word: no assigned character is greater.
        needle_end := needle || U&'\+10FFFF';
        SELECT count(*) INTO read FROM (
            SELECT FROM search_words WHERE word >= needle AND word < needle_end
            ORDER BY word, video_id LIMIT fewest) AS counted;
        IF read < fewest THEN
            fewest := read;
            rare := needle;
            rare_end := needle_end;
        END IF;
    END LOOP;
    IF fewest = 0 THEN
        RETURN;
    END IF;
    IF city IS NOT NULL THEN
        SELECT count(*) INTO read FROM (
            SELECT FROM videos AS v
            WHERE v.is_public AND v.status = 'processed' AND v.city_key >= city AND v.city_key < city_end
            ORDER BY v.city_key, v.votes DESC, v.uploaded_at, v.id LIMIT fewest) AS counted;
        IF read < fewest THEN
            RETURN QUERY
                SELECT v.id, v.votes, v.uploaded_at, true
                FROM videos AS v
                WHERE v.is_public AND v.status = 'processed' AND v.city_key >= city AND v.city_key < city_end
                    AND v.search_key LIKE ALL (patterns)
                    AND (after_votes IS NULL OR v.votes < after_votes
                        OR (v.votes = after_votes AND (v.uploaded_at, v.id) > (after_since, after_id)))
                ORDER BY v.votes DESC, v.uploaded_at, v.id LIMIT wanted;
            RETURN;
        END IF;
    END IF;
    IF rare IS NOT NULL THEN
        RETURN QUERY
            SELECT v.id, v.votes, v.uploaded_at, true
            FROM (SELECT DISTINCT counted.video_id FROM (
                    SELECT w.video_id FROM search_words AS w WHERE w.word >= rare AND w.word < rare_end
                    ORDER BY w.word, w.video_id LIMIT most_candidates) AS counted) AS candidate
            CROSS JOIN LATERAL (
                SELECT * FROM videos WHERE videos.id = candidate.video_id LIMIT 1) AS v
            WHERE v.is_public AND v.status = 'processed' AND v.search_key LIKE ALL (patterns)
                AND (city IS NULL OR (v.city_key >= city AND v.city_key < city_end))
                AND (after_votes IS NULL OR v.votes < after_votes
                    OR (v.votes = after_votes AND (v.uploaded_at, v.id) > (after_since, after_id)))
            ORDER BY v.votes DESC, v.uploaded_at, v.id LIMIT wanted;
        RETURN;
    END IF;
    IF after_votes IS NULL THEN
        RETURN QUERY
            WITH walked AS MATERIALIZED (
                SELECT v.id, v.votes, v.uploaded_at, v.search_key LIKE ALL (patterns)
                    AND (city IS NULL OR (v.city_key >= city AND v.city_key < city_end)) AS is_match
                FROM videos AS v
                WHERE v.is_public AND v.status = 'processed'
                ORDER BY v.votes DESC, v.uploaded_at, v.id LIMIT most_read),
            matching AS MATERIALIZED (
                SELECT * FROM walked WHERE walked.is_match LIMIT wanted)
            SELECT matching.id, matching.votes, matching.uploaded_at, true FROM matching
            UNION ALL
            (SELECT walked.id, walked.votes, walked.uploaded_at, false FROM walked
             WHERE CASE WHEN (SELECT count(*) FROM matching) < wanted
                 THEN (SELECT count(*) FROM walked) = most_read ELSE false END
             ORDER BY walked.votes, walked.uploaded_at DESC, walked.id DESC LIMIT 1);
        RETURN;
    END IF;
    RETURN QUERY
        WITH walked AS MATERIALIZED (
            SELECT v.id, v.votes, v.uploaded_at, v.search_key LIKE ALL (patterns)
                AND (city IS NULL OR (v.city_key >= city AND v.city_key < city_end)) AS is_match
            FROM (
                (SELECT v.id, v.votes, v.uploaded_at, v.search_key, v.city_key FROM videos AS v
                 WHERE v.is_public AND v.status = 'processed' AND v.votes = after_votes
                     AND (v.uploaded_at, v.id) > (after_since, after_id)
                 ORDER BY v.uploaded_at, v.id LIMIT most_read)
                UNION ALL
                (SELECT v.id, v.votes, v.uploaded_at, v.search_key, v.city_key FROM videos AS v
                 WHERE v.is_public AND v.status = 'processed' AND v.votes < after_votes
                 ORDER BY v.votes DESC, v.uploaded_at, v.id LIMIT most_read)) AS v
            ORDER BY v.votes DESC, v.uploaded_at, v.id LIMIT most_read),
        matching AS MATERIALIZED (
            SELECT * FROM walked WHERE walked.is_match LIMIT wanted)
        SELECT matching.id, matching.votes, matching.uploaded_at, true FROM matching
        UNION ALL
        (SELECT walked.id, walked.votes, walked.uploaded_at, false FROM walked
         WHERE CASE WHEN (SELECT count(*) FROM matching) < wanted
                 THEN (SELECT count(*) FROM walked) = most_read ELSE false END
         ORDER BY walked.votes, walked.uploaded_at DESC, walked.id DESC LIMIT 1);
END $$;
