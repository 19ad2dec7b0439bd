//! SQL on `votes`, and the only code that changes `videos.votes`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryableByName,
    dsl::exists,
    select,
    sql_types::{Array, BigInt, Bool, Double, Nullable, Text, Timestamptz, Uuid},
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
///
/// `open_ballot` judges the contest's window by the database's clock, and keeps the contest from
/// being frozen until the votes are committed. Without limits, `unspent` and `limited` are empty and
/// cost nothing. With them, `count_cast` makes the votes of one player wait for each other.
pub const CAST: &str = "
    WITH contest AS MATERIALIZED (
        SELECT (contest).*, at, is_open,
            coalesce((contest).votes_per_day, (contest).votes_in_all,
                     (contest).min_account_age_seconds) IS NOT NULL AS has_limits
        FROM open_ballot()),
    ballot AS MATERIALIZED (
        SELECT vote.user_id, vote.video_id, number,
            CASE
                WHEN is_votable IS NOT TRUE THEN 'not_found'
                WHEN NOT contest.is_open THEN 'closed'
                WHEN video.user_id = vote.user_id THEN 'own'
                WHEN contest.id IS NOT NULL AND contest.id IS DISTINCT FROM video.contest_id
                    THEN 'not_entered'
            END AS refusal
        FROM contest
        CROSS JOIN unnest(?, ?) WITH ORDINALITY AS vote (user_id, video_id, number)
        LEFT JOIN LATERAL (
            SELECT user_id, contest_id, is_public AND status = 'processed' AS is_votable
            FROM videos WHERE id = vote.video_id LIMIT 1) AS video ON true),
    unspent AS MATERIALIZED (
        SELECT ballot.user_id, number,
            row_number() OVER (PARTITION BY ballot.user_id ORDER BY number) AS nth
        FROM contest
        CROSS JOIN LATERAL (SELECT * FROM ballot WHERE has_limits AND refusal IS NULL) AS ballot
        WHERE NOT EXISTS (
            SELECT FROM votes
            WHERE votes.user_id = ballot.user_id AND votes.video_id = ballot.video_id)),
    limited AS MATERIALIZED (
        SELECT number,
            CASE
                WHEN joined_at + make_interval(secs => min_account_age_seconds) > at THEN 'too_new'
                WHEN nth > votes_in_all - in_all THEN 'spent'
                WHEN nth > votes_per_day - today THEN 'spent_today'
            END AS refusal,
            joined_at + make_interval(secs => min_account_age_seconds) AS old_enough_at,
            (date_trunc('day', at AT TIME ZONE time_zone) + interval '1 day')
                AT TIME ZONE time_zone AS tomorrow
        FROM contest
        CROSS JOIN LATERAL (
            SELECT array_agg(DISTINCT user_id ORDER BY user_id) AS users
            FROM unspent WHERE has_limits) AS voters
        CROSS JOIN LATERAL count_cast(
            voters.users, contest.created_at, date_trunc('day', at, time_zone)) AS earlier
        JOIN unspent ON unspent.user_id = earlier.voter
        WHERE has_limits),
    judged AS MATERIALIZED (
        SELECT ballot.user_id, video_id, ballot.number,
            coalesce(ballot.refusal, limited.refusal) AS refusal,
            CASE limited.refusal
                WHEN 'too_new' THEN old_enough_at
                WHEN 'spent_today' THEN tomorrow
            END AS allowed_at
        FROM ballot LEFT JOIN limited ON limited.number = ballot.number),
    inserted AS (
        INSERT INTO votes (user_id, video_id, created_at)
        SELECT user_id, video_id, at FROM contest, judged WHERE refusal IS NULL
        ORDER BY user_id, video_id
        ON CONFLICT DO NOTHING
        RETURNING user_id, video_id),
    noted AS (
        INSERT INTO uncounted (video_id, votes)
        SELECT video_id, count(*) FROM inserted GROUP BY video_id)
    SELECT inserted.user_id IS NOT NULL AS is_counted, refusal, allowed_at,
        CASE refusal WHEN 'closed' THEN voting_open_at END AS opens_at,
        CASE refusal WHEN 'closed' THEN voting_close_at END AS closes_at
    FROM contest
    CROSS JOIN judged
    LEFT JOIN inserted
        ON inserted.user_id = judged.user_id AND inserted.video_id = judged.video_id
    ORDER BY judged.number";

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
    #[diesel(sql_type = Nullable<Text>)]
    refusal: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    allowed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    opens_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    closes_at: Option<DateTime<Utc>>,
}

impl Cast {
    fn outcome(&self) -> anyhow::Result<CastOutcome> {
        Ok(match self.refusal.as_deref() {
            None if self.is_counted => CastOutcome::Counted,
            None => CastOutcome::AlreadyVoted,
            Some("not_found") => CastOutcome::NotFound,
            Some("own") => CastOutcome::OwnVideo,
            Some("not_entered") => CastOutcome::NotEntered,
            Some("closed") => CastOutcome::Closed {
                opens_at: self.opens_at.context("opens_at")?,
                closes_at: self.closes_at.context("closes_at")?,
            },
            Some("too_new") => CastOutcome::AccountTooNew {
                allowed_at: self.allowed_at.context("allowed_at")?,
            },
            Some("spent" | "spent_today") => CastOutcome::LimitReached {
                allowed_at: self.allowed_at,
            },
            Some(other) => bail!("unknown refusal {other:?} of a vote"),
        })
    }
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
    cast.iter().map(Cast::outcome).collect()
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
