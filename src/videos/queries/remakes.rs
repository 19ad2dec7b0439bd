//! SQL of remakes: a processed video whose clip or poster is lost gets new ones, under a later attempt. Until they
//! are stored the row names the old ones, and keeps status, votes and place.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, NullableExpressionMethods as _, OptionalExtension as _, QueryDsl as _,
    Queryable, Selectable, SelectableHelper as _,
    dsl::{exists, sql},
    select, sql_query, sql_types, update,
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use super::jobs::{Id, ids};
use crate::{
    db::{Connection, from_now, interval, now, schema::videos, types::VideoStatus},
    ids::VideoId,
};

const NO_TIME: Option<DateTime<Utc>> = None;

/// A worker's right to make the clip of a processed video again.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
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
        .set((
            videos::remake_after.eq(now().nullable()),
            videos::enqueued_at.eq(NO_TIME),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Tells whether any remake is due.
pub async fn is_any_due(connection: &mut Connection) -> anyhow::Result<bool> {
    let due = videos::table.filter(videos::remake_after.le(now().nullable()));
    Ok(select(exists(due)).get_result(connection).await?)
}

/// Marks up to `limit` due remakes as pushed that were not within `patience`, and returns their videos for the
/// caller to push. A second sweeper skips the rows that this one locked.
pub async fn take_due(
    connection: &mut Connection,
    patience: Duration,
    limit: i64,
) -> anyhow::Result<Vec<VideoId>> {
    let due = sql_query(
        "UPDATE videos SET enqueued_at = now() WHERE id IN (
             SELECT id FROM videos
             WHERE status = 'processed' AND remake_after <= now()
                 AND (enqueued_at IS NULL OR enqueued_at < now() - $2)
             ORDER BY remake_after, id LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING id",
    );
    let due: Vec<Id> = due
        .bind::<sql_types::BigInt, _>(limit)
        .bind::<sql_types::Interval, _>(interval(patience))
        .load(connection)
        .await?;
    Ok(ids(due))
}

/// Claims a due remake for the time of a lease. Of two at once, the second finds it leased. What is stored
/// meanwhile is noted as strays.
pub async fn claim(
    connection: &mut Connection,
    video: VideoId,
    lease: Duration,
) -> anyhow::Result<Option<Remake>> {
    let due = videos::table
        .find(video)
        .filter(videos::status.eq(VideoStatus::Processed))
        .filter(videos::remake_after.le(now().nullable()));
    let claim = update(due)
        .set((
            videos::remake_after.eq(from_now(lease).nullable()),
            videos::remake_attempt.eq(sql("greatest(attempt, remake_attempt) + 1")),
            videos::strays_at.eq(now().nullable()),
        ))
        .returning(Remake::as_returning())
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
    let again = (
        videos::remake_attempt.eq(videos::remake_attempt + 1),
        videos::enqueued_at.eq(NO_TIME),
    );
    let rows = match delay {
        Some(delay) => {
            update(held(remake))
                .set((again, videos::remake_after.eq(from_now(delay).nullable())))
                .execute(connection)
                .await?
        }
        None => {
            update(held(remake))
                .set((again, videos::remake_after.eq(NO_TIME)))
                .execute(connection)
                .await?
        }
    };
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
