//! Votes: one per person and video. Those that arrive together are committed together.

pub mod handlers;
mod queries;

use std::{collections::HashSet, time::Duration};

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use tokio::time::sleep;

pub use self::queries::CAST;
use crate::{
    app::counting::Counting,
    batch::{self, Batcher, Shared},
    db::{self, Db},
    ids::{UserId, VideoId},
    shutdown::Shutdown,
};

/// How long votes wait until they are counted, while there is little to do.
const COUNT_EVERY: Duration = Duration::from_millis(200);

/// When to try again after votes could not be counted.
const RETRY: Duration = Duration::from_secs(1);

/// A vote that somebody casts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Ballot {
    user: UserId,
    video: VideoId,
}

/// How a vote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastOutcome {
    /// It counts.
    Counted,
    /// There is one by this user already.
    AlreadyVoted,
    /// Nobody votes for their own video.
    OwnVideo,
    /// The video is not there, not processed or not public.
    NotFound,
}

type Result = std::result::Result<CastOutcome, Shared>;

/// Where votes are cast; clones are the same.
#[derive(Clone)]
pub struct Votes {
    committer: Batcher<Ballot, Result>,
}

impl Votes {
    /// Starts to take votes, and to count them.
    pub fn new(db: &Db, counting: &Counting, shutdown: &Shutdown) -> Self {
        let (db, counting) = (db.clone(), counting.clone());
        shutdown.spawn(keep_counting(
            db.clone(),
            counting.clone(),
            shutdown.clone(),
        ));
        let committer = Batcher::start(shutdown, move |ballots| {
            let (db, counting) = (db.clone(), counting.clone());
            async move {
                counting.backpressure().await;
                commit(&db, &ballots).await
            }
        });
        Self { committer }
    }

    /// Casts the vote of `user` for `video`. Of several at once, one counts; it is committed when this
    /// returns, and may be also if nobody waits for that.
    pub async fn cast(&self, user: UserId, video: VideoId) -> Result {
        self.committer.submit(Ballot { user, video }).await?
    }
}

/// Casts votes in one transaction. Each gets its own answer: of equal ones the first is the vote.
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
        results.push((*ballot, result.unwrap_or_else(|| Err(no_answer()))));
    }
    results.into_iter().map(|(_, result)| result).collect()
}

/// Casts different votes together; each by itself, if one of them is the cause that PostgreSQL refused all.
async fn cast_all(db: &Db, ballots: &[Ballot]) -> Vec<Result> {
    match cast(db, ballots).await {
        Err(error) if is_about_one(&error) => {
            let mut results = Vec::with_capacity(ballots.len());
            for ballot in ballots {
                let alone = cast(db, std::slice::from_ref(ballot)).await;
                let outcome = batch::deal(alone, 1).pop();
                results.push(outcome.unwrap_or_else(|| Err(no_answer())));
            }
            results
        }
        together => batch::deal(together, ballots.len()),
    }
}

async fn cast(db: &Db, ballots: &[Ballot]) -> anyhow::Result<Vec<CastOutcome>> {
    db::in_time(async {
        let mut connection = db.connection().await?;
        queries::cast(&mut connection, ballots).await
    })
    .await
}

/// Counts the votes of all processes until shutdown, a killed process's included. It has its own connection: public
/// lists must stay current even while thousands of requests wait for one of the pool.
async fn keep_counting(db: Db, counting: Counting, shutdown: Shutdown) {
    let mut own = None;
    let mut pause = COUNT_EVERY;
    loop {
        let round = async {
            sleep(pause).await;
            let mut connection = match own.take() {
                Some(connection) => connection,
                None => db.own_connection().await?,
            };
            let counted = queries::count(&mut connection).await?;
            Ok((connection, counted))
        };
        let counted = tokio::select! {
            counted = db::in_time(round) => counted,
            () = shutdown.insisted() => return,
        };
        // Whoever writes all the time notices a failover first.
        db.learn_from(&counted);
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
            // The connection may be broken: the next round opens another one.
            Err(error) => {
                if counting.failed() {
                    tracing::warn!("votes cannot be counted: {error:#}");
                }
                pause = RETRY;
            }
        }
    }
}

/// The database returned fewer rows than there were votes, which cannot be.
fn no_answer() -> Shared {
    Shared::from(anyhow::anyhow!("a vote got no answer"))
}

/// Tells whether nothing was committed because of one vote: its video or its user was removed after the statement
/// began. Cast again, it does not find the video.
fn is_about_one(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(DieselError::DatabaseError(
            DatabaseErrorKind::ForeignKeyViolation,
            _
        ))
    )
}
