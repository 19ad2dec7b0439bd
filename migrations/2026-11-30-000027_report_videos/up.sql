-- Spectators report clips. A report hides nothing: it puts the clip on the list of the moderators, who settle all its
-- open reports at once.
CREATE TABLE reports (
    video_id uuid NOT NULL REFERENCES videos ON DELETE CASCADE,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    reason text NOT NULL,
    text text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Null while the report is open.
    settled_at timestamptz,
    settled_by bigint REFERENCES users ON DELETE SET NULL,
    outcome text CHECK (outcome IN ('dismissed', 'hidden')),
    PRIMARY KEY (video_id, user_id)
);
CREATE INDEX reports_user_id ON reports (user_id, created_at);
CREATE INDEX reports_settled_by ON reports (settled_by);
CREATE INDEX reports_open ON reports (video_id) WHERE settled_at IS NULL;

-- What the player of a hidden clip answers, once per hiding. It goes with the clip; the log of moderations stays.
CREATE TABLE answers (
    -- The moderation that hid the clip.
    moderation_id bigint PRIMARY KEY REFERENCES moderations ON DELETE CASCADE,
    video_id uuid NOT NULL REFERENCES videos ON DELETE CASCADE,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Null until a moderator has shown the clip again, or has left it hidden.
    settled_at timestamptz
);
CREATE INDEX answers_video_id ON answers (video_id);
CREATE INDEX answers_open ON answers (created_at) WHERE settled_at IS NULL;
CREATE INDEX moderations_video_id ON moderations (video_id, id);
