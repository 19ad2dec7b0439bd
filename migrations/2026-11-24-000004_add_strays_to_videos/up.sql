-- Since when outputs of a lost attempt may lie about: its worker may be dead, or may still store them. After
-- UPLOAD_TIMEOUT the sweeper removes what the row does not name.
ALTER TABLE videos ADD COLUMN strays_at timestamptz;
CREATE INDEX videos_strays ON videos (strays_at) WHERE strays_at IS NOT NULL;
