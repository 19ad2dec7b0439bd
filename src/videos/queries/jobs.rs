//! SQL of the job life cycle. Every write after the claim carries the claim's attempt number as a
//! fencing token, which stops a worker whose lease went to another one. An attempt that ends
//! without success sets `strays_at`, because files may still be stored after it was given up.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, NullableExpressionMethods as _,
    OptionalExtension as _, QueryDsl as _, Queryable, QueryableByName, Selectable,
    SelectableHelper as _,
    dsl::{exists, sql},
    select, sql_query, sql_types, update,
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use super::VideoStatus;
use crate::{
    db::{Connection, ago, from_now, greatest, interval, now, schema::videos},
    ids::VideoId,
};

const NO_TIME: Option<DateTime<Utc>> = None;

/// A worker's right to process a video.
#[derive(Debug, Clone, Copy, QueryableByName)]
#[diesel(table_name = videos)]
pub struct Claim {
    #[diesel(column_name = id)]
    pub video: VideoId,
    pub attempt: i32,
    pub failures: i32,
    pub setbacks: i32,
    pub kills: i32,
}

/// Claims the next due video in turn. Returns none if no video is due. Concurrent claims skip each
/// other's locked rows. Advances the virtual time to the turn of the video.
pub async fn claim(connection: &mut Connection, lease: Duration) -> anyhow::Result<Option<Claim>> {
    let claim = sql_query(
        "WITH next AS (
             SELECT id, turn FROM videos WHERE status = 'uploaded' AND run_after <= now()
             ORDER BY turn, id LIMIT 1 FOR UPDATE SKIP LOCKED),
         noted AS (
             SELECT id, setval('videos_turn', greatest(turn, last_value)) FROM next, videos_turn)
         UPDATE videos SET status = 'processing', attempt = attempt + 1, lease_until = now() + $1,
             started_at = now(), ready_at = NULL
         FROM noted WHERE videos.id = noted.id
         RETURNING videos.id, attempt, failures, setbacks, kills",
    );
    let claim = claim
        .bind::<sql_types::Interval, _>(interval(lease))
        .get_result(connection)
        .await
        .optional()?;
    Ok(claim)
}

/// The claimed row, as long as the claim is still the latest and has recorded no failure. A
/// statement that the worker sent before it gave up may arrive late. `uploaded` is allowed because
/// the sweeper may have put the row back after an expired lease, with no new claim yet. `ended` is
/// allowed because the response to an earlier write of the result may have been lost, so the write
/// is repeated.
#[diesel::dsl::auto_type(no_type_alias)]
fn held(claim: Claim, ended: VideoStatus) -> _ {
    let video: VideoId = claim.video;
    let attempt: i32 = claim.attempt;
    let failures: i32 = claim.failures;
    let states: [VideoStatus; 3] = [VideoStatus::Processing, VideoStatus::Uploaded, ended];
    videos::table
        .filter(videos::id.eq(video))
        .filter(videos::attempt.eq(attempt))
        .filter(videos::failures.eq(failures))
        .filter(videos::status.eq_any(states))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn expired(moment: DateTime<Utc>) -> _ {
    let processing: VideoStatus = VideoStatus::Processing;
    let moment: Option<DateTime<Utc>> = Some(moment);
    videos::status
        .eq(processing)
        .and(videos::lease_until.lt(moment))
}

/// Returns whether the claim is the latest, however it ended, so no other worker has the video.
pub async fn is_latest(connection: &mut Connection, claim: Claim) -> anyhow::Result<bool> {
    let row = videos::table
        .find(claim.video)
        .filter(videos::attempt.eq(claim.attempt));
    Ok(select(exists(row)).get_result(connection).await?)
}

/// Extends the lease, even an expired one. Returns whether the claim still holds.
pub async fn heartbeat(
    connection: &mut Connection,
    claim: Claim,
    lease: Duration,
) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processing))
        .set((
            videos::status.eq(VideoStatus::Processing),
            videos::lease_until.eq(from_now(lease).nullable()),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Records the progress of the claimed video. The percentage never decreases, not even in a later
/// attempt.
pub async fn show_progress(
    connection: &mut Connection,
    claim: Claim,
    percent: i16,
    left: Option<Duration>,
) -> anyhow::Result<()> {
    update(held(claim, VideoStatus::Processing))
        .set((
            videos::progress.eq(greatest(videos::progress, percent)),
            left.map(|left| videos::ready_at.eq(from_now(left).nullable())),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Records that the outputs of this attempt are stored, with the report. Returns whether the claim
/// still held.
pub async fn mark_processed(
    connection: &mut Connection,
    claim: Claim,
    report: &Value,
) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processed))
        .set((
            videos::status.eq(VideoStatus::Processed),
            videos::lease_until.eq(NO_TIME),
            videos::processed_at.eq(now().nullable()),
            videos::report.eq(Some(report)),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Records a permanent failure with its report. Returns whether the claim still held. A repeated
/// write succeeds only with the same failure.
pub async fn mark_failed(
    connection: &mut Connection,
    claim: Claim,
    failure: &Value,
    report: Option<&Value>,
) -> anyhow::Result<bool> {
    let same = videos::failure
        .is_null()
        .or(videos::failure.eq(Some(failure)));
    let rows = update(held(claim, VideoStatus::Failed).filter(same))
        .set((
            videos::status.eq(VideoStatus::Failed),
            videos::failure.eq(Some(failure)),
            videos::report.eq(report),
            videos::lease_until.eq(NO_TIME),
            videos::strays_at.eq(now().nullable()),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Puts the video back after a job failure, to be pushed after `delay`. Returns whether the claim
/// still held.
pub async fn retry(
    connection: &mut Connection,
    claim: Claim,
    delay: Duration,
) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processing))
        .set((
            videos::status.eq(VideoStatus::Uploaded),
            videos::failures.eq(videos::failures + 1),
            videos::lease_until.eq(NO_TIME),
            videos::run_after.eq(from_now(delay)),
            videos::enqueued_at.eq(NO_TIME),
            videos::strays_at.eq(now().nullable()),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Puts the video back without counting a failure, for a message that is also released. Voids the
/// claim, so that a late result has no effect. Returns whether the claim still held.
pub async fn release(connection: &mut Connection, claim: Claim) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processing))
        .set((
            videos::status.eq(VideoStatus::Uploaded),
            videos::attempt.eq(videos::attempt + 1),
            videos::lease_until.eq(NO_TIME),
            videos::strays_at.eq(now().nullable()),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Puts the video back after an environment failure, to be pushed after `delay`. Counts no job
/// failure and voids the claim, as [`release`] does. Returns whether the claim still held.
pub async fn postpone(
    connection: &mut Connection,
    claim: Claim,
    was_killed: bool,
    delay: Duration,
) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processing))
        .set((
            videos::status.eq(VideoStatus::Uploaded),
            videos::attempt.eq(videos::attempt + 1),
            videos::setbacks.eq(videos::setbacks + 1),
            videos::setback_at.eq(sql("coalesce(setback_at, now())")),
            videos::kills.eq(videos::kills + i32::from(was_killed)),
            videos::lease_until.eq(NO_TIME),
            videos::run_after.eq(from_now(delay)),
            videos::enqueued_at.eq(NO_TIME),
            videos::strays_at.eq(now().nullable()),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Returns whether the first environment failure of the claimed video was more than `limit` ago.
pub async fn is_environment_failing_since(
    connection: &mut Connection,
    claim: Claim,
    limit: Duration,
) -> anyhow::Result<bool> {
    let long_ago = videos::setback_at.lt(ago(limit).nullable());
    let row = videos::table.find(claim.video).filter(long_ago);
    Ok(select(exists(row)).get_result(connection).await?)
}

/// Records that a new video was pushed. Does nothing if a worker has already claimed it, because
/// the record would keep the video from being pushed again after a failed attempt.
pub async fn mark_enqueued(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    update(videos::table.find(video).filter(videos::attempt.eq(0)))
        .set(videos::enqueued_at.eq(now().nullable()))
        .execute(connection)
        .await?;
    Ok(())
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
        videos::status.eq(VideoStatus::Uploaded),
        videos::losses.eq(videos::losses + 1),
        videos::lease_until.eq(NO_TIME),
        videos::enqueued_at.eq(NO_TIME),
        videos::strays_at.eq(now().nullable()),
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

#[derive(QueryableByName)]
pub struct Id {
    #[diesel(sql_type = sql_types::Uuid)]
    id: VideoId,
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

/// Records that the video may have orphaned outputs.
pub async fn note_orphans(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    update(videos::table.find(video))
        .set(videos::strays_at.eq(now().nullable()))
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

pub fn ids(rows: Vec<Id>) -> Vec<VideoId> {
    rows.into_iter().map(|row| row.id).collect()
}
