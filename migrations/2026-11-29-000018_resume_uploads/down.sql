DROP TABLE idempotency_keys;
-- The cleanup removes the files of the rows that remain, as those of any upload that ended without a video.
ALTER TABLE uploads
    DROP COLUMN length,
    DROP COLUMN received,
    DROP COLUMN parts,
    DROP COLUMN epoch,
    DROP COLUMN title,
    DROP COLUMN is_public,
    DROP COLUMN metadata,
    DROP COLUMN expires_at;
