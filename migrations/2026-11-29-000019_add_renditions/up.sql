-- What a processed video has besides its clip and poster. Rows that were processed before have none of it.
ALTER TABLE videos
    -- Sizes of the clip and of its light rendition; without the second there is no light rendition.
    ADD COLUMN clip_bytes bigint,
    ADD COLUMN light_bytes bigint,
    -- Whether there is a small poster.
    ADD COLUMN has_thumb boolean NOT NULL DEFAULT false,
    -- Average colour of the poster: six hexadecimal digits.
    ADD COLUMN colour text;
