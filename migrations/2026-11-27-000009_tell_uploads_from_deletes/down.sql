ALTER TABLE uploads DROP COLUMN is_upload;
