-- The light renditions and small posters remain, until the next attempt or the delete of their video.
ALTER TABLE videos
    DROP COLUMN clip_bytes,
    DROP COLUMN light_bytes,
    DROP COLUMN has_thumb,
    DROP COLUMN colour;
