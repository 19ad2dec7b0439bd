//! Making the clip of a processed video again, because `anb fsck` found that it is lost. What is left of the old
//! outputs is shown until the new ones are stored; a remake that fails changes nothing, and is tried again later.

use std::time::Duration;

use super::queries::remakes;
pub use super::queries::remakes::Remake;
use crate::{
    app::Workshop,
    ids::VideoId,
    media::{self, Report},
    storage::StorageKey,
};

/// When a remake that failed is tried again.
const RETRY: Duration = Duration::from_mins(5);

/// Claims the remake of a video. Returns none if none is due.
pub async fn claim(workshop: &Workshop, video: VideoId) -> anyhow::Result<Option<Remake>> {
    let mut connection = workshop.db.connection().await?;
    remakes::claim(&mut connection, video, workshop.settings.lease).await
}

/// Extends the claim. Returns false if the remake is no longer wanted: the video was deleted, or somebody else
/// finished it.
pub async fn heartbeat(workshop: &Workshop, remake: Remake) -> anyhow::Result<bool> {
    postpone(workshop, remake, workshop.settings.lease).await
}

/// Leaves the remake to the next worker.
pub async fn release(workshop: &Workshop, remake: Remake) -> anyhow::Result<()> {
    postpone(workshop, remake, Duration::ZERO).await.map(drop)
}

/// Makes and stores the clip, and shows it. Returns false if it is no longer wanted. Files of this attempt stay
/// then: they may be those that somebody else made, and a delete has left a note for the sweeper.
pub async fn run(workshop: &Workshop, remake: Remake) -> anyhow::Result<bool> {
    let made = make(workshop, remake).await;
    if made.is_err() {
        postpone(workshop, remake, RETRY).await?;
    }
    made
}

async fn make(workshop: &Workshop, remake: Remake) -> anyhow::Result<bool> {
    let Remake { video, attempt } = remake;
    let scratch = workshop.media.scratch()?;
    let source = scratch.file("source.mp4");
    let storage = &workshop.storage;
    storage.fetch(StorageKey::Original(video), &source).await?;
    let mut report = Report::default();
    let making = workshop
        .media
        .make_clip(&source, &scratch, &mut report, |_| {});
    let clip = making.await.map_err(|error| match error {
        // It was accepted once: the rules of the contest have changed, or the file has.
        media::Error::Refused(refusal) => anyhow::anyhow!("refused as {}", refusal.code()),
        media::Error::Failed(error) => error,
    })?;
    let next = attempt + 1;
    storage
        .store(StorageKey::Clip(video, next), &clip.video)
        .await?;
    storage
        .store(StorageKey::Poster(video, next), &clip.poster)
        .await?;
    let is_shown = {
        let mut connection = workshop.db.connection().await?;
        remakes::finish(&mut connection, remake).await?
    };
    if is_shown && let Err(error) = storage.delete_outputs_before(video, next).await {
        // The note that the claim left has the sweeper remove them.
        tracing::warn!("the old outputs stay for now: {error:#}");
    }
    Ok(is_shown)
}

async fn postpone(workshop: &Workshop, remake: Remake, delay: Duration) -> anyhow::Result<bool> {
    let mut connection = workshop.db.connection().await?;
    remakes::postpone(&mut connection, remake, delay).await
}
