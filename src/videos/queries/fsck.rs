//! SQL for `anb fsck`: all videos and notes at one moment, and the repairs.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl as _;

use crate::{
    db::{Connection, types::VideoStatus},
    ids::VideoId,
};

/// What is known about one video: a row, or a note that its files belong to none.
#[derive(Debug, Clone, QueryableByName)]
pub struct Known {
    #[diesel(sql_type = sql_types::Uuid)]
    pub id: VideoId,
    /// None without a row.
    #[diesel(sql_type = sql_types::Nullable<crate::db::schema::sql_types::VideoStatus>)]
    pub status: Option<VideoStatus>,
    #[diesel(sql_type = sql_types::Integer)]
    pub attempt: i32,
    /// Outputs of lost attempts, or files without a row, are expected, and the sweeper's business.
    #[diesel(sql_type = sql_types::Bool)]
    pub is_noted: bool,
    /// The sweeper should have acted on the row or the note.
    #[diesel(sql_type = sql_types::Bool)]
    pub is_overdue: bool,
    /// Votes as the row counts them, and as there are.
    #[diesel(sql_type = sql_types::BigInt)]
    pub counted: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    pub votes: i64,
    /// It has waited for minutes since it was pushed.
    #[diesel(sql_type = sql_types::Bool)]
    pub is_waiting_long: bool,
}

/// Returns everything that is known, in one statement and so at one moment. A lease is overdue a minute
/// after it expired, a note two minutes after `timeout_seconds`.
pub async fn known(
    connection: &mut Connection,
    timeout_seconds: f64,
) -> anyhow::Result<Vec<Known>> {
    let known = sql_query(
        "WITH limits AS (SELECT now() - make_interval(secs => $1) - interval '2 minutes' AS old)
         SELECT id, status, attempt,
                strays_at IS NOT NULL AS is_noted,
                coalesce(lease_until < now() - interval '1 minute', false)
                    OR coalesce(strays_at < old AND status <> 'uploaded', false)
                    OR (status = 'uploaded' AND enqueued_at IS NULL
                        AND run_after < now() - interval '1 minute') AS is_overdue,
                videos.votes + coalesce(uncounted.votes, 0) AS counted,
                (SELECT count(*) FROM votes WHERE video_id = videos.id) AS votes,
                status = 'uploaded' AND coalesce(enqueued_at < now() - interval '5 minutes', false)
                    AND run_after <= now() AS is_waiting_long
         FROM videos
         LEFT JOIN (SELECT video_id, sum(votes)::bigint AS votes FROM uncounted GROUP BY 1) AS uncounted
             ON video_id = id, limits
         UNION ALL
         SELECT video_id, NULL, 0, true, started_at < old, 0, 0, false
         FROM uploads, limits
         WHERE NOT EXISTS (SELECT FROM videos WHERE id = video_id)",
    );
    Ok(known
        .bind::<sql_types::Double, _>(timeout_seconds)
        .load(connection)
        .await?)
}

/// Keeps others from voting for the video until the transaction ends. A statement after it sees all votes
/// that were cast before.
pub async fn lock(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    sql_query("SELECT FROM videos WHERE id = $1 FOR UPDATE")
        .bind::<sql_types::Uuid, _>(video)
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts the votes of a video anew, less those that are still to be counted.
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
