DROP INDEX videos_strays;
ALTER TABLE videos DROP COLUMN strays_at;
