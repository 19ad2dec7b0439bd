ALTER TABLE videos DROP COLUMN progress, DROP COLUMN ready_at, DROP COLUMN report;
