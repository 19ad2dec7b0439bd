ALTER TABLE videos
    -- How far its clip is, in percent; while its worker tells, no index changes with it.
    ADD COLUMN progress smallint NOT NULL DEFAULT 0,
    -- When the clip will be there, judged by the pace so far.
    ADD COLUMN ready_at timestamptz,
    -- What made the clip, enough to make it again: the probe, the arguments, versions; and what it cost.
    ADD COLUMN report jsonb;
