//! The sweeper: what a crash or a broker lost, it finds in the rows and puts right. Every worker runs
//! it every [`INTERVAL`]; two at once do no harm.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Failure,
    queries::{jobs, remakes},
};
use crate::{
    app::Workshop,
    db::{self, Db},
    ids::VideoId,
    job::Job,
    queue::Queue,
    storage::Storage,
};

/// Time between two sweeps.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// When the queue is empty, messages pushed longer ago than this are gone, or a worker has them just now.
const PATIENCE: Duration = Duration::from_secs(5);

/// Leases that one video may lose before it counts as the cause.
const MAX_LOSSES: i32 = 10;

/// Most rows of one rule in one sweep.
const BATCH: i64 = 100;

/// The same where the queue only seems to be empty for a while: too many messages would count as too much work.
const SMALL_BATCH: i64 = 10;

/// Whether a sweep takes expired leases away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// Those that had expired at this time of the database: their workers are gone. A statement that hangs on the way
    /// expires no more.
    ExpiredAt(DateTime<Utc>),
    /// None: their workers may be there and could not reach the database. The next heartbeat tells.
    Keep,
}

impl Leases {
    /// All that are expired now.
    pub async fn expired(db: &Db) -> anyhow::Result<Self> {
        let mut connection = db.connection().await?;
        Ok(Self::ExpiredAt(db::time(&mut connection).await?))
    }
}

/// This process's contact with the database, by the database's clock. After a gap, however it came about (the database
/// was away or frozen, this process was stopped, the machine was suspended), all leases may be expired though their jobs
/// go on: for the time of one lease they are kept, so that heartbeats revive them.
#[derive(Debug, Default)]
pub struct Contact {
    last: Option<DateTime<Utc>>,
    kept_until: Option<DateTime<Utc>>,
}

impl Contact {
    /// Notes that the database answered at its time `now`. Returns which leases may be taken away.
    pub fn note(&mut self, now: DateTime<Utc>, lease: Duration) -> Leases {
        let is_gap = self.last.is_none_or(|last| now - last > longest_gap(lease));
        self.last = Some(now);
        if is_gap {
            self.kept_until = Some(now + span(lease));
        }
        if self.kept_until.is_some_and(|until| now < until) {
            Leases::Keep
        } else {
            Leases::ExpiredAt(now)
        }
    }

    /// Notes that the database did not answer.
    pub fn lose(&mut self) {
        self.last = None;
    }
}

/// After a longer time without an answer of the database, workers may have missed their heartbeats. After a shorter one
/// a healthy one has still some of its lease: it beats three times in one.
fn longest_gap(lease: Duration) -> TimeDelta {
    span((lease / 2).max(INTERVAL + Duration::from_secs(1)))
}

/// Converts what is far below what it can hold.
fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// What a sweep works on.
#[derive(Clone, Copy)]
pub struct Sweeper<'a> {
    pub db: &'a Db,
    pub queue: &'a Queue,
    pub storage: &'a Storage,
    pub upload_timeout: Duration,
}

impl<'a> From<&'a Workshop> for Sweeper<'a> {
    fn from(workshop: &'a Workshop) -> Self {
        Self {
            db: &workshop.db,
            queue: &workshop.queue,
            storage: &workshop.storage,
            upload_timeout: workshop.upload.upload_timeout,
        }
    }
}

/// What a sweep found and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Videos whose lease expired, and that wait again.
    pub expired: usize,
    /// Videos that failed because their workers kept dying.
    pub lost: usize,
    /// Videos that were due and pushed.
    pub due: usize,
    /// Videos that were pushed again, because the queue was empty.
    pub again: usize,
    /// Processed videos whose lost clips are to be made again, and that were pushed.
    pub remakes: usize,
}

/// Sweeps once. A rule that fails stops no other. Returns the first error.
pub async fn run(on: &Sweeper<'_>, leases: Leases) -> anyhow::Result<Swept> {
    let (lost, expired) = match leases {
        Leases::ExpiredAt(moment) => (fail_lost(on, moment).await, expire_leases(on, moment).await),
        Leases::Keep => (Ok(0), Ok(0)),
    };
    let due = push_due(on).await;
    let refilled = refill(on).await;
    let (again, remakes) = refilled?;
    Ok(Swept {
        lost: lost?,
        expired: expired?,
        due: due?,
        again,
        remakes,
    })
}

async fn fail_lost(on: &Sweeper<'_>, moment: DateTime<Utc>) -> anyhow::Result<usize> {
    let failure = Failure::WorkerLost.to_row()?;
    let mut connection = on.db.connection().await?;
    let lost = jobs::fail_lost(&mut connection, moment, MAX_LOSSES, &failure).await?;
    for video in &lost {
        tracing::error!(%video, losses = MAX_LOSSES, "video failed: its workers keep dying");
    }
    Ok(lost.len())
}

/// Rule (b): `processing` with an expired lease goes back to `uploaded`, and rule (a) pushes it.
async fn expire_leases(on: &Sweeper<'_>, moment: DateTime<Utc>) -> anyhow::Result<usize> {
    let mut connection = on.db.connection().await?;
    let expired = jobs::expire_leases(&mut connection, moment, MAX_LOSSES).await?;
    for video in &expired {
        tracing::warn!(%video, "lease expired: the video waits for another worker");
    }
    Ok(expired.len())
}

/// Rule (a): `uploaded`, due, not pushed since it waits.
async fn push_due(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let due = {
        let mut connection = on.db.connection().await?;
        jobs::take_due(&mut connection, BATCH).await?
    };
    push(on.db, on.queue, &due).await
}

/// Rule (c): the queue is empty though videos wait, and were pushed: the broker lost their messages. Lost clips are made
/// again when nothing else is to be done. Returns how many of both were pushed.
///
/// A message is a ticket to do whatever video is next, so a few that are lost only make the queue empty earlier, and a few
/// too many find nothing to do.
async fn refill(on: &Sweeper<'_>) -> anyhow::Result<(usize, usize)> {
    let is_needed = {
        let mut connection = on.db.connection().await?;
        jobs::is_any_pushed(&mut connection, PATIENCE).await?
            || remakes::is_any_due(&mut connection).await?
    };
    if !is_needed || on.queue.stats().await?.waiting > 0 {
        return Ok((0, 0));
    }
    let limit = if on.queue.counts_at_once() {
        BATCH
    } else {
        SMALL_BATCH
    };
    let (again, remakes) = {
        let mut connection = on.db.connection().await?;
        (
            jobs::take_again(&mut connection, PATIENCE, limit).await?,
            remakes::due(&mut connection, limit).await?,
        )
    };
    if !again.is_empty() {
        tracing::info!(
            count = again.len(),
            "the queue was empty: waiting videos pushed again"
        );
    }
    // Remakes that the broker does not take are due at the next sweep.
    Ok((
        push(on.db, on.queue, &again).await?,
        push(on.db, on.queue, &remakes).await?,
    ))
}

/// Pushes videos that are marked as pushed. Those that the broker does not take are unmarked.
pub async fn push(db: &Db, queue: &Queue, videos: &[VideoId]) -> anyhow::Result<usize> {
    for (done, video) in videos.iter().enumerate() {
        let job = Job::process_video(*video, "sweeper".to_owned());
        if let Err(error) = queue.push(&job).await {
            let unpushed = videos.get(done..).unwrap_or_default();
            let mut connection = db.connection().await?;
            jobs::unmark_enqueued(&mut connection, unpushed).await?;
            return Err(error);
        }
    }
    Ok(videos.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    #[test]
    fn leases_are_kept_for_one_lease_after_each_gap() {
        let start = DateTime::UNIX_EPOCH;
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let mut contact = Contact::default();
        let mut note = |seconds| contact.note(at(seconds), LEASE) == Leases::Keep;
        // A start is a gap: nobody knows what was before.
        let kept: Vec<bool> = [0, 2, 9, 10, 12].map(&mut note).into();
        assert_eq!(kept, [true, true, true, true, true]);
        assert_eq!([17, 19, 21, 23].map(&mut note), [true, false, false, false]);
        assert_eq!([40, 45, 49, 50].map(&mut note), [true, true, true, false]);
        contact.lose();
        assert_eq!(contact.note(at(51), LEASE), Leases::Keep);
    }
}
