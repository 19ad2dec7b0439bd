-- An organiser hides a video: it is not public, and its owner cannot publish it, until an organiser shows it again. So
-- every index, trigger and statement that selects public videos leaves hidden ones out without knowing of them.
ALTER TABLE videos
    -- Why the video is hidden, as its owner reads it; null while it is not.
    ADD COLUMN hidden_reason text,
    -- Whether showing it publishes it again.
    ADD COLUMN public_when_shown boolean NOT NULL DEFAULT false,
    -- Not validated: the columns are new, so all rows satisfy it, and reading them would block votes.
    ADD CONSTRAINT videos_hidden_are_not_public CHECK (hidden_reason IS NULL OR NOT is_public) NOT VALID;

-- What organisers did to videos. It outlives the videos.
CREATE TABLE moderations (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    organiser_id bigint REFERENCES users ON DELETE SET NULL,
    video_id uuid NOT NULL,
    -- The video's title at that time.
    title text NOT NULL,
    is_hidden boolean NOT NULL,
    reason text
);
CREATE INDEX moderations_organiser ON moderations (organiser_id);
