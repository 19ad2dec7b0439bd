//! SQL of remakes. A processed video with a lost clip or poster gets new outputs under a later
//! attempt. Until they are stored, the row refers to the old ones. Status, votes and rank stay.

use std::time::Duration;

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

use super::{NO_TIME, Renditions, VideoStatus};
use crate::{
    db::{Connection, from_now, interval, now, schema::videos},
    ids::VideoId,
};

/// A worker's right to recreate the outputs of a processed video.
#[derive(Debug, Clone, Copy, QueryableByName)]
#[diesel(table_name = videos)]
pub struct Remake {
    #[diesel(column_name = id)]
    pub video: VideoId,
    /// The attempt whose outputs are currently shown.
    pub attempt: i32,
    /// The attempt under which the new outputs are stored, unique to this claim.
    #[diesel(column_name = remake_attempt)]
    pub next: i32,
}

/// Orders a remake, unless one is pending.
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

/// Returns whether any remake is due.
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

/// Claims the remake that has been due longest, for one lease. Concurrent claims skip each other's
/// locked rows. Sets `strays_at`, because outputs of the claim may become orphans.
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

/// The row, as long as the claim is the latest, the remake unfinished and the video not deleted.
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

/// Extends the claim. Returns whether it still holds or has finished: the worker then settles tags
/// and removes the old outputs, which must not be interrupted.
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
    if rows == 1 {
        return Ok(true);
    }
    let finished = videos::table
        .find(remake.video)
        .filter(videos::attempt.eq(remake.next));
    Ok(select(exists(finished)).get_result(connection).await?)
}

/// Gives up the claim. The remake is due again after `delay`, or cancelled without one. Returns
/// whether the claim still held. If so, it is void, and its outputs may be removed.
pub async fn give_up(
    connection: &mut Connection,
    remake: Remake,
    delay: Option<Duration>,
) -> anyhow::Result<bool> {
    let again = delay.map(interval);
    let rows = update(held(remake))
        .set((
            videos::remake_attempt.eq(videos::remake_attempt + 1),
            // NULL without a delay.
            videos::remake_after.eq(sql("now() + ").bind::<Nullable<Interval>, _>(again)),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Replaces the shown outputs with those of this claim, and records the report. Returns whether the
/// claim still held.
pub async fn finish(
    connection: &mut Connection,
    remake: Remake,
    renditions: &Renditions,
    report: &Value,
) -> anyhow::Result<bool> {
    let rows = update(held(remake))
        .set((
            videos::attempt.eq(remake.next),
            videos::remake_after.eq(NO_TIME),
            renditions,
            videos::report.eq(Some(report)),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}
