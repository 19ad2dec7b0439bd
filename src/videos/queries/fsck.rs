//! SQL for `anb fsck`: a snapshot of `videos` and `uploads`, and the repairs.

use diesel::{
    ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryableByName, sql_query,
    sql_types,
};
use diesel_async::RunQueryDsl as _;

use super::{Renditions, VideoStatus};
use crate::{
    db::{Connection, schema::videos},
    ids::VideoId,
};

/// The record of one video, from its row in `videos` or, without one, in `uploads`.
#[derive(Debug, Clone, QueryableByName)]
pub struct VideoRecord {
    #[diesel(sql_type = sql_types::Uuid)]
    pub id: VideoId,
    /// None without a row in `videos`.
    #[diesel(sql_type = sql_types::Nullable<crate::db::schema::sql_types::VideoStatus>)]
    pub status: Option<VideoStatus>,
    #[diesel(sql_type = sql_types::Integer)]
    pub attempt: i32,
    #[diesel(embed)]
    pub renditions: Renditions,
    /// Orphans are expected. The cleanup removes them.
    #[diesel(sql_type = sql_types::Bool)]
    pub is_noted: bool,
    /// The sweeper or the cleanup should have handled the row.
    #[diesel(sql_type = sql_types::Bool)]
    pub is_overdue: bool,
    /// The vote counter with its vote deltas.
    #[diesel(sql_type = sql_types::BigInt)]
    pub counted: i64,
    /// The number of rows in `votes`.
    #[diesel(sql_type = sql_types::BigInt)]
    pub votes: i64,
    /// The video has waited for minutes since it was pushed.
    #[diesel(sql_type = sql_types::Bool)]
    pub is_waiting_long: bool,
}

/// Number of videos in a page.
const PAGE_VIDEOS: i64 = 10_000;

/// Returns the last video of the page after `last`; none if fewer follow.
pub async fn page_end(
    connection: &mut Connection,
    last: VideoId,
) -> anyhow::Result<Option<VideoId>> {
    let end = videos::table
        .filter(videos::id.gt(last))
        .order(videos::id)
        .offset(PAGE_VIDEOS - 1)
        .select(videos::id)
        .first(connection)
        .await
        .optional()?;
    Ok(end)
}

/// Returns the records after `last` and up to `end` by id, from one statement, so as one snapshot,
/// sorted. A lease is overdue a minute after it expired, a row in `uploads` two minutes after
/// `timeout_seconds`.
pub async fn records(
    connection: &mut Connection,
    timeout_seconds: f64,
    last: VideoId,
    end: VideoId,
) -> anyhow::Result<Vec<VideoRecord>> {
    let known = sql_query(
        "WITH limits AS (SELECT now() - make_interval(secs => $1) - interval '2 minutes' AS old)
         SELECT id, status, attempt, clip_bytes, light_bytes, has_thumb, colour,
                strays_at IS NOT NULL AS is_noted,
                coalesce(lease_until < now() - interval '1 minute', false)
                    OR coalesce(strays_at < old AND status <> 'uploaded', false)
                    OR (status = 'uploaded' AND enqueued_at IS NULL
                        AND run_after < now() - interval '1 minute')
                    OR EXISTS (SELECT FROM untagged
                        WHERE video_id = id AND noted_at < now() - interval '1 minute') AS is_overdue,
                videos.votes + coalesce(uncounted.votes, 0) AS counted,
                (SELECT count(*) FROM votes WHERE video_id = videos.id) AS votes,
                status = 'uploaded' AND coalesce(enqueued_at < now() - interval '5 minutes', false)
                    AND run_after <= now() AS is_waiting_long
         FROM videos
         LEFT JOIN (SELECT video_id, sum(votes)::bigint AS votes FROM uncounted GROUP BY 1) AS uncounted
             ON video_id = id, limits
         WHERE id > $2 AND id <= $3
         UNION ALL
         SELECT video_id, NULL, 0, NULL, NULL, false, NULL, true, coalesce(expires_at < now() - interval '2 minutes', started_at < old), 0, 0, false
         FROM uploads, limits
         WHERE video_id > $2 AND video_id <= $3
             AND NOT EXISTS (SELECT FROM videos WHERE id = video_id)",
    );
    let mut known: Vec<VideoRecord> = known
        .bind::<sql_types::Double, _>(timeout_seconds)
        .bind::<sql_types::Uuid, _>(last)
        .bind::<sql_types::Uuid, _>(end)
        .load(connection)
        .await?;
    known.sort_unstable_by_key(|known| known.id);
    Ok(known)
}

/// Blocks votes for the video until the transaction ends. Its later statements see all votes cast
/// before.
pub async fn lock_votes(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    sql_query("SELECT FROM videos WHERE id = $1 FOR UPDATE")
        .bind::<sql_types::Uuid, _>(video)
        .execute(connection)
        .await?;
    Ok(())
}

/// Recomputes the vote counter of a video, without its vote deltas.
pub async fn recount(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    sql_query(
        "UPDATE videos SET votes = (SELECT count(*) FROM votes WHERE video_id = $1)
             - (SELECT coalesce(sum(votes), 0) FROM uncounted WHERE video_id = $1)
         WHERE id = $1",
    )
    .bind::<sql_types::Uuid, _>(video)
    .execute(connection)
    .await?;
    Ok(())
}
