-- Uploads that are received over several requests (tus). A row without a length records an upload by form, or a delete.
ALTER TABLE uploads
    ADD COLUMN length bigint CHECK (length > 0),
    -- The durable bytes, and how the storage holds them.
    ADD COLUMN received bigint NOT NULL DEFAULT 0,
    ADD COLUMN parts jsonb NOT NULL DEFAULT 'null',
    -- The fencing token: grows with each request that ends the writer before it.
    ADD COLUMN epoch integer NOT NULL DEFAULT 0,
    ADD COLUMN title text NOT NULL DEFAULT '',
    ADD COLUMN is_public boolean NOT NULL DEFAULT false,
    -- As the client sent it.
    ADD COLUMN metadata text NOT NULL DEFAULT '',
    -- `started_at` has the same value, because the cleanup of earlier versions counts from it.
    ADD COLUMN expires_at timestamptz;

-- Creations that a client may repeat, because it did not receive the response: SHA-256 of the client's key, or of the
-- file that it describes.
CREATE TABLE idempotency_keys (
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    key bytea NOT NULL,
    video_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
