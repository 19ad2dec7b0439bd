//! Organisers hide videos from the public and show them again. A hidden video keeps its votes, and
//! its owner reads the reason.

pub use super::queries::moderation::Moderation;
use super::{
    queries::{self, moderation},
    tagging,
};
use crate::{
    app::Backends,
    db::Db,
    ids::{UserId, VideoId},
    validate::{Checks, FieldError},
};

/// Bounds of a reason, in characters.
const REASON_LENGTH: (usize, usize) = (5, 200);

#[derive(Debug, PartialEq, Eq)]
pub enum ModerationOutcome {
    Done,
    /// The video is in that state already: another organiser was faster.
    Unchanged,
    NotFound,
}

/// Validates the reason for hiding a video and returns it trimmed.
pub fn check_reason(reason: &str) -> Result<String, Vec<FieldError>> {
    let mut checks = Checks::default();
    let reason = checks.line("reason", reason, REASON_LENGTH.0, REASON_LENGTH.1);
    checks.finish()?;
    Ok(reason)
}

/// Hides a video in any state. Of concurrent calls, exactly one is `Done`.
pub async fn hide(
    backends: &Backends,
    organiser: UserId,
    video: VideoId,
    reason: &str,
) -> anyhow::Result<ModerationOutcome> {
    let is_done = {
        let mut connection = backends.db.connection().await?;
        moderation::hide(&mut connection, organiser, video, reason).await?
    };
    if is_done {
        tracing::info!(%video, %organiser, "video hidden");
        tagging::settle(backends, video, None).await;
        return Ok(ModerationOutcome::Done);
    }
    let mut connection = backends.db.connection().await?;
    let found = queries::find(&mut connection, video).await?;
    Ok(unchanged(found.is_some()))
}

/// Shows a hidden video again. If it was public before, and its owner has not unpublished it, it is
/// public again. Of concurrent calls, exactly one is `Done`.
pub async fn show(
    backends: &Backends,
    organiser: UserId,
    video: VideoId,
) -> anyhow::Result<ModerationOutcome> {
    let attempt = async {
        let mut connection = backends.db.connection().await?;
        queries::tagging::attempt_to_show(&mut connection, video).await
    };
    let prepared = tagging::prepare(backends, video, attempt).await?;
    let is_done = {
        let mut connection = backends.db.connection().await?;
        moderation::show(&mut connection, organiser, video).await?
    };
    tagging::settle(backends, video, prepared).await;
    if is_done {
        tracing::info!(%video, %organiser, "video shown again");
        return Ok(ModerationOutcome::Done);
    }
    let mut connection = backends.db.connection().await?;
    let found = queries::find(&mut connection, video).await?;
    Ok(unchanged(found.is_some()))
}

fn unchanged(exists: bool) -> ModerationOutcome {
    if exists {
        ModerationOutcome::Unchanged
    } else {
        ModerationOutcome::NotFound
    }
}

/// Returns what organisers did last, newest first, to all videos or to one.
pub async fn log(db: &Db, video: Option<VideoId>, limit: i64) -> anyhow::Result<Vec<Moderation>> {
    let mut connection = db.connection().await?;
    moderation::log(&mut connection, video, limit).await
}
