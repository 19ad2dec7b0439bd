//! SQL on `votes`, and the one place that changes `videos.votes`.

use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryableByName,
    dsl::exists,
    select,
    sql_types::{Array, BigInt, Bool, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::{Ballot, CastOutcome};
use crate::{
    db::{Connection, prepared, schema::votes},
    ids::{UserId, VideoId},
};

/// Inserts in one order, so that two of these at once wait for each other and never in a circle. The foreign keys
/// lock a video against being deleted, and nothing else: those who vote for the same video at once do not wait. Who
/// unpublishes one meanwhile comes after the vote, whose statement began before. Of two equal votes the second inserts
/// nothing and counts nothing. Counters are left to [`COUNT`]: a video that changes is changed in four indexes, and its
/// player in three, which was more than half of what a vote cost.
const CAST: &str = "
    WITH ballot AS MATERIALIZED (
        SELECT * FROM unnest(?, ?) WITH ORDINALITY AS ballot (user_id, video_id, number)),
    video AS MATERIALIZED (
        SELECT id, user_id FROM videos WHERE id = ANY (?) AND is_public AND status = 'processed'),
    inserted AS (
        INSERT INTO votes (user_id, video_id)
        SELECT ballot.user_id, id FROM ballot JOIN video ON id = video_id
        WHERE video.user_id <> ballot.user_id
        ORDER BY ballot.user_id, id
        ON CONFLICT DO NOTHING
        RETURNING user_id, video_id),
    noted AS (
        INSERT INTO uncounted (video_id, votes)
        SELECT video_id, count(*) FROM inserted GROUP BY video_id)
    SELECT inserted.user_id IS NOT NULL AS is_counted,
        video.id IS NOT NULL AS is_votable,
        coalesce(video.user_id = ballot.user_id, false) AS is_own
    FROM ballot
    LEFT JOIN video ON video.id = ballot.video_id
    LEFT JOIN inserted
        ON inserted.user_id = ballot.user_id AND inserted.video_id = ballot.video_id
    ORDER BY ballot.number";

/// Moves votes into the counters of their videos. Two of these at once lock videos in the same order; of a video that
/// was deleted the votes are gone. An array has each looked up by its key, however many rows the planner expects.
const COUNT: &str = "
    WITH taken AS (DELETE FROM uncounted RETURNING video_id, votes),
    added AS (SELECT video_id, sum(votes)::bigint AS votes FROM taken GROUP BY video_id),
    video AS MATERIALIZED (
        SELECT id FROM videos WHERE id = ANY (ARRAY(SELECT video_id FROM added))
        ORDER BY id FOR NO KEY UPDATE)
    UPDATE videos SET votes = videos.votes + added.votes
    FROM video JOIN added ON added.video_id = video.id
    WHERE videos.id = video.id";

#[derive(QueryableByName)]
struct Cast {
    #[diesel(sql_type = Bool)]
    is_counted: bool,
    #[diesel(sql_type = Bool)]
    is_own: bool,
    #[diesel(sql_type = Bool)]
    is_votable: bool,
}

/// Inserts votes and notes that they are to be counted, in one statement. Returns how each ended, in their order.
pub async fn cast(
    connection: &mut Connection,
    ballots: &[Ballot],
) -> anyhow::Result<Vec<CastOutcome>> {
    let users: Vec<UserId> = ballots.iter().map(|ballot| ballot.user).collect();
    let videos: Vec<VideoId> = ballots.iter().map(|ballot| ballot.video).collect();
    let cast: Vec<Cast> = prepared(CAST)
        .bind::<Array<BigInt>, _>(users)
        .bind::<Array<Uuid>, _>(videos.clone())
        .bind::<Array<Uuid>, _>(videos)
        .load(connection)
        .await?;
    let outcomes = cast.into_iter().map(|cast| match cast {
        Cast {
            is_counted: true, ..
        } => CastOutcome::Counted,
        Cast {
            is_votable: false, ..
        } => CastOutcome::NotFound,
        Cast { is_own: true, .. } => CastOutcome::OwnVideo,
        Cast { .. } => CastOutcome::AlreadyVoted,
    });
    Ok(outcomes.collect())
}

/// Counts what was noted.
pub async fn count(connection: &mut Connection) -> anyhow::Result<()> {
    prepared(COUNT).execute(connection).await?;
    Ok(())
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
