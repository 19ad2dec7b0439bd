-- When each place of the storage carried the id of the installation for the first time. A place without the id is new
-- before that; afterwards it is another place, or a volume that is not mounted.
ALTER TABLE installation ADD COLUMN marked_at timestamptz;

-- The attempt under which the last claim of a remake stores its outputs: it is the fence, and no other claim uses it.
ALTER TABLE videos ADD COLUMN remake_attempt integer NOT NULL DEFAULT 0;
