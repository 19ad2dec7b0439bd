//! Moderators hide videos from the public and show them again. A hidden video keeps its votes, and its
//! owner reads the reason.

use diesel_async::AsyncConnection as _;
use serde_json::{Value, json};

pub use super::queries::moderation::Moderation;
use super::{
    queries::{self, moderation},
    tagging,
};
use crate::{
    app::Backends,
    audit::{self, Act, By, Entry, Subject},
    db::Db,
    ids::VideoId,
    validate::{Checks, FieldError},
};

/// Bounds of a reason, in characters.
const REASON_LENGTH: (usize, usize) = (5, 200);

#[derive(Debug, PartialEq, Eq)]
pub enum ModerationOutcome {
    Done,
    /// The video is in that state already: another moderator was faster.
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
    by: &By,
    video: VideoId,
    reason: &str,
) -> anyhow::Result<ModerationOutcome> {
    let is_done = {
        let mut connection = backends.db.connection().await?;
        connection
            .transaction(async |connection| {
                let account = by.account();
                let is_done = moderation::hide(connection, account, video, reason).await?;
                if is_done {
                    let after = json!({ "reason": reason });
                    let entry = entry(by, Act::VideoHidden, video, Some(after));
                    audit::record(connection, &entry).await?;
                }
                anyhow::Ok(is_done)
            })
            .await?
    };
    if is_done {
        tracing::info!(%video, by = %by.actor, "video hidden");
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
    by: &By,
    video: VideoId,
) -> anyhow::Result<ModerationOutcome> {
    let attempt = async {
        let mut connection = backends.db.connection().await?;
        queries::tagging::attempt_to_show(&mut connection, video).await
    };
    let prepared = tagging::prepare(backends, video, attempt).await?;
    let is_done = {
        let mut connection = backends.db.connection().await?;
        connection
            .transaction(async |connection| {
                let is_done = moderation::show(connection, by.account(), video).await?;
                if is_done {
                    let entry = entry(by, Act::VideoShown, video, None);
                    audit::record(connection, &entry).await?;
                }
                anyhow::Ok(is_done)
            })
            .await?
    };
    tagging::settle(backends, video, prepared).await;
    if is_done {
        tracing::info!(%video, by = %by.actor, "video shown again");
        return Ok(ModerationOutcome::Done);
    }
    let mut connection = backends.db.connection().await?;
    let found = queries::find(&mut connection, video).await?;
    Ok(unchanged(found.is_some()))
}

fn entry(by: &By, act: Act, video: VideoId, after: Option<Value>) -> Entry<'_> {
    Entry {
        by,
        act,
        subject: Subject::Video(video),
        before: None,
        after,
    }
}

fn unchanged(exists: bool) -> ModerationOutcome {
    if exists {
        ModerationOutcome::Unchanged
    } else {
        ModerationOutcome::NotFound
    }
}

/// Returns what moderators did last, newest first, to all videos or to one.
pub async fn log(db: &Db, video: Option<VideoId>, limit: i64) -> anyhow::Result<Vec<Moderation>> {
    let mut connection = db.connection().await?;
    moderation::log(&mut connection, video, limit).await
}
