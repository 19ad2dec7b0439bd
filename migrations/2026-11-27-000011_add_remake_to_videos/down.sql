ALTER TABLE videos DROP COLUMN remake_after;
