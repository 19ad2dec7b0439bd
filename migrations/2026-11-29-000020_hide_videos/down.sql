DROP TABLE moderations;
ALTER TABLE videos
    DROP CONSTRAINT videos_hidden_are_not_public,
    DROP COLUMN hidden_reason,
    DROP COLUMN public_when_shown;
