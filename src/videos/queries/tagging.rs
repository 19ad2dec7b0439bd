//! SQL of `untagged`: videos whose outputs may carry the wrong tags. Triggers write its rows.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryableByName, delete,
    dsl::not,
    sql_query,
    sql_types::{BigInt, Interval, Uuid},
    update,
};
use diesel_async::RunQueryDsl as _;

use super::VideoStatus;
use crate::{
    db::{
        Connection, from_now, interval,
        schema::{untagged, videos},
    },
    ids::{UserId, VideoId},
};

/// A process's right to settle the tags of a video, until `due_at`.
#[derive(Debug, Clone, Copy, QueryableByName)]
#[diesel(table_name = untagged)]
pub struct Untagged {
    #[diesel(column_name = video_id)]
    pub video: VideoId,
    version: i64,
    /// Unique to this claim.
    due_at: DateTime<Utc>,
}

/// Notes that the tags of a video may be wrong.
pub async fn note(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    let note = sql_query("SELECT note_untagged($1)");
    note.bind::<Uuid, _>(video).execute(connection).await?;
    Ok(())
}

/// Claims a video for `lease`, if it is due. Of concurrent claims, exactly one succeeds.
pub async fn claim(
    connection: &mut Connection,
    video: VideoId,
    lease: Duration,
) -> anyhow::Result<Option<Untagged>> {
    let claim = sql_query(
        "UPDATE untagged SET due_at = clock_timestamp() + $2
         WHERE video_id = $1 AND due_at <= clock_timestamp()
         RETURNING video_id, version, due_at",
    );
    let claim = claim
        .bind::<Uuid, _>(video)
        .bind::<Interval, _>(interval(lease))
        .get_result(connection)
        .await;
    Ok(claim.optional()?)
}

/// Claims up to `limit` videos for `lease`, those that have been due longest. Concurrent claims skip
/// each other's locked rows.
pub async fn claim_due(
    connection: &mut Connection,
    lease: Duration,
    limit: i64,
) -> anyhow::Result<Vec<Untagged>> {
    let claim = sql_query(
        "UPDATE untagged SET due_at = clock_timestamp() + $1 WHERE video_id IN (
             SELECT video_id FROM untagged WHERE due_at <= clock_timestamp()
             ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING video_id, version, due_at",
    );
    Ok(claim
        .bind::<Interval, _>(interval(lease))
        .bind::<BigInt, _>(limit)
        .load(connection)
        .await?)
}

/// Returns the attempt whose outputs the public may read.
pub async fn public_attempt(
    connection: &mut Connection,
    video: VideoId,
) -> anyhow::Result<Option<i32>> {
    let public = videos::table
        .find(video)
        .filter(videos::is_public)
        .filter(videos::status.eq(VideoStatus::Processed));
    let attempt = public.select(videos::attempt).first(connection).await;
    Ok(attempt.optional()?)
}

/// Returns the attempt whose outputs become public if `user` publishes the video.
pub async fn attempt_to_publish(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<Option<i32>> {
    let private = videos::table
        .find(video)
        .filter(videos::user_id.eq(user))
        .filter(videos::status.eq(VideoStatus::Processed))
        .filter(not(videos::is_public))
        .filter(videos::hidden_reason.is_null());
    let attempt = private.select(videos::attempt).first(connection).await;
    Ok(attempt.optional()?)
}

/// Returns the attempt whose outputs become public if an organiser shows the video again.
pub async fn attempt_to_show(
    connection: &mut Connection,
    video: VideoId,
) -> anyhow::Result<Option<i32>> {
    let hidden = videos::table
        .find(video)
        .filter(videos::status.eq(VideoStatus::Processed))
        .filter(videos::public_when_shown);
    let attempt = hidden.select(videos::attempt).first(connection).await;
    Ok(attempt.optional()?)
}

/// Returns whether the public may watch the video as soon as it is processed.
pub async fn is_to_be_public(connection: &mut Connection, video: VideoId) -> anyhow::Result<bool> {
    let is_public = videos::table.find(video).select(videos::is_public);
    let is_public = is_public.first(connection).await.optional()?;
    Ok(is_public.unwrap_or_default())
}

/// Removes the row, unless the video has changed since the claim, or the claim has expired. Returns
/// whether it did.
pub async fn finish(connection: &mut Connection, settled: Untagged) -> anyhow::Result<bool> {
    let row = untagged::table
        .find(settled.video)
        .filter(untagged::version.eq(settled.version))
        .filter(untagged::due_at.eq(settled.due_at));
    Ok(delete(row).execute(connection).await? == 1)
}

/// Renews a claim, for the video's current version. Returns none if it was lost.
pub async fn renew(
    connection: &mut Connection,
    outdated: Untagged,
    lease: Duration,
) -> anyhow::Result<Option<Untagged>> {
    let row = untagged::table
        .find(outdated.video)
        .filter(untagged::due_at.eq(outdated.due_at));
    let renewed = update(row)
        .set(untagged::due_at.eq(from_now(lease)))
        .returning((untagged::version, untagged::due_at))
        .get_result::<(i64, DateTime<Utc>)>(connection)
        .await
        .optional()?;
    Ok(renewed.map(|(version, due_at)| Untagged {
        video: outdated.video,
        version,
        due_at,
    }))
}
