ALTER TABLE videos DROP COLUMN kills;
ALTER TABLE videos DROP COLUMN setback_at;
ALTER TABLE videos DROP COLUMN setbacks;
DROP SEQUENCE videos_turn;
ALTER TABLE videos DROP COLUMN turn;
