//! SQL on `votes`, and the one place that changes `videos.votes`.

use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryableByName,
    dsl::exists,
    select, sql_query,
    sql_types::{BigInt, Bool, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::CastOutcome;
use crate::{
    db::{Connection, schema::votes},
    ids::{UserId, VideoId},
};

#[derive(QueryableByName)]
struct Cast {
    #[diesel(sql_type = Bool)]
    is_counted: bool,
    #[diesel(sql_type = Bool)]
    is_own: bool,
    #[diesel(sql_type = Bool)]
    is_votable: bool,
}

/// Inserts the vote and counts it, in one statement. Of two equal votes at once the second waits for
/// the first, then inserts nothing and counts nothing. The key-share lock keeps the video from being
/// deleted in between, and does not hinder other votes.
pub async fn cast(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<CastOutcome> {
    let cast: Cast = sql_query(
        "WITH video AS (
             SELECT id, user_id FROM videos
             WHERE id = $2 AND is_public AND status = 'processed'
             FOR KEY SHARE),
         inserted AS (
             INSERT INTO votes (user_id, video_id)
             SELECT $1, id FROM video WHERE user_id <> $1
             ON CONFLICT DO NOTHING
             RETURNING video_id),
         counted AS (
             UPDATE videos SET votes = votes + 1 FROM inserted WHERE id = inserted.video_id
             RETURNING id)
         SELECT EXISTS (SELECT FROM counted) AS is_counted,
                EXISTS (SELECT FROM video) AS is_votable,
                EXISTS (SELECT FROM video WHERE user_id = $1) AS is_own",
    )
    .bind::<BigInt, _>(user)
    .bind::<Uuid, _>(video)
    .get_result(connection)
    .await?;
    Ok(match cast {
        Cast {
            is_counted: true, ..
        } => CastOutcome::Counted,
        Cast {
            is_votable: false, ..
        } => CastOutcome::NotFound,
        Cast { is_own: true, .. } => CastOutcome::OwnVideo,
        Cast { .. } => CastOutcome::AlreadyVoted,
    })
}

/// Tells whether `user` has voted for `video`.
pub async fn is_cast(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<bool> {
    let vote = votes::table
        .filter(votes::user_id.eq(user))
        .filter(votes::video_id.eq(video));
    Ok(select(exists(vote)).get_result(connection).await?)
}

/// Returns the videos that `user` voted for, the latest vote first.
pub async fn list(
    connection: &mut Connection,
    user: UserId,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<VideoId>> {
    let cast = votes::table
        .filter(votes::user_id.eq(user))
        .order((votes::created_at.desc(), votes::video_id))
        .limit(limit)
        .offset(offset)
        .select(votes::video_id)
        .load(connection)
        .await?;
    Ok(cast)
}
