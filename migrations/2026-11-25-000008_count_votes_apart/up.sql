-- Votes that were cast and are not in `videos.votes` yet: a row for each video and commit. Whoever counts them takes
-- them out in the same transaction, so that a counter and these rows are together the number of votes.
CREATE TABLE uncounted (
    video_id uuid NOT NULL,
    votes bigint NOT NULL CHECK (votes > 0)
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
CREATE INDEX uncounted_video_id ON uncounted (video_id);

-- All that a page looks for, in the order of its places: no row is read that is not shown.
CREATE INDEX standings_places ON standings (city_key, votes DESC, since, best) WHERE best IS NOT NULL;
DROP INDEX standings_city;
ALTER INDEX standings_places RENAME TO standings_city;
