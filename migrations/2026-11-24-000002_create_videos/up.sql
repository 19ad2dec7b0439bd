CREATE TYPE video_status AS ENUM ('uploaded', 'processing', 'processed', 'failed');

-- Objects that belong to no video yet (an upload that runs) or no more (a delete that runs). What is
-- still here after UPLOAD_TIMEOUT was left behind by a killed process: the sweeper removes it.
CREATE TABLE uploads (
    video_id uuid PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    started_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX uploads_user_id ON uploads (user_id);
CREATE INDEX uploads_started_at ON uploads (started_at);

-- The row is the truth, the outbox and the schedule; the broker only wakes workers.
CREATE TABLE videos (
    id uuid PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    title text NOT NULL,
    status video_status NOT NULL DEFAULT 'uploaded',
    is_public boolean NOT NULL,
    votes bigint NOT NULL DEFAULT 0 CHECK (votes >= 0),
    original_bytes bigint NOT NULL,
    -- The fence: grows with each claim; outputs are stored under it.
    attempt integer NOT NULL DEFAULT 0,
    -- Reported retryable failures.
    failures integer NOT NULL DEFAULT 0,
    -- Leases that expired.
    losses integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    run_after timestamptz NOT NULL DEFAULT now(),
    enqueued_at timestamptz,
    -- Why it failed: {"code": …} and the facts of its sentence.
    failure jsonb,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    processed_at timestamptz,
    CHECK ((status = 'processing') = (lease_until IS NOT NULL)),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK ((status = 'processed') = (processed_at IS NOT NULL))
);
CREATE INDEX videos_user_id ON videos (user_id, uploaded_at DESC, id DESC);
CREATE INDEX videos_public ON videos (votes DESC, uploaded_at, id)
    WHERE is_public AND status = 'processed';
CREATE INDEX videos_waiting ON videos (run_after) WHERE status = 'uploaded';
CREATE INDEX videos_running ON videos (lease_until) WHERE status = 'processing';
