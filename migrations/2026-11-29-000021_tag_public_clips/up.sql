-- In a bucket, a tag of an output tells the CDN that the public may read it. A row here: the tags of this video may differ
-- from its row in `videos`, until a process has settled them. The transaction that changes the video writes it, so a
-- killed process leaves nothing unsettled, and neither does a version of the program that knows of no tags. It outlives
-- the video.
CREATE TABLE untagged (
    video_id uuid PRIMARY KEY,
    -- Grows with each change: tags that were set according to an earlier version may be wrong.
    version bigint NOT NULL DEFAULT 1,
    -- When a process may settle the tags: the claim of the last one has expired then.
    due_at timestamptz NOT NULL DEFAULT now(),
    noted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX untagged_due_at ON untagged (due_at);

-- The claim of a process that is settling the tags stays: it notices the new version.
CREATE FUNCTION note_untagged(video uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO untagged (video_id) VALUES (video)
    ON CONFLICT (video_id) DO UPDATE SET version = untagged.version + 1
$$;

CREATE FUNCTION note_untagged_video() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_untagged(CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END);
    RETURN NULL;
END $$;

-- A change of what the public may read: also a clip that is new, or made again under another attempt.
CREATE TRIGGER videos_note_untagged AFTER UPDATE OF is_public, status, attempt ON videos FOR EACH ROW
WHEN (NEW.status = 'processed' AND (OLD.status, OLD.is_public, OLD.attempt) <> (NEW.status, NEW.is_public, NEW.attempt))
EXECUTE FUNCTION note_untagged_video();

-- The program deletes no public video, but the deletion of an account does.
CREATE TRIGGER videos_note_deleted AFTER DELETE ON videos FOR EACH ROW
WHEN (OLD.status = 'processed' AND OLD.is_public)
EXECUTE FUNCTION note_untagged_video();
