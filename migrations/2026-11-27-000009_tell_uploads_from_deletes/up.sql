-- Whether the note is of an upload that runs, of which an account may have a few, or of a delete.
ALTER TABLE uploads ADD COLUMN is_upload boolean NOT NULL DEFAULT true;
