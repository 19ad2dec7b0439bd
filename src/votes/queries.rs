//! SQL on `votes`, and the only code that changes `videos.votes`.

use std::time::Duration;

use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryableByName,
    dsl::exists,
    select,
    sql_types::{Array, BigInt, Bool, Double, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::{Ballot, CastOutcome};
use crate::{
    db::{Connection, prepared, schema::votes},
    ids::{UserId, VideoId},
};

/// Casts votes. Rows are inserted in one order, so that concurrent statements cannot deadlock. The
/// foreign keys lock a video against deletion only, so votes for the same video do not wait for
/// each other. A vote that runs concurrently with unpublishing still counts. The second of two
/// equal votes inserts nothing. Counters are left to `apply_vote_deltas`: updating four indexes of
/// `videos` and three of `standings` was more than half of the cost of a vote.
///
/// Each video is looked up by key. Another condition on `videos` would allow indexes of all videos,
/// and `= ANY` a sequential scan in a plan that was made while the table was small.
pub const CAST: &str = "
    WITH ballot AS MATERIALIZED (
        SELECT vote.user_id, vote.video_id, number, video.user_id AS owner_id, is_votable
        FROM unnest(?, ?) WITH ORDINALITY AS vote (user_id, video_id, number)
        LEFT JOIN LATERAL (
            SELECT user_id, is_public AND status = 'processed' AS is_votable
            FROM videos WHERE id = vote.video_id LIMIT 1) AS video ON true),
    inserted AS (
        INSERT INTO votes (user_id, video_id)
        SELECT user_id, video_id FROM ballot WHERE is_votable AND owner_id <> user_id
        ORDER BY user_id, video_id
        ON CONFLICT DO NOTHING
        RETURNING user_id, video_id),
    noted AS (
        INSERT INTO uncounted (video_id, votes)
        SELECT video_id, count(*) FROM inserted GROUP BY video_id)
    SELECT inserted.user_id IS NOT NULL AS is_counted,
        coalesce(is_votable, false) AS is_votable,
        coalesce(owner_id = ballot.user_id, false) AS is_own
    FROM ballot
    LEFT JOIN inserted
        ON inserted.user_id = ballot.user_id AND inserted.video_id = ballot.video_id
    ORDER BY ballot.number";

/// Maximum rows of `uncounted` per round, so that a round locks videos for about 0.1 s at most.
const MAX_ROUND_ROWS: i64 = 2000;

/// Result of a round of counting.
#[derive(QueryableByName)]
pub struct Counted {
    /// The round was full, so the next one should begin at once.
    #[diesel(sql_type = Bool)]
    pub is_more: bool,
    #[diesel(sql_type = Double)]
    oldest_left: f64,
}

impl Counted {
    /// Returns the age of the oldest uncounted vote, or zero if the database's clock was set back.
    pub fn left(&self) -> Duration {
        Duration::try_from_secs_f64(self.oldest_left).unwrap_or_default()
    }
}

#[derive(QueryableByName)]
struct Cast {
    #[diesel(sql_type = Bool)]
    is_counted: bool,
    #[diesel(sql_type = Bool)]
    is_own: bool,
    #[diesel(sql_type = Bool)]
    is_votable: bool,
}

/// Inserts votes and their vote deltas in one statement. Returns the results in the same order.
pub async fn cast(
    connection: &mut Connection,
    ballots: &[Ballot],
) -> anyhow::Result<Vec<CastOutcome>> {
    let users: Vec<UserId> = ballots.iter().map(|ballot| ballot.user).collect();
    let videos: Vec<VideoId> = ballots.iter().map(|ballot| ballot.video).collect();
    let cast: Vec<Cast> = prepared(CAST)
        .bind::<Array<BigInt>, _>(users)
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

/// Applies the oldest vote deltas to the videos' counters (`count_votes` in the migrations).
pub async fn apply_vote_deltas(connection: &mut Connection) -> anyhow::Result<Counted> {
    let counted = prepared("SELECT is_more, oldest_left FROM count_votes(?)")
        .bind::<BigInt, _>(MAX_ROUND_ROWS)
        .get_result(connection)
        .await?;
    Ok(counted)
}

/// Returns whether `user` has voted for `video`.
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

/// Returns the videos among `videos` that `user` voted for.
pub async fn cast_among(
    connection: &mut Connection,
    user: UserId,
    videos: &[VideoId],
) -> anyhow::Result<Vec<VideoId>> {
    let cast = votes::table
        .filter(votes::user_id.eq(user))
        .filter(votes::video_id.eq_any(videos))
        .select(votes::video_id)
        .load(connection)
        .await?;
    Ok(cast)
}
