-- The organisers' page counts and lists failed videos, which are few. If it is interrupted, it leaves an invalid index,
-- over which the next run stumbles: DROP INDEX videos_failed, then again.
CREATE INDEX CONCURRENTLY videos_failed ON videos (id) WHERE status = 'failed';
