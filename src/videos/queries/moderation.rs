//! SQL of moderation.

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, JoinOnDsl as _,
    NullableExpressionMethods as _, QueryDsl as _, Queryable,
    dsl::{exists, sql},
    expression::SqlLiteral,
    select, sql_query,
    sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid},
    update,
};
use diesel_async::RunQueryDsl as _;

use super::{Id, ids};
use crate::{
    db::{
        Connection,
        schema::{answers, moderations, reports, users, videos},
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

/// Returns whether a video has open reports, or its player's answer is open. Makes moderations of the
/// video wait for each other until the transaction ends.
pub async fn is_listed(connection: &mut Connection, video: VideoId) -> anyhow::Result<bool> {
    videos::table
        .find(video)
        .select(videos::id)
        .for_no_key_update()
        .execute(connection)
        .await?;
    let reports = reports::table
        .filter(reports::video_id.eq(video))
        .filter(reports::settled_at.is_null());
    let answers = answers::table
        .filter(answers::video_id.eq(video))
        .filter(answers::settled_at.is_null());
    Ok(select(exists(reports).or(exists(answers)))
        .get_result(connection)
        .await?)
}

/// Settles the open reports of a video that was hidden. A statement of its own, which sees the
/// reports for which the hiding waited.
pub async fn settle_reports(
    connection: &mut Connection,
    staff: Option<UserId>,
    video: VideoId,
) -> anyhow::Result<()> {
    let open = reports::table
        .filter(reports::video_id.eq(video))
        .filter(reports::settled_at.is_null());
    update(open)
        .set((
            reports::settled_at.eq(moment()),
            reports::settled_by.eq(staff),
            reports::outcome.eq("hidden"),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Settles the answer of a player whose video is shown again.
pub async fn settle_answer(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    let open = answers::table
        .filter(answers::video_id.eq(video))
        .filter(answers::settled_at.is_null());
    update(open)
        .set(answers::settled_at.eq(moment()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the present moment by the clock of the database.
fn moment() -> SqlLiteral<Nullable<Timestamptz>> {
    sql("clock_timestamp()")
}

/// Records what the owner of a hidden video answers. Returns whether it was the first answer since
/// the video was hidden.
pub async fn answer(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
    text: &str,
) -> anyhow::Result<bool> {
    let answer = sql_query(
        "INSERT INTO answers (moderation_id, video_id, text)
         SELECT max(moderations.id), videos.id, $3
         FROM videos JOIN moderations ON moderations.video_id = videos.id
         WHERE videos.id = $2 AND videos.user_id = $1 AND hidden_reason IS NOT NULL
         GROUP BY videos.id
         ON CONFLICT DO NOTHING",
    );
    let inserted = answer
        .bind::<BigInt, _>(user)
        .bind::<Uuid, _>(video)
        .bind::<Text, _>(text)
        .execute(connection)
        .await?;
    Ok(inserted == 1)
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
