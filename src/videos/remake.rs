//! Recreation of lost outputs of a processed video, as ordered by `anb fsck`. The remaining old
//! outputs are shown until the new ones are stored. A failed remake changes nothing and is retried.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use futures_util::FutureExt as _;

pub use super::queries::remakes::Remake;
use super::{
    Renditions,
    process::{self, ReportRow},
    queries::remakes,
    tagging,
};
use crate::{
    app::WorkerContext,
    media::{self, Rejection},
    storage::StorageKey,
};

/// Delay before a failed remake is retried.
const RETRY: Duration = Duration::from_mins(5);

/// Outcome of a remake.
enum Made {
    /// The new outputs are shown.
    Shown,
    /// The claim was lost: the video was deleted, or another worker has the remake.
    Superseded,
    /// The original is rejected, though it was accepted before. The rules or the file have changed.
    Rejected(Rejection),
}

/// Claims the remake that has been due longest. Returns none if none is due.
pub async fn claim(context: &WorkerContext) -> anyhow::Result<Option<Remake>> {
    let mut connection = context.backends.db.connection().await?;
    remakes::claim(&mut connection, context.settings.job_lease).await
}

/// Extends the claim, unless the remake has finished. Returns false if it is lost, because the video
/// was deleted or another worker has the remake.
pub async fn heartbeat(context: &WorkerContext, remake: Remake) -> anyhow::Result<bool> {
    let mut connection = context.backends.db.connection().await?;
    remakes::extend(&mut connection, remake, context.settings.job_lease).await
}

/// Leaves the remake to the next worker.
pub async fn release(context: &WorkerContext, remake: Remake) -> anyhow::Result<()> {
    give_up(context, remake, Some(Duration::ZERO)).await
}

/// Makes, stores and shows the outputs. A failed remake, also after a panic, is retried later, a
/// rejected one is not. Returns the outcome label for the metrics.
pub async fn run(context: &WorkerContext, remake: Remake) -> &'static str {
    let made = AssertUnwindSafe(make(context, remake)).catch_unwind();
    let made = made
        .await
        .unwrap_or_else(|_| Err(anyhow!("the job panicked")));
    let (outcome, again) = match made {
        Ok(Made::Shown) => {
            tracing::info!("lost clip recreated");
            return "remade";
        }
        // The cleanup removes its outputs, because the claim has set `strays_at`.
        Ok(Made::Superseded) => return "superseded",
        Ok(Made::Rejected(rejection)) => {
            let code = rejection.code();
            tracing::error!(
                code,
                "cannot recreate a lost clip, its original is rejected"
            );
            ("remake_refused", None)
        }
        Err(error) => {
            tracing::error!("failed to recreate a lost clip, will retry: {error:#}");
            ("remake_failed", Some(RETRY))
        }
    };
    if let Err(error) = give_up(context, remake, again).await {
        tracing::warn!("failed to release the remake, its lease will expire: {error:#}");
    }
    outcome
}

async fn make(context: &WorkerContext, remake: Remake) -> anyhow::Result<Made> {
    let Remake { video, next, .. } = remake;
    let started = Instant::now();
    let scratch = context.media.scratch()?;
    let source = scratch.file("source.mp4");
    let storage = &context.backends.storage;
    storage.fetch(StorageKey::Original(video), &source).await?;
    let mut job = media::JobReport::default();
    let rules = process::rules(context, video).await?;
    let making = context
        .media
        .make_clip(&source, rules, &scratch, &mut job, |_| {});
    let clip = match making.await {
        Ok(clip) => clip,
        Err(media::Error::Rejected(rejection)) => return Ok(Made::Rejected(rejection)),
        Err(
            media::Error::Failed(error)
            | media::Error::Environment(error)
            | media::Error::Killed(error),
        ) => return Err(error),
    };
    process::store(context, video, next, &clip).await?;
    let renditions = Renditions::of(&clip)?;
    let report = ReportRow::to_row(started, &job, Some(&clip))?;
    tagging::prepare_outputs(&context.backends, video, next).await;
    let is_shown = {
        let mut connection = context.backends.db.connection().await?;
        remakes::finish(&mut connection, remake, &renditions, &report).await?
    };
    if !is_shown {
        return Ok(Made::Superseded);
    }
    tagging::settle(&context.backends, video, None).await;
    if let Err(error) = storage.delete_outputs_before(video, next).await {
        // The cleanup retries, because the claim has set `strays_at`.
        tracing::warn!("failed to remove the old outputs, will retry: {error:#}");
    }
    Ok(Made::Shown)
}

/// Gives up the claim and removes its outputs.
async fn give_up(
    context: &WorkerContext,
    remake: Remake,
    again: Option<Duration>,
) -> anyhow::Result<()> {
    let is_void = {
        let mut connection = context.backends.db.connection().await?;
        remakes::give_up(&mut connection, remake, again).await?
    };
    if is_void {
        let Remake { video, next, .. } = remake;
        context.backends.storage.delete_outputs(video, next).await?;
    }
    Ok(())
}
