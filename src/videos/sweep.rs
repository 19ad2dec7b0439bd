//! The sweeper: what a crash or a broker lost, it finds in the rows and puts right. Every worker runs
//! it every [`INTERVAL`]; two at once do no harm.

use std::time::Duration;

use super::{
    Failure, attempt_with_outputs,
    queries::{
        self,
        jobs::{self, Stray},
        remakes,
    },
    remove_files,
};
use crate::{app::Workshop, auth, db::Db, ids::VideoId, job::Job, queue::Queue, storage::Storage};

/// Time between two sweeps.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// A message that has waited this long may be lost.
const PATIENCE: Duration = Duration::from_mins(2);

/// Leases that one video may lose before it counts as the cause.
const MAX_LOSSES: i32 = 10;

/// Most rows of one rule in one sweep.
const BATCH: i64 = 100;

/// Left-over uploads are removed this much after they timed out, when no request can still finish.
const MARGIN: Duration = Duration::from_mins(1);

/// Whether a sweep takes expired leases away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// Their workers are gone.
    Expire,
    /// Their workers may be there and could not reach the database: the next heartbeat tells.
    Keep,
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
    /// Videos that were pushed again.
    pub overdue: usize,
    /// Processed videos whose lost clips are to be made again, and that were pushed.
    pub remakes: usize,
    /// Left-over uploads that were removed.
    pub uploads: usize,
    /// Videos whose lost attempts were cleared away.
    pub strays: usize,
}

/// Sweeps once. A rule that fails stops no other: without a broker, disks are still cleaned. Returns the
/// first error.
pub async fn run(on: &Sweeper<'_>, leases: Leases) -> anyhow::Result<Swept> {
    let (lost, expired) = match leases {
        Leases::Expire => (fail_lost(on).await, expire_leases(on).await),
        Leases::Keep => (Ok(0), Ok(0)),
    };
    let due = push_due(on).await;
    let overdue = push_overdue(on).await;
    let remakes = push_remakes(on).await;
    let uploads = remove_leftovers(on).await;
    let strays = remove_strays(on).await;
    forget_tokens(on).await?;
    Ok(Swept {
        lost: lost?,
        expired: expired?,
        due: due?,
        overdue: overdue?,
        remakes: remakes?,
        uploads: uploads?,
        strays: strays?,
    })
}

async fn fail_lost(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let failure = Failure::WorkerLost.to_row()?;
    let mut connection = on.db.connection().await?;
    let lost = jobs::fail_lost(&mut connection, MAX_LOSSES, &failure).await?;
    for video in &lost {
        tracing::error!(%video, losses = MAX_LOSSES, "video failed: its workers keep dying");
    }
    Ok(lost.len())
}

/// Rule (b): `processing` with an expired lease goes back to `uploaded` and is pushed.
async fn expire_leases(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let expired = {
        let mut connection = on.db.connection().await?;
        jobs::expire_leases(&mut connection, MAX_LOSSES).await?
    };
    for video in &expired {
        tracing::warn!(%video, "lease expired: the video waits for another worker");
    }
    push(on.db, on.queue, &expired).await
}

/// Rule (a): `uploaded`, due, never pushed.
async fn push_due(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let due = {
        let mut connection = on.db.connection().await?;
        jobs::take_due(&mut connection, BATCH).await?
    };
    push(on.db, on.queue, &due).await
}

/// Rule (c): `uploaded`, pushed long ago, and the queue holds fewer messages than there are such rows.
async fn push_overdue(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let pushed = {
        let mut connection = on.db.connection().await?;
        jobs::count_pushed(&mut connection).await?
    };
    if pushed == 0 {
        return Ok(0);
    }
    let waiting = i64::try_from(on.queue.stats().await?.waiting).unwrap_or(i64::MAX);
    let missing = (pushed - waiting).min(BATCH);
    if missing <= 0 {
        return Ok(0);
    }
    let overdue = {
        let mut connection = on.db.connection().await?;
        jobs::take_overdue(&mut connection, PATIENCE, missing).await?
    };
    if !overdue.is_empty() {
        tracing::warn!(
            count = overdue.len(),
            "messages are missing from the queue: pushing again"
        );
    }
    push(on.db, on.queue, &overdue).await
}

/// Pushes the processed videos whose clips are to be made again, as long as the queue is short: new films go first.
async fn push_remakes(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let is_ordered = {
        let mut connection = on.db.connection().await?;
        remakes::is_any_due(&mut connection).await?
    };
    if !is_ordered {
        return Ok(0);
    }
    let waiting = i64::try_from(on.queue.stats().await?.waiting).unwrap_or(i64::MAX);
    let room = BATCH - waiting;
    if room <= 0 {
        return Ok(0);
    }
    let due = {
        let mut connection = on.db.connection().await?;
        remakes::take_due(&mut connection, PATIENCE, room).await?
    };
    // One that the broker does not take is due again after the same time.
    push(on.db, on.queue, &due).await
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

/// Removes the files of uploads and deletes that were not finished, or that a worker stored into after the
/// delete, then their notes.
async fn remove_leftovers(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let timeout = on.upload_timeout + MARGIN;
    let stale = {
        let mut connection = on.db.connection().await?;
        queries::stale_uploads(&mut connection, timeout, BATCH).await?
    };
    let mut result = Ok(stale.len());
    for video in stale {
        // One that cannot be removed must not keep the others.
        if let Err(error) = remove_leftover(on, video).await {
            result = Err(error);
        }
    }
    result
}

async fn remove_leftover(on: &Sweeper<'_>, video: VideoId) -> anyhow::Result<()> {
    remove_files(on.db, on.storage, video).await?;
    tracing::info!(%video, "left-over upload removed");
    Ok(())
}

/// Removes what lost attempts stored, when none of their workers can still be storing.
async fn remove_strays(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let timeout = on.upload_timeout + MARGIN;
    let strays = {
        let mut connection = on.db.connection().await?;
        jobs::strays(&mut connection, timeout, BATCH).await?
    };
    let mut result = Ok(strays.len());
    for stray in strays {
        if let Err(error) = remove_stray(on, stray).await {
            result = Err(error);
        }
    }
    result
}

async fn remove_stray(on: &Sweeper<'_>, stray: Stray) -> anyhow::Result<()> {
    // Attempts that began since the row was read are none of its business.
    let kept = attempt_with_outputs(stray.status, stray.attempt).unwrap_or(stray.attempt + 1);
    on.storage.delete_outputs_before(stray.id, kept).await?;
    let mut connection = on.db.connection().await?;
    jobs::forget_strays(&mut connection, stray).await
}

async fn forget_tokens(on: &Sweeper<'_>) -> anyhow::Result<()> {
    let mut connection = on.db.connection().await?;
    auth::token::forget_expired(&mut connection).await?;
    Ok(())
}
