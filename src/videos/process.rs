//! Processing of one video: claim, fetch, transcode, store under the attempt, record. Every write
//! after the claim carries the attempt number as a fencing token, so a worker that lost its lease
//! changes nothing. The outputs of an attempt are removed only after a write that prevents the row
//! from ever referring to them. [`JobError`] determines what follows a failed attempt.

mod record;
mod report;

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

pub use self::record::{FailureOutcome, record_failure, record_success, release, remove_outputs};
pub(super) use self::report::ReportRow;
use super::{
    Failure, Renditions,
    queries::jobs::{self, Claim},
};
use crate::{
    app::WorkerContext,
    config::media::RuleSettings,
    ids::VideoId,
    media::{self, Clip, Progress, Rejection},
    storage::{self, StorageKey},
};

/// Minimum time between two progress updates. `ffmpeg` also reports twice a second, so the progress
/// that a player reads is at most a second old.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Outcome of a finished attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The clip is stored and recorded.
    Processed,
    /// The video was deleted or claimed by another worker. The outputs of this attempt are removed.
    Superseded,
}

/// Claims the next video in turn. Returns none if no video is due.
pub async fn claim(context: &WorkerContext) -> anyhow::Result<Option<Claim>> {
    let mut connection = context.backends.db.connection().await?;
    jobs::claim(&mut connection, context.settings.job_lease).await
}

/// Extends the claim's lease. Returns false if the claim is lost, because the video was deleted or
/// claimed by another worker. A claim that has just ended itself is not lost.
pub async fn heartbeat(context: &WorkerContext, claim: Claim) -> anyhow::Result<bool> {
    let mut connection = context.backends.db.connection().await?;
    Ok(
        jobs::heartbeat(&mut connection, claim, context.settings.job_lease).await?
            || jobs::is_latest(&mut connection, claim).await?,
    )
}

/// Why an attempt did not succeed.
#[derive(Debug)]
pub enum JobError {
    /// Rejected input, which is final because a retry cannot help.
    Rejected(PermanentFailure),
    /// A failed attempt, which is counted. After `JOB_MAX_ATTEMPTS` of them the job is given up. The
    /// job's report, if it got so far, is for the row.
    Failed(anyhow::Error, Option<Value>),
    /// An environment failure, such as a full or missing disk, an unavailable storage or database,
    /// or a program that cannot be started. It is not counted; the job waits for recovery.
    Environment(anyhow::Error),
    /// A program of the job was killed, perhaps by the kernel for lack of memory. The first two
    /// times count as environment failures, later ones as job failures.
    Killed(anyhow::Error),
}

impl JobError {
    /// Returns a failed attempt without a report.
    pub fn failed(error: anyhow::Error) -> Self {
        Self::Failed(error, None)
    }
}

/// A permanent failure, with the job's report for the row.
#[derive(Debug)]
pub struct PermanentFailure {
    failure: Failure,
    report: Option<Value>,
}

impl From<Failure> for PermanentFailure {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            report: None,
        }
    }
}

impl From<Rejection> for PermanentFailure {
    fn from(rejection: Rejection) -> Self {
        Failure::from(rejection).into()
    }
}

/// Returns the rules for a video: those of its contest, or else of the settings.
pub async fn rules(context: &WorkerContext, video: VideoId) -> anyhow::Result<RuleSettings> {
    let mut connection = context.backends.db.connection().await?;
    let rules = jobs::contest_rules(&mut connection, video).await?;
    Ok(context.media.rules().under(rules))
}

/// Makes and stores the clip. Dropping the future kills the programs that it started. Files that it
/// stored must then be removed with [`remove_outputs`].
pub async fn run(context: &WorkerContext, claim: Claim) -> Result<Outcome, JobError> {
    let video = claim.video;
    let started = Instant::now();
    let scratch = context.media.scratch();
    let scratch = scratch.map_err(JobError::Environment)?;
    let source = scratch.file("source.mp4");
    let backends = &context.backends;
    let fetched = backends.storage.fetch(StorageKey::Original(video), &source);
    if let Err(error) = fetched.await {
        // If the volume is unmounted, every original is missing.
        let is_lost =
            error.is::<storage::Missing>() && backends.installation.recheck().await.is_ok();
        return Err(if is_lost {
            JobError::failed(error)
        } else {
            JobError::Environment(error)
        });
    }

    let rules = rules(context, video).await;
    let rules = rules.map_err(JobError::Environment)?;
    let (sender, progress) = watch::channel(Progress::default());
    let note = |progress| {
        sender.send_replace(progress);
    };
    let mut job = media::JobReport::default();
    let made = tokio::select! {
        made = context.media.make_clip(&source, rules, &scratch, &mut job, note) => made,
        never = show_progress(context, claim, progress) => match never {},
    };
    let clip = match made {
        Ok(clip) => clip,
        Err(media::Error::Rejected(rejection)) => {
            let report = ReportRow::to_row(started, &job, None);
            return Err(JobError::Rejected(PermanentFailure {
                failure: rejection.into(),
                report: Some(report.map_err(JobError::failed)?),
            }));
        }
        Err(media::Error::Failed(error)) => {
            let report = ReportRow::to_row(started, &job, None).ok();
            return Err(JobError::Failed(error, report));
        }
        Err(media::Error::Environment(error)) => return Err(JobError::Environment(error)),
        Err(media::Error::Killed(error)) => return Err(JobError::Killed(error)),
    };
    let stored = store(context, video, claim.attempt, &clip).await;
    stored.map_err(JobError::Environment)?;

    let renditions = Renditions::of(&clip).map_err(JobError::failed)?;
    let report = ReportRow::to_row(started, &job, Some(&clip)).map_err(JobError::failed)?;
    let outcome = record_success(context, claim, &renditions, &report).await;
    let outcome = outcome.map_err(JobError::Environment)?;
    if outcome == Outcome::Processed {
        tracing::info!(
            took_ms = report.get("took_ms").and_then(serde_json::Value::as_u64),
            cpu_ms = job.making.cpu_ms,
            source_bytes = job.source_bytes,
            bytes = clip.bytes,
            light_bytes = renditions.light_bytes,
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

/// Stores the outputs under `attempt`.
pub(super) async fn store(
    context: &WorkerContext,
    video: VideoId,
    attempt: i32,
    clip: &Clip,
) -> anyhow::Result<()> {
    let light = clip.light.as_ref().map(|light| &light.video);
    let outputs = [
        (StorageKey::Clip(video, attempt), Some(&clip.video)),
        (StorageKey::Poster(video, attempt), Some(&clip.poster)),
        (StorageKey::Light(video, attempt), light),
        (StorageKey::Thumb(video, attempt), Some(&clip.thumb)),
    ];
    for (key, file) in outputs {
        if let Some(file) = file {
            context.backends.storage.store(key, file).await?;
        }
    }
    Ok(())
}

/// Writes the progress to the row, so that every API process can show it. Writes at most twice a
/// second, and skips the updates in between.
async fn show_progress(
    context: &WorkerContext,
    claim: Claim,
    mut progress: watch::Receiver<Progress>,
) -> Infallible {
    let mut ticks = interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if progress.changed().await.is_err() {
            return std::future::pending().await;
        }
        let Progress { percent, remaining } = *progress.borrow_and_update();
        let shown = async {
            let mut connection = context.backends.db.connection().await?;
            jobs::show_progress(&mut connection, claim, percent.into(), remaining).await
        };
        if let Err(error) = shown.await {
            // The heartbeat already logs a warning if the database is unavailable.
            tracing::debug!("failed to record the progress: {error:#}");
        }
    }
}
