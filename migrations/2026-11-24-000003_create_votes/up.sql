CREATE TABLE votes (
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    video_id uuid NOT NULL REFERENCES videos ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, video_id)
);
CREATE INDEX votes_video_id ON votes (video_id);
