-- Turns: which waiting video is next. Computed when a video is inserted (`queries::insert`), as start-time fair queueing
-- does (Goyal, Vin, Cheng 1996): the videos of one player are spaced by what they cost, others come in between.
ALTER TABLE videos ADD COLUMN turn bigint NOT NULL DEFAULT 0;
-- The greatest turn that was claimed so far: the virtual time of fair queueing. A sequence, since nobody waits for it.
CREATE SEQUENCE videos_turn MINVALUE 0 START 0;
CREATE INDEX videos_turns ON videos (turn, id) WHERE status = 'uploaded';

-- Setbacks: attempts that failed by what surrounds the job. They count as no failure, and say how long the next one waits.
ALTER TABLE videos ADD COLUMN setbacks integer NOT NULL DEFAULT 0;
-- When the first of them was.
ALTER TABLE videos ADD COLUMN setback_at timestamptz;
-- How often a program of the job was killed by somebody else, perhaps for want of memory.
ALTER TABLE videos ADD COLUMN kills integer NOT NULL DEFAULT 0;
