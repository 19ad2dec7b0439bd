//! SQL of remakes: a processed video whose clip or poster is lost gets new ones, under a later attempt. Until they
//! are stored the row names the old ones, and keeps status, votes and place.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, NullableExpressionMethods as _, OptionalExtension as _, QueryDsl as _,
    QueryableByName,
    dsl::{exists, sql},
    select, sql_query,
    sql_types::{self, Interval, Nullable},
    update,
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use crate::{
    db::{Connection, from_now, interval, now, schema::videos, types::VideoStatus},
    ids::VideoId,
};

const NO_TIME: Option<DateTime<Utc>> = None;

/// A worker's right to make the clip of a processed video again.
#[derive(Debug, Clone, Copy, QueryableByName)]
#[diesel(table_name = videos)]
pub struct Remake {
    #[diesel(column_name = id)]
    pub video: VideoId,
    /// The attempt whose outputs are shown now.
    pub attempt: i32,
    /// The attempt under which the new outputs are stored: no other claim has the same.
    #[diesel(column_name = remake_attempt)]
    pub next: i32,
}

/// Orders a remake, unless one is ordered.
pub async fn order(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    let done = videos::table
        .find(video)
        .filter(videos::status.eq(VideoStatus::Processed))
        .filter(videos::remake_after.is_null());
    update(done)
        .set(videos::remake_after.eq(now().nullable()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Tells whether any remake is due.
pub async fn is_any_due(connection: &mut Connection) -> anyhow::Result<bool> {
    let due = videos::table.filter(videos::remake_after.le(now().nullable()));
    Ok(select(exists(due)).get_result(connection).await?)
}

/// Returns up to `limit` videos whose remakes are due, for the caller to push.
pub async fn due(connection: &mut Connection, limit: i64) -> anyhow::Result<Vec<VideoId>> {
    let due = videos::table.filter(videos::remake_after.le(now().nullable()));
    Ok(due
        .order((videos::remake_after, videos::id))
        .limit(limit)
        .select(videos::id)
        .load(connection)
        .await?)
}

/// Claims the remake that is due for the longest time, for the time of a lease. Of two claims at once the second skips the
/// row that the first one locked. What is stored meanwhile is noted as strays.
pub async fn claim(connection: &mut Connection, lease: Duration) -> anyhow::Result<Option<Remake>> {
    let claim = sql_query(
        "UPDATE videos SET remake_after = now() + $1, strays_at = now(),
             remake_attempt = greatest(attempt, remake_attempt) + 1
         WHERE id = (
             SELECT id FROM videos WHERE status = 'processed' AND remake_after <= now()
             ORDER BY remake_after, id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, attempt, remake_attempt",
    );
    let claim = claim
        .bind::<sql_types::Interval, _>(interval(lease))
        .get_result(connection)
        .await
        .optional()?;
    Ok(claim)
}

/// The row, as long as the claim is the last one, and nobody finished the remake or deleted the video.
#[diesel::dsl::auto_type(no_type_alias)]
fn held(remake: Remake) -> _ {
    let video: VideoId = remake.video;
    let attempt: i32 = remake.attempt;
    let next: i32 = remake.next;
    let processed: VideoStatus = VideoStatus::Processed;
    videos::table
        .filter(videos::id.eq(video))
        .filter(videos::attempt.eq(attempt))
        .filter(videos::remake_attempt.eq(next))
        .filter(videos::status.eq(processed))
        .filter(videos::remake_after.is_not_null())
}

/// Extends the claim. Returns whether it still holds.
pub async fn extend(
    connection: &mut Connection,
    remake: Remake,
    lease: Duration,
) -> anyhow::Result<bool> {
    let rows = update(held(remake))
        .set((
            videos::remake_after.eq(from_now(lease).nullable()),
            videos::strays_at.eq(now().nullable()),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Gives the claim up: the remake may be claimed again after `delay`, or never if there is none. Returns whether the
/// claim still held; then no write of it counts any more, and its outputs may be removed.
pub async fn give_up(
    connection: &mut Connection,
    remake: Remake,
    delay: Option<Duration>,
) -> anyhow::Result<bool> {
    let again = delay.map(interval);
    let rows = update(held(remake))
        .set((
            videos::remake_attempt.eq(videos::remake_attempt + 1),
            // Null without a delay.
            videos::remake_after.eq(sql("now() + ").bind::<Nullable<Interval>, _>(again)),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Shows the outputs that this claim stored in place of the old ones, with what made them. Returns whether it did.
pub async fn finish(
    connection: &mut Connection,
    remake: Remake,
    report: &Value,
) -> anyhow::Result<bool> {
    let rows = update(held(remake))
        .set((
            videos::attempt.eq(remake.next),
            videos::remake_after.eq(NO_TIME),
            videos::report.eq(Some(report)),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}
