//! Records in the row how an attempt ended, then removes outputs that the row will never refer to.

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use serde_json::Value;

use super::{JobError, Outcome, PermanentFailure};
use crate::{
    app::WorkerContext,
    ids::VideoId,
    videos::{
        Failure, Renditions,
        queries::jobs::{self, Claim},
        tagging,
    },
};

/// Number of killed programs that count as environment failures. Further ones are job failures.
const MAX_KILLS: i32 = 2;

/// Delay before the first retry. Each further retry doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(2);

/// Maximum delay before a retry.
const MAX_DELAY: Duration = Duration::from_mins(5);

/// Delay before another try to record a result.
const RECORD_RETRY: Duration = Duration::from_secs(1);

/// Maximum tries to record a result. Then the attempt counts as lost.
const RECORD_TRIES: u32 = 120;

/// Outcome of recording a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureOutcome {
    /// A job failure was counted. The video waits for its next attempt.
    Waiting,
    /// An environment failure, not counted. The video waits until the environment has recovered.
    Postponed,
    /// The video failed permanently because its original is rejected.
    Rejected,
    /// The video failed permanently through a system failure. The job must be dead-lettered.
    DeadLettered,
    /// The claim was lost. Nothing was changed.
    Superseded,
}

/// Records that the outputs are stored, with their report, and removes the outputs of earlier attempts.
/// If the claim was lost, removes the outputs of this attempt instead.
pub async fn record_success(
    context: &WorkerContext,
    claim: Claim,
    renditions: &Renditions,
    report: &Value,
) -> anyhow::Result<Outcome> {
    let Claim { video, attempt, .. } = claim;
    tagging::prepare_outputs(&context.backends, video, attempt).await;
    let held = until_recorded("processed", || async {
        let mut connection = context.backends.db.connection().await?;
        jobs::mark_processed(&mut connection, claim, renditions, report).await
    })
    .await?;
    if !held {
        remove_outputs(context, claim).await;
        return Ok(Outcome::Superseded);
    }
    tagging::settle(&context.backends, video, None).await;
    let storage = &context.backends.storage;
    if let Err(error) = storage.delete_outputs_before(video, attempt).await {
        leave_to_cleanup(context, video, &error).await;
    }
    Ok(Outcome::Processed)
}

/// Records a failed attempt. The video waits for the next one, or fails permanently.
pub async fn record_failure(
    context: &WorkerContext,
    claim: Claim,
    error: JobError,
) -> anyhow::Result<FailureOutcome> {
    match error {
        JobError::Rejected(failure) => {
            fail(context, claim, failure, FailureOutcome::Rejected).await
        }
        JobError::Environment(error) => postpone(context, claim, false, &error).await,
        JobError::Killed(error) if claim.kills < MAX_KILLS => {
            postpone(context, claim, true, &error).await
        }
        JobError::Killed(error) => retry(context, claim, &error, None).await,
        JobError::Failed(error, report) => retry(context, claim, &error, report).await,
    }
}

/// Counts a job failure, and keeps its report in the row until the next result. The last attempt
/// fails the video.
async fn retry(
    context: &WorkerContext,
    claim: Claim,
    error: &anyhow::Error,
    report: Option<Value>,
) -> anyhow::Result<FailureOutcome> {
    if claim.failures + 1 >= context.settings.job_max_attempts {
        tracing::error!("last attempt failed, giving up: {error:#}");
        let failure = PermanentFailure {
            failure: Failure::ProcessingFailed,
            report,
        };
        return fail(context, claim, failure, FailureOutcome::DeadLettered).await;
    }
    let delay = backoff(claim.failures);
    tracing::warn!(?delay, "attempt failed, will retry: {error:#}");
    let held = until_recorded("waiting", || async {
        let mut connection = context.backends.db.connection().await?;
        jobs::retry(&mut connection, claim, delay, report.as_ref()).await
    });
    remove_outputs_if_held(context, claim, held.await?, FailureOutcome::Waiting).await
}

/// Puts the video back without counting a job failure, unless its first environment failure was
/// more than `JOB_GIVE_UP_AFTER` ago.
async fn postpone(
    context: &WorkerContext,
    claim: Claim,
    was_killed: bool,
    error: &anyhow::Error,
) -> anyhow::Result<FailureOutcome> {
    let give_up_after = context.settings.job_give_up_after;
    let is_over = until_recorded("postponed", || async {
        let mut connection = context.backends.db.connection().await?;
        jobs::is_environment_failing_since(&mut connection, claim, give_up_after).await
    });
    if is_over.await? {
        tracing::error!(
            ?give_up_after,
            "giving up, the environment has not recovered: {error:#}"
        );
        let failure = Failure::ProcessingFailed.into();
        return fail(context, claim, failure, FailureOutcome::DeadLettered).await;
    }
    let delay = backoff(claim.setbacks);
    tracing::warn!(
        ?delay,
        setbacks = claim.setbacks + 1,
        "attempt failed because of its environment, will retry: {error:#}"
    );
    let held = until_recorded("postponed", || async {
        let mut connection = context.backends.db.connection().await?;
        jobs::postpone(&mut connection, claim, was_killed, delay).await
    });
    remove_outputs_if_held(context, claim, held.await?, FailureOutcome::Postponed).await
}

/// Records that the video failed permanently.
async fn fail(
    context: &WorkerContext,
    claim: Claim,
    permanent: PermanentFailure,
    ending: FailureOutcome,
) -> anyhow::Result<FailureOutcome> {
    let PermanentFailure { failure, report } = permanent;
    let row = failure.to_row().context("serialize the failure")?;
    let held = until_recorded("failed", || async {
        let mut connection = context.backends.db.connection().await?;
        jobs::mark_failed(&mut connection, claim, &row, report.as_ref()).await
    })
    .await?;
    if held {
        tracing::info!(code = failure.code(), "video failed");
        if let Some(report) = &report {
            tracing::debug!(%report, "how the video failed");
        }
    }
    remove_outputs_if_held(context, claim, held, ending).await
}

/// Removes the outputs of the attempt if its claim held, since then the row never refers to them.
async fn remove_outputs_if_held(
    context: &WorkerContext,
    claim: Claim,
    held: bool,
    ending: FailureOutcome,
) -> anyhow::Result<FailureOutcome> {
    if !held {
        return Ok(FailureOutcome::Superseded);
    }
    remove_outputs(context, claim).await;
    Ok(ending)
}

/// Releases a video that this worker will not finish, without counting a failure.
pub async fn release(context: &WorkerContext, claim: Claim) -> anyhow::Result<()> {
    let is_released = {
        let mut connection = context.backends.db.connection().await?;
        jobs::release(&mut connection, claim).await?
    };
    if is_released {
        remove_outputs(context, claim).await;
    }
    Ok(())
}

/// Removes the outputs of this attempt.
pub async fn remove_outputs(context: &WorkerContext, claim: Claim) {
    let storage = &context.backends.storage;
    let removed = storage.delete_outputs(claim.video, claim.attempt).await;
    if let Err(error) = removed {
        leave_to_cleanup(context, claim.video, &error).await;
    }
}

async fn leave_to_cleanup(context: &WorkerContext, video: VideoId, error: &anyhow::Error) {
    tracing::warn!("failed to remove the outputs of a lost attempt, will retry: {error:#}");
    let noted = async {
        let mut connection = context.backends.db.connection().await?;
        jobs::note_orphans(&mut connection, video).await
    };
    if let Err(error) = noted.await {
        tracing::error!("failed to note the orphaned outputs of a lost attempt: {error:#}");
    }
}

/// Retries a conditional write until it succeeds, so that minutes of work survive a short database
/// outage. The caller's heartbeats continue.
async fn until_recorded<F>(state: &'static str, write: impl Fn() -> F) -> anyhow::Result<bool>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let mut tries = 1;
    loop {
        match write().await {
            Err(error) if tries < RECORD_TRIES => {
                tracing::warn!(state, tries, "cannot record the result yet: {error:#}");
            }
            result => return result.with_context(|| format!("record the video as {state}")),
        }
        tries += 1;
        tokio::time::sleep(RECORD_RETRY).await;
    }
}

/// Returns the delay before the next attempt: exponential backoff, with jitter so that jobs that
/// failed together are not retried together.
fn backoff(failures: i32) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or(0).min(16);
    let delay = FIRST_DELAY.saturating_mul(1 << doublings).min(MAX_DELAY);
    delay.mul_f64(rand::random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_up_to_its_maximum() {
        for (failures, max) in [(0, 2), (1, 4), (3, 16), (30, 300)] {
            let max = Duration::from_secs(max);
            let delay = backoff(failures);
            assert!(delay >= max / 2 && delay <= max, "{failures}: {delay:?}");
        }
    }
}
