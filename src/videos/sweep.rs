//! The sweeper. It finds and repairs in the rows what a crash or the broker lost. Every worker runs
//! it every [`INTERVAL`]. Concurrent sweeps are harmless.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Failure,
    queries::{remakes, sweeping},
};
use crate::{
    app::Backends,
    db::{self, Db},
    ids::VideoId,
    job::Job,
    queue::Queue,
};

pub const INTERVAL: Duration = Duration::from_secs(2);

/// Age beyond which a message that is not in the queue is lost, or was just received by a worker.
const REPUSH_AFTER: Duration = Duration::from_secs(5);

/// Lease expirations after which the video itself counts as the cause.
const MAX_EXPIRATIONS: i32 = 10;

/// Maximum rows of one rule per sweep.
const BATCH: i64 = 100;

/// Maximum for queues whose counts lag and may seem empty. Excess messages would count as load.
const SMALL_BATCH: i64 = 10;

/// Whether a sweep revokes expired leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// Revokes the leases that had expired at this database time, whose workers are dead. Even a
    /// delayed statement revokes no others.
    ExpiredAt(DateTime<Utc>),
    /// Revokes none, because the workers may be alive without access to the database. Their next
    /// heartbeats show it.
    Keep,
}

impl Leases {
    /// Revokes all leases that are expired now.
    pub async fn expired(db: &Db) -> anyhow::Result<Self> {
        let mut connection = db.connection().await?;
        Ok(Self::ExpiredAt(db::time(&mut connection).await?))
    }
}

/// This process's contact with the database, by the database's clock. After any gap (the database
/// was unavailable or frozen, this process was stopped, the machine was suspended), all leases may
/// have expired although their jobs continue. They are kept for one lease, so that heartbeats can
/// revive them.
#[derive(Debug, Default)]
pub struct Contact {
    last: Option<DateTime<Utc>>,
    kept_until: Option<DateTime<Utc>>,
}

impl Contact {
    /// Records that the database responded at its time `now`. Returns which leases may be revoked.
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

    /// Records that the database did not respond.
    pub fn lose(&mut self) {
        self.last = None;
    }
}

/// Returns the maximum time without a database response after which healthy workers still hold
/// their leases, because they send three heartbeats per lease.
fn longest_gap(lease: Duration) -> TimeDelta {
    span((lease / 2).max(INTERVAL + Duration::from_secs(1)))
}

/// Converts a duration, which is far below the limit of the type.
fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Videos that wait again because their leases expired.
    pub expired: usize,
    /// Videos that failed because their workers kept dying.
    pub lost: usize,
    /// Due videos that were pushed.
    pub due: usize,
    /// Videos that were pushed again because the queue was empty.
    pub again: usize,
    /// Processed videos that were pushed for a remake.
    pub remakes: usize,
}

/// Runs one sweep. A failure of one rule does not stop the others. Returns the first error.
pub async fn run(backends: &Backends, leases: Leases) -> anyhow::Result<Swept> {
    let (lost, expired) = match leases {
        Leases::ExpiredAt(moment) => (
            fail_lost(backends, moment).await,
            expire_leases(backends, moment).await,
        ),
        Leases::Keep => (Ok(0), Ok(0)),
    };
    let due = push_due(backends).await;
    let refilled = refill(backends).await;
    let (again, remakes) = refilled?;
    Ok(Swept {
        lost: lost?,
        expired: expired?,
        due: due?,
        again,
        remakes,
    })
}

async fn fail_lost(backends: &Backends, moment: DateTime<Utc>) -> anyhow::Result<usize> {
    let failure = Failure::WorkerLost.to_row()?;
    let mut connection = backends.db.connection().await?;
    let lost = sweeping::fail_lost(&mut connection, moment, MAX_EXPIRATIONS, &failure).await?;
    for video in &lost {
        tracing::error!(%video, losses = MAX_EXPIRATIONS, "video failed: its workers keep dying");
    }
    Ok(lost.len())
}

/// Rule (b): `processing` with an expired lease returns to `uploaded`, and rule (a) pushes it.
async fn expire_leases(backends: &Backends, moment: DateTime<Utc>) -> anyhow::Result<usize> {
    let mut connection = backends.db.connection().await?;
    let expired = sweeping::expire_leases(&mut connection, moment, MAX_EXPIRATIONS).await?;
    for video in &expired {
        tracing::warn!(%video, "lease expired: the video waits for another worker");
    }
    Ok(expired.len())
}

/// Rule (a): `uploaded`, due, and not pushed since it began to wait.
async fn push_due(backends: &Backends) -> anyhow::Result<usize> {
    let due = {
        let mut connection = backends.db.connection().await?;
        sweeping::take_due(&mut connection, BATCH).await?
    };
    push(&backends.db, &backends.queue, &due).await
}

/// Rule (c): if the queue is empty although pushed videos wait, the broker lost their messages.
/// Remakes run when there is no other work. Returns how many of both were pushed.
///
/// A message is a ticket for the next video, not for a certain one. A few lost messages only make
/// the queue empty earlier, and a few excess ones find no work.
async fn refill(backends: &Backends) -> anyhow::Result<(usize, usize)> {
    let is_needed = {
        let mut connection = backends.db.connection().await?;
        sweeping::is_any_pushed(&mut connection, REPUSH_AFTER).await?
            || remakes::is_any_due(&mut connection).await?
    };
    if !is_needed || backends.queue.stats().await?.waiting > 0 {
        return Ok((0, 0));
    }
    let limit = if backends.queue.has_exact_stats() {
        BATCH
    } else {
        SMALL_BATCH
    };
    let (again, remakes) = {
        let mut connection = backends.db.connection().await?;
        (
            sweeping::take_again(&mut connection, REPUSH_AFTER, limit).await?,
            remakes::due(&mut connection, limit).await?,
        )
    };
    if !again.is_empty() {
        tracing::info!(
            count = again.len(),
            "the queue was empty, waiting videos pushed again"
        );
    }
    // Remakes that the broker does not accept are due at the next sweep.
    Ok((
        push(&backends.db, &backends.queue, &again).await?,
        push(&backends.db, &backends.queue, &remakes).await?,
    ))
}

/// Pushes videos that are marked as pushed. Unmarks those that the broker does not accept.
pub async fn push(db: &Db, queue: &Queue, videos: &[VideoId]) -> anyhow::Result<usize> {
    for (done, video) in videos.iter().enumerate() {
        let job = Job::process_video(*video, "sweeper".to_owned());
        if let Err(error) = queue.push(&job).await {
            let unpushed = videos.get(done..).unwrap_or_default();
            let mut connection = db.connection().await?;
            sweeping::unmark_enqueued(&mut connection, unpushed).await?;
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
        // A start counts as a gap, because the earlier contact is unknown.
        let kept: Vec<bool> = [0, 2, 9, 10, 12].map(&mut note).into();
        assert_eq!(kept, [true, true, true, true, true]);
        assert_eq!([17, 19, 21, 23].map(&mut note), [true, false, false, false]);
        assert_eq!([40, 45, 49, 50].map(&mut note), [true, true, true, false]);
        contact.lose();
        assert_eq!(contact.note(at(51), LEASE), Leases::Keep);
    }
}
