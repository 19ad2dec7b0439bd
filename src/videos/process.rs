//! Making the clip of one video: claim, fetch, transcode, store under the attempt, record. Every write
//! after the claim carries its attempt, so a worker that lost its lease changes nothing. What an attempt
//! stored is removed only after a write that keeps the row from ever naming it. How an attempt failed says
//! what becomes of the video: see [`JobError`].

mod report;

use std::{
    convert::Infallible,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

pub(super) use self::report::Report;
use super::{
    Failure,
    queries::jobs::{self, Claim},
};
use crate::{
    app::Workshop,
    ids::VideoId,
    job::JobError,
    media::{self, Clip, Progress, Refusal},
    storage::{self, StorageKey},
};

/// How often a killed program counts as the fault of the surroundings, before it counts as the job's failure.
const MAX_KILLS: i32 = 2;

/// Wait before the first retry; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(2);

/// Longest wait before a retry.
const MAX_DELAY: Duration = Duration::from_mins(5);

/// Least time between two words about the progress. `ffmpeg` tells twice a second, too: what a player
/// reads is a second old at most.
const FRESHNESS: Duration = Duration::from_millis(500);

/// Wait before a result is offered to the database again.
const RECORD_RETRY: Duration = Duration::from_secs(1);

/// How often a result is offered before the attempt counts as lost.
const RECORD_TRIES: u32 = 120;

/// How a finished attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The clip is there.
    Processed,
    /// The video was deleted, or went to another worker: what this attempt made is removed.
    Superseded,
}

/// How a failed attempt was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// A failure was counted: the video waits for its next attempt.
    Waiting,
    /// Nothing was counted: the video waits until the surroundings are well again.
    SetBack,
    /// The video failed for good, by its own fault.
    Failed,
    /// The video failed for good, by ours: the job belongs in the dead-letter queue.
    Dead,
    /// The claim no longer held: nothing was changed.
    Superseded,
}

/// Claims the video whose turn it is. Returns none if none waits and is due.
pub async fn claim(workshop: &Workshop) -> anyhow::Result<Option<Claim>> {
    let mut connection = workshop.db.connection().await?;
    jobs::claim(&mut connection, workshop.settings.lease).await
}

/// Extends the claim's lease. Returns false if the claim is lost: the video was deleted, or another worker
/// has it. One that has just come to its own end is not.
pub async fn heartbeat(workshop: &Workshop, claim: Claim) -> anyhow::Result<bool> {
    let mut connection = workshop.db.connection().await?;
    Ok(
        jobs::heartbeat(&mut connection, claim, workshop.settings.lease).await?
            || jobs::is_last(&mut connection, claim).await?,
    )
}

/// A failure for good, and what the row keeps about the job that found it.
#[derive(Debug)]
pub struct Fault {
    failure: Failure,
    report: Option<Value>,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            report: None,
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Failure::from(refusal).into()
    }
}

/// Makes and stores the clip. Dropping the future kills what it started; files that it stored are left
/// to [`discard`].
pub async fn run(workshop: &Workshop, claim: Claim) -> Result<Outcome, JobError<Fault>> {
    let video = claim.video;
    let started = Instant::now();
    let scratch = workshop.media.scratch();
    let scratch = scratch.map_err(JobError::Surroundings)?;
    let source = scratch.file("source.mp4");
    let fetched = workshop.storage.fetch(StorageKey::Original(video), &source);
    if let Err(error) = fetched.await {
        // Where a volume is not mounted any more, every film is missing.
        let is_lost = error.is::<storage::Missing>() && workshop.installation.check().await.is_ok();
        return Err(if is_lost {
            JobError::Job(error)
        } else {
            JobError::Surroundings(error)
        });
    }

    let (told, progress) = watch::channel(Progress::default());
    let note = |progress| {
        told.send_replace(progress);
    };
    let mut job = media::Report::default();
    let made = tokio::select! {
        made = workshop.media.make_clip(&source, &scratch, &mut job, note) => made,
        never = show_progress(workshop, claim, progress) => match never {},
    };
    let clip = match made {
        Ok(clip) => clip,
        Err(media::Error::Refused(refusal)) => {
            let report = Report::to_row(started, &job, None);
            return Err(JobError::Video(Fault {
                failure: refusal.into(),
                report: Some(report.map_err(JobError::Job)?),
            }));
        }
        Err(media::Error::Failed(error)) => return Err(JobError::Job(error)),
        Err(media::Error::Surroundings(error)) => return Err(JobError::Surroundings(error)),
        Err(media::Error::Killed(error)) => return Err(JobError::Killed(error)),
    };
    let bytes = store(workshop, video, claim.attempt, &clip).await;
    let bytes = bytes.map_err(JobError::Surroundings)?;

    let report = Report::to_row(started, &job, Some(&clip)).map_err(JobError::Job)?;
    let outcome = record_success(workshop, claim, &report).await;
    let outcome = outcome.map_err(JobError::Surroundings)?;
    if outcome == Outcome::Processed {
        tracing::info!(
            took_ms = report.get("took_ms").and_then(serde_json::Value::as_u64),
            cpu_ms = job.making.cpu_ms,
            source_bytes = job.source_bytes,
            bytes,
            duration_ms = clip.duration_ms,
            "video processed"
        );
        tracing::debug!(
            peak_bytes = job.making.peak_bytes,
            frames = clip.frames,
            %report,
            "how the clip was made"
        );
    }
    Ok(outcome)
}

/// Stores clip and poster under an attempt. Returns the size of the clip (bytes).
pub(super) async fn store(
    workshop: &Workshop,
    video: VideoId,
    attempt: i32,
    clip: &Clip,
) -> anyhow::Result<u64> {
    let storage = &workshop.storage;
    let bytes = storage.store(StorageKey::Clip(video, attempt), &clip.video);
    let bytes = bytes.await?;
    let poster = storage.store(StorageKey::Poster(video, attempt), &clip.poster);
    poster.await?;
    Ok(bytes)
}

/// Records that the clip is stored, with how it was made, and removes what earlier attempts left; or what
/// this one stored, if its claim no longer held.
pub async fn record_success(
    workshop: &Workshop,
    claim: Claim,
    report: &Value,
) -> anyhow::Result<Outcome> {
    let Claim { video, attempt, .. } = claim;
    let held = until_recorded("processed", || async {
        let mut connection = workshop.db.connection().await?;
        jobs::mark_processed(&mut connection, claim, report).await
    })
    .await?;
    if !held {
        discard(workshop, claim).await;
        return Ok(Outcome::Superseded);
    }
    if let Err(error) = workshop.storage.delete_outputs_before(video, attempt).await {
        left_to_the_sweeper(workshop, video, &error).await;
    }
    Ok(Outcome::Processed)
}

/// Keeps the row's progress fresh, for whoever asks which API: it is told twice a second at most, and
/// what comes in between is left out.
async fn show_progress(
    workshop: &Workshop,
    claim: Claim,
    mut progress: watch::Receiver<Progress>,
) -> Infallible {
    let mut ticks = interval(FRESHNESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if progress.changed().await.is_err() {
            return std::future::pending().await;
        }
        let Progress { percent, left } = *progress.borrow_and_update();
        let shown = async {
            let mut connection = workshop.db.connection().await?;
            jobs::show_progress(&mut connection, claim, percent.into(), left).await
        };
        if let Err(error) = shown.await {
            // The heartbeat says aloud that the database is away.
            tracing::debug!("the progress is not shown: {error:#}");
        }
    }
}

/// Records a failed attempt: the video waits for the next one, or fails for good.
pub async fn record_failure(
    workshop: &Workshop,
    claim: Claim,
    error: JobError<Fault>,
) -> anyhow::Result<Recorded> {
    match error {
        JobError::Video(fault) => fail(workshop, claim, fault, Recorded::Failed).await,
        JobError::Surroundings(error) => set_back(workshop, claim, false, &error).await,
        JobError::Killed(error) if claim.kills < MAX_KILLS => {
            set_back(workshop, claim, true, &error).await
        }
        JobError::Killed(error) | JobError::Job(error) => retry(workshop, claim, &error).await,
    }
}

/// Counts a failure. The last one is the end.
async fn retry(
    workshop: &Workshop,
    claim: Claim,
    error: &anyhow::Error,
) -> anyhow::Result<Recorded> {
    if claim.failures + 1 >= workshop.settings.max_attempts {
        tracing::error!("last attempt failed: {error:#}");
        let fault = Failure::ProcessingFailed.into();
        return fail(workshop, claim, fault, Recorded::Dead).await;
    }
    let delay = backoff(claim.failures);
    tracing::warn!(?delay, "attempt failed, the next one follows: {error:#}");
    let held = until_recorded("waiting", || async {
        let mut connection = workshop.db.connection().await?;
        jobs::retry(&mut connection, claim, delay).await
    });
    leave(workshop, claim, held.await?, Recorded::Waiting).await
}

/// Puts the video back with no failure counted, unless it had its first setback `JOB_GIVE_UP_AFTER` ago.
async fn set_back(
    workshop: &Workshop,
    claim: Claim,
    was_killed: bool,
    error: &anyhow::Error,
) -> anyhow::Result<Recorded> {
    let give_up_after = workshop.settings.give_up_after;
    let is_over = until_recorded("set back", || async {
        let mut connection = workshop.db.connection().await?;
        jobs::has_waited(&mut connection, claim, give_up_after).await
    });
    if is_over.await? {
        tracing::error!(
            ?give_up_after,
            "given up, the surroundings do not recover: {error:#}"
        );
        let fault = Failure::ProcessingFailed.into();
        return fail(workshop, claim, fault, Recorded::Dead).await;
    }
    let delay = backoff(claim.setbacks);
    tracing::warn!(
        ?delay,
        setbacks = claim.setbacks + 1,
        "attempt failed by its surroundings, the video waits: {error:#}"
    );
    let held = until_recorded("set back", || async {
        let mut connection = workshop.db.connection().await?;
        jobs::set_back(&mut connection, claim, was_killed, delay).await
    });
    leave(workshop, claim, held.await?, Recorded::SetBack).await
}

/// Records that the video failed for good.
async fn fail(
    workshop: &Workshop,
    claim: Claim,
    fault: Fault,
    ending: Recorded,
) -> anyhow::Result<Recorded> {
    let Fault { failure, report } = fault;
    let row = failure.to_row().context("word the failure")?;
    let held = until_recorded("failed", || async {
        let mut connection = workshop.db.connection().await?;
        jobs::mark_failed(&mut connection, claim, &row, report.as_ref()).await
    })
    .await?;
    if held {
        tracing::info!(code = failure.code(), "video failed");
        if let Some(report) = &report {
            tracing::debug!(%report, "how the video failed");
        }
    }
    leave(workshop, claim, held, ending).await
}

/// Removes what the attempt stored, if its claim held: then the row never names it.
async fn leave(
    workshop: &Workshop,
    claim: Claim,
    held: bool,
    ending: Recorded,
) -> anyhow::Result<Recorded> {
    if !held {
        return Ok(Recorded::Superseded);
    }
    discard(workshop, claim).await;
    Ok(ending)
}

/// Puts a video back that this worker will not finish; that counts as no failure.
pub async fn release(workshop: &Workshop, claim: Claim) -> anyhow::Result<()> {
    let is_released = {
        let mut connection = workshop.db.connection().await?;
        jobs::release(&mut connection, claim).await?
    };
    if is_released {
        discard(workshop, claim).await;
    }
    Ok(())
}

/// Removes what this attempt stored.
pub async fn discard(workshop: &Workshop, claim: Claim) {
    let removed = workshop
        .storage
        .delete_outputs(claim.video, claim.attempt)
        .await;
    if let Err(error) = removed {
        left_to_the_sweeper(workshop, claim.video, &error).await;
    }
}

async fn left_to_the_sweeper(workshop: &Workshop, video: VideoId, error: &anyhow::Error) {
    tracing::warn!("outputs of a lost attempt are left to the sweeper: {error:#}");
    let noted = async {
        let mut connection = workshop.db.connection().await?;
        jobs::note_strays(&mut connection, video).await
    };
    if let Err(error) = noted.await {
        tracing::error!("outputs of a lost attempt stay behind: {error:#}");
    }
}

/// Repeats a conditional write until the database took it: minutes of work are not thrown away because
/// it is away for a while. The caller's heartbeat goes on meanwhile.
async fn until_recorded<F>(state: &'static str, write: impl Fn() -> F) -> anyhow::Result<bool>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let mut tries = 1;
    loop {
        match write().await {
            Err(error) if tries < RECORD_TRIES => {
                tracing::warn!(state, tries, "the result cannot be recorded yet: {error:#}");
            }
            result => return result.with_context(|| format!("record the video as {state}")),
        }
        tries += 1;
        tokio::time::sleep(RECORD_RETRY).await;
    }
}

/// Returns the wait before the next attempt: exponential, with jitter so that jobs which failed
/// together do not come back together.
fn backoff(failures: i32) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or(0).min(16);
    let delay = FIRST_DELAY.saturating_mul(1 << doublings).min(MAX_DELAY);
    delay.mul_f64(rand::random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_longer_each_time_but_not_for_ever() {
        for (failures, longest) in [(0, 2), (1, 4), (3, 16), (30, 300)] {
            let longest = Duration::from_secs(longest);
            let delay = backoff(failures);
            assert!(
                delay >= longest / 2 && delay <= longest,
                "{failures}: {delay:?}"
            );
        }
    }
}
