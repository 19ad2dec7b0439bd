//! Moderators hide videos from the public and show them again. A hidden video keeps its votes, and its
//! owner reads the reason, and may answer.

use diesel_async::AsyncConnection as _;
use serde_json::{Value, json};

pub use super::queries::moderation::Moderation;
use super::{
    Denial, find_own,
    queries::{self, moderation},
    tagging,
};
use crate::{
    app::Backends,
    audit::{self, Act, By, Entry, Subject},
    db::Db,
    ids::{UserId, VideoId},
    validate::{Checks, FieldError, text},
};

/// Bounds of a reason, in characters.
const REASON_LENGTH: (usize, usize) = (5, 200);

/// Maximum length of an answer, in characters.
const MAX_ANSWER: usize = 500;

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

/// When a video may be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HideIf {
    Always,
    /// Only if it has open reports, so that of two moderators who settle them, one is late.
    Reported,
}

/// Hides a video in any state, and settles its open reports. Of concurrent calls, exactly one is
/// `Done`.
pub async fn hide(
    backends: &Backends,
    by: &By,
    video: VideoId,
    reason: &str,
    condition: HideIf,
) -> anyhow::Result<ModerationOutcome> {
    let is_done = {
        let mut connection = backends.db.connection().await?;
        connection
            .transaction(async |connection| {
                let is_late = condition == HideIf::Reported
                    && !moderation::is_listed(connection, video).await?;
                let account = by.account();
                if is_late || !moderation::hide(connection, account, video, reason).await? {
                    return Ok(false);
                }
                moderation::settle_reports(connection, account, video).await?;
                let after = json!({ "reason": reason });
                let entry = entry(by, Act::VideoHidden, video, Some(after));
                audit::record(connection, &entry).await?;
                anyhow::Ok(true)
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
                    moderation::settle_answer(connection, video).await?;
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

#[derive(Debug, PartialEq, Eq)]
pub enum AnswerOutcome {
    Answered,
    /// The owner has answered since the video was hidden.
    AlreadyAnswered,
    NotHidden,
    Denied(Denial),
}

/// Validates an answer and returns it in one line.
pub fn check_answer(text: &str) -> Result<String, Vec<FieldError>> {
    let mut checks = Checks::default();
    let text = checks.line("text", &text::one_line(text), 1, MAX_ANSWER);
    checks.finish()?;
    Ok(text)
}

/// Records what the owner of a hidden video answers, once per hiding. Of concurrent calls, exactly
/// one is `Answered`.
pub async fn answer(
    db: &Db,
    user: UserId,
    video: VideoId,
    text: &str,
) -> anyhow::Result<AnswerOutcome> {
    let is_answered = {
        let mut connection = db.connection().await?;
        moderation::answer(&mut connection, user, video, text).await?
    };
    if is_answered {
        tracing::info!(%video, "owner answered the moderators");
        return Ok(AnswerOutcome::Answered);
    }
    Ok(match find_own(db, user, video).await? {
        Err(denial) => AnswerOutcome::Denied(denial),
        Ok(found) if found.hidden_reason.is_none() => AnswerOutcome::NotHidden,
        Ok(_) => AnswerOutcome::AlreadyAnswered,
    })
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
