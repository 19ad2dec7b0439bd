-- Broken off it leaves an invalid index, over which the next run stumbles: DROP INDEX videos_city, then again.
CREATE INDEX CONCURRENTLY videos_city ON videos (city_key, votes DESC, uploaded_at, id)
    WHERE is_public AND status = 'processed';
