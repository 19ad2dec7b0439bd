-- When the lost clip of a processed video may be made again; while that runs, until when its worker has it.
ALTER TABLE videos ADD COLUMN remake_after timestamptz;
CREATE INDEX videos_remakes ON videos (remake_after) WHERE remake_after IS NOT NULL;
