//! SQL of moderation.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, JoinOnDsl as _, NullableExpressionMethods as _, QueryDsl as _,
    Queryable, sql_query,
    sql_types::{BigInt, Nullable, Text, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::{Id, ids};
use crate::{
    db::{
        Connection,
        schema::{moderations, users},
    },
    ids::{UserId, VideoId},
};

/// What an organiser did to a video.
#[derive(Debug, Clone, Queryable)]
pub struct Moderation {
    pub at: DateTime<Utc>,
    /// The organiser's first and last name; none after the account was deleted.
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub video: VideoId,
    pub title: String,
    /// Whether the video was hidden, not shown again.
    pub is_hidden: bool,
    pub reason: Option<String>,
}

/// Hides a video and logs it, unless it is hidden already. Returns whether it did.
pub async fn hide(
    connection: &mut Connection,
    staff: Option<UserId>,
    video: VideoId,
    reason: &str,
) -> anyhow::Result<bool> {
    let hide = sql_query(
        "WITH hidden AS (
             UPDATE videos
             SET hidden_reason = $3, public_when_shown = is_public, is_public = false
             WHERE id = $2 AND hidden_reason IS NULL
             RETURNING id, title)
         INSERT INTO moderations (organiser_id, video_id, title, is_hidden, reason)
         SELECT $1, id, title, true, $3 FROM hidden
         RETURNING video_id AS id",
    );
    let done: Vec<Id> = hide
        .bind::<Nullable<BigInt>, _>(staff)
        .bind::<Uuid, _>(video)
        .bind::<Text, _>(reason)
        .load(connection)
        .await?;
    Ok(!ids(done).is_empty())
}

/// Shows a hidden video again and logs it. Returns whether it was hidden.
pub async fn show(
    connection: &mut Connection,
    staff: Option<UserId>,
    video: VideoId,
) -> anyhow::Result<bool> {
    let show = sql_query(
        "WITH shown AS (
             UPDATE videos
             SET hidden_reason = NULL, public_when_shown = false, is_public = public_when_shown
             WHERE id = $2 AND hidden_reason IS NOT NULL
             RETURNING id, title)
         INSERT INTO moderations (organiser_id, video_id, title, is_hidden)
         SELECT $1, id, title, false FROM shown
         RETURNING video_id AS id",
    );
    let done: Vec<Id> = show
        .bind::<Nullable<BigInt>, _>(staff)
        .bind::<Uuid, _>(video)
        .load(connection)
        .await?;
    Ok(!ids(done).is_empty())
}

/// Returns the latest moderations, of all videos or of one, newest first.
pub async fn log(
    connection: &mut Connection,
    video: Option<VideoId>,
    limit: i64,
) -> anyhow::Result<Vec<Moderation>> {
    let mut latest = moderations::table
        .left_join(users::table.on(moderations::organiser_id.eq(users::id.nullable())))
        .order(moderations::id.desc())
        .limit(limit)
        .select((
            moderations::at,
            users::first_name.nullable(),
            users::last_name.nullable(),
            moderations::video_id,
            moderations::title,
            moderations::is_hidden,
            moderations::reason,
        ))
        .into_boxed();
    if let Some(video) = video {
        latest = latest.filter(moderations::video_id.eq(video));
    }
    Ok(latest.load(connection).await?)
}
