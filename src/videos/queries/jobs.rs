//! SQL of the job's life. Every write but the claim carries the attempt number that the claim gave: it
//! is the fence that stops a worker whose lease went to another one. An attempt that ends without success
//! leaves a note of strays: what was being stored when it was given up may still arrive.

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

use crate::{
    db::{Connection, ago, from_now, greatest, interval, now, schema::videos, types::VideoStatus},
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

/// Claims the video whose turn it is, of those that wait and are due. Returns none if none is. Of two claims at once the
/// second skips the row that the first one locked. Virtual time goes on to the turn of the video.
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

/// The claimed row, as long as the claim is still the last one and has not failed: what a worker sent
/// before it gave up may come late. `uploaded` counts: after an expired lease the sweeper put the row back,
/// but nobody took it. So does `ended`, as which the claim may have ended it: the answer can get lost, and
/// the result is sent again.
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

/// Rows whose lease had run out at `moment`.
#[diesel::dsl::auto_type(no_type_alias)]
fn expired(moment: DateTime<Utc>) -> _ {
    let processing: VideoStatus = VideoStatus::Processing;
    let moment: Option<DateTime<Utc>> = Some(moment);
    videos::status
        .eq(processing)
        .and(videos::lease_until.lt(moment))
}

/// Returns whether the claim is the last one, however it ended: nobody else has the video.
pub async fn is_last(connection: &mut Connection, claim: Claim) -> anyhow::Result<bool> {
    let row = videos::table
        .find(claim.video)
        .filter(videos::attempt.eq(claim.attempt));
    Ok(select(exists(row)).get_result(connection).await?)
}

/// Extends the lease, also one that expired meanwhile. Returns whether the claim still holds.
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

/// Records how far the claimed video is. The percentage never goes back: a later attempt catches up
/// with an earlier one first.
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

/// Records that the outputs of this attempt are stored, and what made them. Returns whether the claim
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

/// Records why the video failed for good, and what is known about that. Returns whether the claim still
/// held. A video that failed keeps its reason: told again, it must be the same.
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

/// Puts the video back after a failure: due after `delay`, to be pushed then. Returns whether the claim
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

/// Puts the video back without counting a failure: its message is released, too. The claim is void then: a result that was on
/// its way must not come after. Returns whether the claim still held.
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

/// Puts the video back after a setback: due after `delay`, to be pushed then, with no failure counted and, as
/// [`release`], with a void claim. Returns whether the claim still held.
pub async fn set_back(
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

/// Tells whether the first setback of the claimed video is longer ago than `patience`.
pub async fn has_waited(
    connection: &mut Connection,
    claim: Claim,
    patience: Duration,
) -> anyhow::Result<bool> {
    let long_ago = videos::setback_at.lt(ago(patience).nullable());
    let row = videos::table.find(claim.video).filter(long_ago);
    Ok(select(exists(row)).get_result(connection).await?)
}

/// Records that a new video was pushed. If a worker was faster, the row is as that one left it: a mark
/// on a failed attempt would keep the next one from being pushed.
pub async fn mark_enqueued(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    update(videos::table.find(video).filter(videos::attempt.eq(0)))
        .set(videos::enqueued_at.eq(now().nullable()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets that videos were pushed, because they were not: the next sweep tries again.
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

/// Rule (b) of the sweeper: the videos whose leases had expired at `moment` wait again, to be pushed. Returns them. Of
/// two sweepers, the second finds the rows changed.
pub async fn expire_leases(
    connection: &mut Connection,
    moment: DateTime<Utc>,
    max_losses: i32,
) -> anyhow::Result<Vec<VideoId>> {
    let expired = update(
        videos::table
            .filter(expired(moment))
            .filter(videos::losses.lt(max_losses - 1)),
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

/// The end of rule (b): a lease that expired for the last of `max_losses` times fails the video.
/// Returns the failed ones.
pub async fn fail_lost(
    connection: &mut Connection,
    moment: DateTime<Utc>,
    max_losses: i32,
    failure: &Value,
) -> anyhow::Result<Vec<VideoId>> {
    let lost = update(
        videos::table
            .filter(expired(moment))
            .filter(videos::losses.ge(max_losses - 1)),
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

/// What a statement returns that names videos.
#[derive(QueryableByName)]
pub struct Id {
    #[diesel(sql_type = sql_types::Uuid)]
    id: VideoId,
}

/// Rule (a) of the sweeper: marks up to `limit` due videos that were never pushed as pushed, and
/// returns them for the caller to push. A second sweeper skips the rows that this one locked. The
/// second of delay leaves a fresh upload to the API, which pushes it itself.
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

/// Tells whether any waiting video was pushed longer than `patience` ago.
pub async fn is_any_pushed(
    connection: &mut Connection,
    patience: Duration,
) -> anyhow::Result<bool> {
    let pushed = videos::table
        .filter(videos::status.eq(VideoStatus::Uploaded))
        .filter(videos::enqueued_at.lt(ago(patience).nullable()));
    Ok(select(exists(pushed)).get_result(connection).await?)
}

/// Rule (c) of the sweeper, for an empty queue: as [`take_due`] for videos that were pushed longer than `patience` ago,
/// those first whose turn it is.
pub async fn take_again(
    connection: &mut Connection,
    patience: Duration,
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
        .bind::<sql_types::Interval, _>(interval(patience))
        .load(connection)
        .await?;
    Ok(ids(again))
}

/// Notes that outputs of an attempt may lie about which nobody removed.
pub async fn note_strays(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    update(videos::table.find(video))
        .set(videos::strays_at.eq(now().nullable()))
        .execute(connection)
        .await?;
    Ok(())
}

/// A video with outputs that may lie about.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = videos)]
pub struct Stray {
    pub id: VideoId,
    pub status: VideoStatus,
    pub attempt: i32,
    pub strays_at: Option<DateTime<Utc>>,
}

/// Returns up to `limit` videos whose strays were noted longer than `timeout` ago. Of one that waits any
/// attempt may yet be revived, and name what it stored.
pub async fn strays(
    connection: &mut Connection,
    timeout: Duration,
    limit: i64,
) -> anyhow::Result<Vec<Stray>> {
    let old = videos::table.filter(videos::strays_at.lt(ago(timeout).nullable()));
    Ok(old
        .filter(videos::status.ne(VideoStatus::Uploaded))
        .order(videos::strays_at)
        .limit(limit)
        .select(Stray::as_select())
        .load(connection)
        .await?)
}

/// Forgets the note that `stray` was read from; one that was made since stays.
pub async fn forget_strays(connection: &mut Connection, stray: Stray) -> anyhow::Result<()> {
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
