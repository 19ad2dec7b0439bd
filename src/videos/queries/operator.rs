//! SQL for the operator's tools: queue depth, and videos that failed through a system failure.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl as _;
use serde::Serialize;

use super::{super::Failure, ids};
use crate::{db::Connection, ids::VideoId};

/// The queue depth according to the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, QueryableByName)]
pub struct VideoCounts {
    /// Videos that wait for a worker.
    #[diesel(sql_type = sql_types::BigInt)]
    pub waiting: i64,
    /// Videos that a worker has claimed.
    #[diesel(sql_type = sql_types::BigInt)]
    pub in_flight: i64,
    /// Videos that failed through a system failure.
    #[diesel(sql_type = sql_types::BigInt)]
    pub dead: i64,
    /// Age of the oldest waiting upload (s).
    #[diesel(sql_type = sql_types::Nullable<sql_types::BigInt>)]
    pub oldest_age_seconds: Option<i64>,
}

/// Counts waiting and claimed videos, and those that failed through a system failure. Each count
/// reads an index of these videos only.
pub async fn count_videos(connection: &mut Connection) -> anyhow::Result<VideoCounts> {
    let depth = sql_query(
        "SELECT (SELECT count(*) FROM videos WHERE status = 'uploaded') AS waiting,
                (SELECT count(*) FROM videos WHERE status = 'processing') AS in_flight,
                (SELECT count(*) FROM videos
                 WHERE status = 'failed' AND failure->>'code' = ANY($1)) AS dead,
                (SELECT extract(epoch FROM now() - min(uploaded_at))::bigint
                 FROM videos WHERE status = 'uploaded') AS oldest_age_seconds",
    );
    let depth = depth
        .bind::<sql_types::Array<sql_types::Text>, _>(Failure::RETRYABLE)
        .get_result(connection)
        .await?;
    Ok(depth)
}

/// Requeues the videos that failed through a system failure, or only `video` if it did, clears their
/// counters and marks them as pushed. Returns them for the caller to push. Of concurrent redrives,
/// exactly one gets each video.
pub async fn reset_failed(
    connection: &mut Connection,
    video: Option<VideoId>,
) -> anyhow::Result<Vec<VideoId>> {
    let reset = sql_query(
        "UPDATE videos SET status = 'uploaded', failure = NULL, failures = 0, losses = 0, setbacks = 0,
             setback_at = NULL, kills = 0, run_after = now(), enqueued_at = now(), progress = 0
         WHERE status = 'failed' AND failure->>'code' = ANY($1) AND ($2 IS NULL OR id = $2)
         RETURNING id",
    );
    let reset = reset
        .bind::<sql_types::Array<sql_types::Text>, _>(Failure::RETRYABLE)
        .bind::<sql_types::Nullable<sql_types::Uuid>, _>(video)
        .load(connection)
        .await?;
    Ok(ids(reset))
}

/// Returns the subset of `videos` that failed through a system failure.
pub async fn failed_among(
    connection: &mut Connection,
    videos: &[VideoId],
) -> anyhow::Result<Vec<VideoId>> {
    let failed = sql_query(
        "SELECT id FROM videos
         WHERE id = ANY($1) AND status = 'failed' AND failure->>'code' = ANY($2)",
    );
    let failed = failed
        .bind::<sql_types::Array<sql_types::Uuid>, _>(videos)
        .bind::<sql_types::Array<sql_types::Text>, _>(Failure::RETRYABLE)
        .load(connection)
        .await?;
    Ok(ids(failed))
}
