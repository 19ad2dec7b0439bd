//! Making the clip of a processed video again, because `anb fsck` found that it is lost. What is left of the old
//! outputs is shown until the new ones are stored; a remake that fails changes nothing, and is tried again later.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use futures_util::FutureExt as _;

pub use super::queries::remakes::Remake;
use super::{
    process::{self, Report},
    queries::remakes,
};
use crate::{
    app::Workshop,
    media::{self, Refusal},
    storage::StorageKey,
};

/// When a remake that failed is tried again.
const RETRY: Duration = Duration::from_mins(5);

/// How a remake ended.
enum Made {
    /// The new clip is shown.
    Shown,
    /// It is no longer wanted: the video was deleted, or somebody else made it.
    Superseded,
    /// The film is refused, though it was accepted once: the rules of the contest have changed, or the file has.
    Refused(Refusal),
}

/// Claims the remake that is due for the longest time. Returns none if none is due.
pub async fn claim(workshop: &Workshop) -> anyhow::Result<Option<Remake>> {
    let mut connection = workshop.db.connection().await?;
    remakes::claim(&mut connection, workshop.settings.lease).await
}

/// Extends the claim. Returns false if it is lost: the video was deleted, or another worker has the remake.
pub async fn heartbeat(workshop: &Workshop, remake: Remake) -> anyhow::Result<bool> {
    let mut connection = workshop.db.connection().await?;
    remakes::extend(&mut connection, remake, workshop.settings.lease).await
}

/// Leaves the remake to the next worker.
pub async fn release(workshop: &Workshop, remake: Remake) -> anyhow::Result<()> {
    give_up(workshop, remake, Some(Duration::ZERO)).await
}

/// Makes and stores the clip, and shows it. One that fails is tried again later, also after a panic; one that is
/// refused is not. Returns the outcome's name for the metrics.
pub async fn run(workshop: &Workshop, remake: Remake) -> &'static str {
    let made = AssertUnwindSafe(make(workshop, remake)).catch_unwind();
    let made = made
        .await
        .unwrap_or_else(|_| Err(anyhow!("the job panicked")));
    let (outcome, again) = match made {
        Ok(Made::Shown) => {
            tracing::info!("lost clip made again");
            return "remade";
        }
        // Its outputs stay: the note that the claim left has the sweeper remove them.
        Ok(Made::Superseded) => return "superseded",
        Ok(Made::Refused(refusal)) => {
            let code = refusal.code();
            tracing::error!(
                code,
                "a lost clip cannot be made again: its film is refused"
            );
            ("remake_refused", None)
        }
        Err(error) => {
            tracing::error!("a lost clip cannot be made again now: {error:#}");
            ("remake_failed", Some(RETRY))
        }
    };
    if let Err(error) = give_up(workshop, remake, again).await {
        tracing::warn!("the remake waits for its lease to expire: {error:#}");
    }
    outcome
}

async fn make(workshop: &Workshop, remake: Remake) -> anyhow::Result<Made> {
    let Remake { video, next, .. } = remake;
    let started = Instant::now();
    let scratch = workshop.media.scratch()?;
    let source = scratch.file("source.mp4");
    let storage = &workshop.storage;
    storage.fetch(StorageKey::Original(video), &source).await?;
    let mut job = media::Report::default();
    let making = workshop
        .media
        .make_clip(&source, &scratch, &mut job, |_| {});
    let clip = match making.await {
        Ok(clip) => clip,
        Err(media::Error::Refused(refusal)) => return Ok(Made::Refused(refusal)),
        Err(
            media::Error::Failed(error)
            | media::Error::Surroundings(error)
            | media::Error::Killed(error),
        ) => return Err(error),
    };
    process::store(workshop, video, next, &clip).await?;
    let report = Report::to_row(started, &job, Some(&clip))?;
    let is_shown = {
        let mut connection = workshop.db.connection().await?;
        remakes::finish(&mut connection, remake, &report).await?
    };
    if !is_shown {
        return Ok(Made::Superseded);
    }
    if let Err(error) = storage.delete_outputs_before(video, next).await {
        // The note that the claim left has the sweeper remove them.
        tracing::warn!("the old outputs stay for now: {error:#}");
    }
    Ok(Made::Shown)
}

/// Gives the claim up, and removes what it stored.
async fn give_up(
    workshop: &Workshop,
    remake: Remake,
    again: Option<Duration>,
) -> anyhow::Result<()> {
    let is_void = {
        let mut connection = workshop.db.connection().await?;
        remakes::give_up(&mut connection, remake, again).await?
    };
    if is_void {
        let Remake { video, next, .. } = remake;
        workshop.storage.delete_outputs(video, next).await?;
    }
    Ok(())
}
