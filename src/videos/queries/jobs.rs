//! SQL of a worker's job. Every write after the claim that changes the state of the video carries
//! the claim's attempt number as a fencing token, which stops a worker whose lease went to another
//! one. An attempt that ends without success sets `strays_at`, because files may still be stored
//! after it was given up.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, NullableExpressionMethods as _,
    OptionalExtension as _, QueryDsl as _, QueryableByName,
    dsl::{exists, sql},
    select, sql_query, sql_types, update,
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use super::{NO_TIME, Renditions, VideoStatus};
use crate::{
    config::media::ContestRules,
    db::{
        Connection, ago, from_now, greatest, interval, now,
        schema::{contests, videos},
    },
    ids::VideoId,
};

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

/// The changes that make a video wait again after an attempt.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn waits_again() -> _ {
    let uploaded: VideoStatus = VideoStatus::Uploaded;
    let no_lease: Option<DateTime<Utc>> = NO_TIME;
    (
        videos::status.eq(uploaded),
        videos::lease_until.eq(no_lease),
        videos::strays_at.eq(now().nullable()),
    )
}

/// Returns the rules of the contest that a video takes part in.
pub async fn contest_rules(
    connection: &mut Connection,
    video: VideoId,
) -> anyhow::Result<ContestRules> {
    type Row = (Option<i32>, Option<i32>, Option<i32>);
    let rules: Option<Row> = videos::table
        .inner_join(contests::table)
        .filter(videos::id.eq(video))
        .select((
            contests::min_duration_seconds,
            contests::max_duration_seconds,
            contests::min_lines,
        ))
        .first(connection)
        .await
        .optional()?;
    let (min_seconds, max_seconds, min_lines) = rules.unwrap_or_default();
    let limit = |rule: Option<i32>| rule.map(u32::try_from).transpose();
    Ok(ContestRules {
        min_seconds: limit(min_seconds)?,
        max_seconds: limit(max_seconds)?,
        min_lines: limit(min_lines)?,
    })
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
    remaining: Option<Duration>,
) -> anyhow::Result<()> {
    update(held(claim, VideoStatus::Processing))
        .set((
            videos::progress.eq(greatest(videos::progress, percent)),
            remaining.map(|remaining| videos::ready_at.eq(from_now(remaining).nullable())),
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
    renditions: &Renditions,
    report: &Value,
) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processed))
        .set((
            videos::status.eq(VideoStatus::Processed),
            videos::lease_until.eq(NO_TIME),
            videos::processed_at.eq(now().nullable()),
            renditions,
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

/// Puts the video back after a job failure, with its report if there is one, to be pushed after
/// `delay`. Returns whether the claim still held.
pub async fn retry(
    connection: &mut Connection,
    claim: Claim,
    delay: Duration,
    report: Option<&Value>,
) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processing))
        .set((
            waits_again(),
            videos::failures.eq(videos::failures + 1),
            videos::run_after.eq(from_now(delay)),
            videos::enqueued_at.eq(NO_TIME),
            report.map(|report| videos::report.eq(Some(report))),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Puts the video back without counting a failure, for a message that is also released. Voids the
/// claim, so that a late result has no effect. Returns whether the claim still held.
pub async fn release(connection: &mut Connection, claim: Claim) -> anyhow::Result<bool> {
    let rows = update(held(claim, VideoStatus::Processing))
        .set((waits_again(), videos::attempt.eq(videos::attempt + 1)))
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
            waits_again(),
            videos::attempt.eq(videos::attempt + 1),
            videos::setbacks.eq(videos::setbacks + 1),
            videos::setback_at.eq(sql("coalesce(setback_at, now())")),
            videos::kills.eq(videos::kills + i32::from(was_killed)),
            videos::run_after.eq(from_now(delay)),
            videos::enqueued_at.eq(NO_TIME),
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

/// Records that the video may have orphaned outputs.
pub async fn note_orphans(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    update(videos::table.find(video))
        .set(videos::strays_at.eq(now().nullable()))
        .execute(connection)
        .await?;
    Ok(())
}
