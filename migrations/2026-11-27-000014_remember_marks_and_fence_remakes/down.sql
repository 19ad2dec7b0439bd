ALTER TABLE videos DROP COLUMN remake_attempt;
ALTER TABLE installation DROP COLUMN marked_at;
