CREATE INDEX standings_players ON standings (city_key, votes DESC, since, user_id) WHERE best IS NOT NULL;
DROP INDEX standings_city;
ALTER INDEX standings_players RENAME TO standings_city;

UPDATE videos SET votes = videos.votes + added.votes
FROM (SELECT video_id, sum(votes)::bigint AS votes FROM uncounted GROUP BY video_id) AS added
WHERE id = video_id;
DROP TABLE uncounted;
