//! Votes: one per user and video. Concurrent votes are committed together (group commit).

pub mod handlers;
mod queries;

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use tokio::time::sleep;

pub use self::queries::CAST;
use crate::{
    app::counting::Counting,
    batch::{self, Batcher, SharedError},
    db::{self, Db},
    ids::{UserId, VideoId},
    shutdown::{Shutdown, Task},
};

/// Interval between rounds of counting while there is little to do.
const COUNT_EVERY: Duration = Duration::from_millis(200);

/// Delay before counting is retried after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// A vote to be cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Ballot {
    user: UserId,
    video: VideoId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastOutcome {
    Counted,
    /// The user has already voted for this video.
    AlreadyVoted,
    /// Users cannot vote for their own videos.
    OwnVideo,
    /// The video does not exist, is not processed or is not public.
    NotFound,
    /// The contest's voting is not open.
    Closed {
        opens_at: DateTime<Utc>,
        closes_at: DateTime<Utc>,
    },
    /// The video does not take part in the current contest.
    NotEntered,
    /// The account is younger than the contest's rules ask for.
    AccountTooNew {
        allowed_at: DateTime<Utc>,
    },
    /// The user has cast as many votes as the contest's rules allow, of a day or in all.
    LimitReached {
        /// When the next day begins; none if no further vote is allowed.
        allowed_at: Option<DateTime<Utc>>,
    },
}

type Result = std::result::Result<CastOutcome, SharedError>;

/// Casts and counts votes. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Votes {
    committer: Batcher<Ballot, Result>,
}

impl Votes {
    /// Starts accepting and counting votes.
    pub fn new(db: &Db, counting: &Counting, shutdown: &Shutdown) -> Self {
        let (db, counting) = (db.clone(), counting.clone());
        let count = keep_counting(db.clone(), counting.clone(), shutdown.clone());
        shutdown.spawn(Task::VoteCounting, count);
        let committer = Batcher::start(shutdown, Task::VoteCommits, move |ballots| {
            let (db, counting) = (db.clone(), counting.clone());
            async move {
                counting.backpressure().await;
                commit(&db, &ballots).await
            }
        });
        Self { committer }
    }

    /// Casts the vote of `user` for `video`; of concurrent equal votes, exactly one counts. The
    /// vote is committed when this returns, and may be committed even if the caller is cancelled.
    pub async fn cast(&self, user: UserId, video: VideoId) -> Result {
        self.committer.submit(Ballot { user, video }).await?
    }
}

/// Returns whether `user` has voted for `video`.
pub async fn is_cast(db: &Db, user: UserId, video: VideoId) -> anyhow::Result<bool> {
    let mut connection = db.connection().await?;
    queries::is_cast(&mut connection, user, video).await
}

/// Returns a range of the videos that `user` voted for, the latest vote first.
pub async fn list(db: &Db, user: UserId, limit: i64, offset: i64) -> anyhow::Result<Vec<VideoId>> {
    let mut connection = db.connection().await?;
    queries::list(&mut connection, user, limit, offset).await
}

/// Returns the videos among `videos` that `user` voted for.
pub async fn cast_among(db: &Db, user: UserId, videos: &[VideoId]) -> anyhow::Result<Vec<VideoId>> {
    let mut connection = db.connection().await?;
    queries::cast_among(&mut connection, user, videos).await
}

/// Casts votes in one transaction. Returns one result each; of equal votes, the first one counts.
async fn commit(db: &Db, ballots: &[Ballot]) -> Vec<Result> {
    let mut seen = HashSet::new();
    let firsts: Vec<Ballot> = ballots
        .iter()
        .copied()
        .filter(|ballot| seen.insert(*ballot))
        .collect();
    let mut outcomes = cast_all(db, &firsts).await.into_iter();
    let mut results: Vec<(Ballot, Result)> = Vec::with_capacity(ballots.len());
    for ballot in ballots {
        let result = if seen.remove(ballot) {
            outcomes.next()
        } else {
            let first = results.iter().find(|(other, _)| other == ballot);
            first.map(|(_, result)| match result {
                Ok(CastOutcome::Counted) => Ok(CastOutcome::AlreadyVoted),
                other => other.clone(),
            })
        };
        results.push((*ballot, result.unwrap_or_else(|| Err(missing_result()))));
    }
    results.into_iter().map(|(_, result)| result).collect()
}

/// Casts distinct votes together, or one by one if a single vote made PostgreSQL reject all.
async fn cast_all(db: &Db, ballots: &[Ballot]) -> Vec<Result> {
    match cast(db, ballots).await {
        Err(error) if is_caused_by_one_vote(&error) => {
            let mut results = Vec::with_capacity(ballots.len());
            for ballot in ballots {
                let alone = cast(db, std::slice::from_ref(ballot)).await;
                let outcome = batch::split_result(alone, 1).pop();
                results.push(outcome.unwrap_or_else(|| Err(missing_result())));
            }
            results
        }
        together => batch::split_result(together, ballots.len()),
    }
}

async fn cast(db: &Db, ballots: &[Ballot]) -> anyhow::Result<Vec<CastOutcome>> {
    db::with_timeout(async {
        let mut connection = db.connection().await?;
        queries::cast(&mut connection, ballots).await
    })
    .await
}

/// Counts the votes of all processes, even killed ones, until shutdown. A dedicated connection
/// keeps public lists current while thousands of requests wait for the pool.
async fn keep_counting(db: Db, counting: Counting, shutdown: Shutdown) {
    let mut own = None;
    let mut pause = COUNT_EVERY;
    loop {
        let round = async {
            sleep(pause).await;
            let mut connection = match own.take() {
                Some(connection) => connection,
                None => db.dedicated_connection().await?,
            };
            let counted = queries::apply_vote_deltas(&mut connection).await?;
            Ok((connection, counted))
        };
        let counted = tokio::select! {
            counted = db::with_timeout(round) => counted,
            () = shutdown.forced() => return,
        };
        // This task writes continuously, so it notices a failover first.
        db.note_write_result(&counted);
        match counted {
            Ok((connection, counted)) => {
                counting.succeeded(counted.left());
                own = Some(connection);
                pause = if counted.is_more {
                    Duration::ZERO
                } else {
                    COUNT_EVERY
                };
            }
            // The connection may be broken, so the next round opens another one.
            Err(error) => {
                if counting.failed() {
                    tracing::warn!("votes cannot be counted: {error:#}");
                }
                pause = RETRY;
            }
        }
    }
}

/// Returns the error for a vote without a row in the result, which cannot happen.
fn missing_result() -> SharedError {
    SharedError::from(anyhow::anyhow!("the database returned no row for a vote"))
}

/// Returns whether one vote made the statement fail: its video or user was deleted after the
/// statement began. Cast again, the vote does not find the video.
fn is_caused_by_one_vote(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(DieselError::DatabaseError(
            DatabaseErrorKind::ForeignKeyViolation,
            _
        ))
    )
}
