//! SQL of the sweeper and the cleanup.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, NullableExpressionMethods as _,
    QueryDsl as _, Queryable, Selectable, SelectableHelper as _, dsl::exists, select, sql_query,
    sql_types, update,
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use super::{NO_TIME, VideoStatus, ids, jobs::waits_again};
use crate::{
    db::{Connection, ago, interval, now, schema::videos},
    ids::VideoId,
};

#[diesel::dsl::auto_type(no_type_alias)]
fn expired(moment: DateTime<Utc>) -> _ {
    let processing: VideoStatus = VideoStatus::Processing;
    let moment: Option<DateTime<Utc>> = Some(moment);
    videos::status
        .eq(processing)
        .and(videos::lease_until.lt(moment))
}

/// Rule (b) of the sweeper: the videos whose leases had expired at `moment` wait again, to be
/// pushed. Returns them. Of concurrent sweepers, exactly one gets each video.
pub async fn expire_leases(
    connection: &mut Connection,
    moment: DateTime<Utc>,
    max_expirations: i32,
) -> anyhow::Result<Vec<VideoId>> {
    let expired = update(
        videos::table
            .filter(expired(moment))
            .filter(videos::losses.lt(max_expirations - 1)),
    )
    .set((
        waits_again(),
        videos::losses.eq(videos::losses + 1),
        videos::enqueued_at.eq(NO_TIME),
    ))
    .returning(videos::id)
    .get_results(connection)
    .await?;
    Ok(expired)
}

/// End of rule (b): the last of `max_expirations` lease expirations fails the video. Returns those
/// videos.
pub async fn fail_lost(
    connection: &mut Connection,
    moment: DateTime<Utc>,
    max_expirations: i32,
    failure: &Value,
) -> anyhow::Result<Vec<VideoId>> {
    let lost = update(
        videos::table
            .filter(expired(moment))
            .filter(videos::losses.ge(max_expirations - 1)),
    )
    .set((
        videos::status.eq(VideoStatus::Failed),
        videos::failure.eq(Some(failure)),
        videos::losses.eq(videos::losses + 1),
        videos::lease_until.eq(NO_TIME),
        videos::strays_at.eq(now().nullable()),
    ))
    .returning(videos::id)
    .get_results(connection)
    .await?;
    Ok(lost)
}

/// Rule (a) of the sweeper: marks up to `limit` due videos that are not pushed as pushed, and
/// returns them for the caller to push. Concurrent sweepers skip each other's locked rows. The
/// delay of one second leaves a new upload to the API, which pushes it itself.
pub async fn take_due(connection: &mut Connection, limit: i64) -> anyhow::Result<Vec<VideoId>> {
    let due = sql_query(
        "UPDATE videos SET enqueued_at = now() WHERE id IN (
             SELECT id FROM videos
             WHERE status = 'uploaded' AND enqueued_at IS NULL
                 AND run_after <= now() - interval '1 second'
             ORDER BY run_after, id LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING id",
    );
    let due = due
        .bind::<sql_types::BigInt, _>(limit)
        .load(connection)
        .await?;
    Ok(ids(due))
}

/// Returns whether any waiting video was pushed more than `age` ago.
pub async fn is_any_pushed(connection: &mut Connection, age: Duration) -> anyhow::Result<bool> {
    let pushed = videos::table
        .filter(videos::status.eq(VideoStatus::Uploaded))
        .filter(videos::enqueued_at.lt(ago(age).nullable()));
    Ok(select(exists(pushed)).get_result(connection).await?)
}

/// Rule (c) of the sweeper, for an empty queue: like [`take_due`], for videos pushed more than
/// `age` ago, in the order of their turns.
pub async fn take_again(
    connection: &mut Connection,
    age: Duration,
    limit: i64,
) -> anyhow::Result<Vec<VideoId>> {
    let again = sql_query(
        "UPDATE videos SET enqueued_at = now() WHERE id IN (
             SELECT id FROM videos
             WHERE status = 'uploaded' AND enqueued_at < now() - $2 AND run_after <= now()
             ORDER BY turn, id LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING id",
    );
    let again = again
        .bind::<sql_types::BigInt, _>(limit)
        .bind::<sql_types::Interval, _>(interval(age))
        .load(connection)
        .await?;
    Ok(ids(again))
}

/// Undoes the record that videos were pushed, so that the next sweep retries.
pub async fn unmark_enqueued(
    connection: &mut Connection,
    unpushed: &[VideoId],
) -> anyhow::Result<()> {
    let waiting = videos::id
        .eq_any(unpushed)
        .and(videos::status.eq(VideoStatus::Uploaded));
    update(videos::table.filter(waiting))
        .set(videos::enqueued_at.eq(NO_TIME))
        .execute(connection)
        .await?;
    Ok(())
}

/// A video that may have orphaned outputs.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = videos)]
pub struct OrphanedOutputs {
    pub id: VideoId,
    pub status: VideoStatus,
    pub attempt: i32,
    pub strays_at: Option<DateTime<Utc>>,
}

/// Returns up to `limit` videos whose orphans were recorded more than `timeout` ago. Excludes
/// waiting videos, because a heartbeat may still revive an attempt, with its outputs.
pub async fn orphaned_outputs(
    connection: &mut Connection,
    timeout: Duration,
    limit: i64,
) -> anyhow::Result<Vec<OrphanedOutputs>> {
    let old = videos::table.filter(videos::strays_at.lt(ago(timeout).nullable()));
    Ok(old
        .filter(videos::status.ne(VideoStatus::Uploaded))
        .order(videos::strays_at)
        .limit(limit)
        .select(OrphanedOutputs::as_select())
        .load(connection)
        .await?)
}

/// Clears the record of orphans that `stray` was read from. A newer record stays.
pub async fn clear_orphans(
    connection: &mut Connection,
    stray: OrphanedOutputs,
) -> anyhow::Result<()> {
    let same = videos::strays_at.eq(stray.strays_at);
    update(videos::table.find(stray.id).filter(same))
        .set(videos::strays_at.eq(NO_TIME))
        .execute(connection)
        .await?;
    Ok(())
}
