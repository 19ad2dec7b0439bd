//! Spectators report public clips, and moderators settle the reports. A report hides nothing: it
//! puts the clip on the moderators' list (`docs/decisions/0032-reports-raise-people-hide.md`).

pub mod handlers;
mod queries;
mod reason;

use std::time::Duration;

use diesel_async::AsyncConnection as _;

use self::queries::Settled;
pub use self::{
    queries::{Case, Remark},
    reason::Reason,
};
use crate::{
    audit::{self, Act, By, Entry, Subject},
    db::Db,
    ids::{UserId, VideoId},
    validate::{Checks, FieldError, Problem, text},
    videos::board::{self, OrganisedVideo},
};

/// Maximum length of the text of a report, in characters.
const MAX_TEXT: usize = 500;

/// Maximum number of reports of one person in 24 hours.
const MAX_PER_DAY: i64 = 20;

/// A report that can be sent.
#[derive(Debug, Clone)]
pub struct Report {
    reason: Reason,
    text: Option<String>,
}

impl Report {
    /// Validates a report. The text is optional, and its lines become one.
    pub fn check(reason: &str, text: Option<&str>) -> Result<Self, Vec<FieldError>> {
        let mut checks = Checks::default();
        let reason = Reason::parse(reason);
        if reason.is_none() {
            checks.add("reason", Problem::Invalid);
        }
        let text = text::one_line(text.unwrap_or_default());
        let text = (!text.is_empty()).then(|| checks.line("text", &text, 1, MAX_TEXT));
        checks.finish()?;
        Ok(Self {
            reason: reason.unwrap_or(Reason::Other),
            text,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReportOutcome {
    Sent,
    /// The person has already reported this video.
    AlreadyReported,
    /// Nobody reports their own video.
    OwnVideo,
    /// The person has sent the maximum number of reports.
    TooMany {
        /// Time until the next one can be sent.
        wait: Duration,
    },
    /// The video does not exist, is not processed or is not public.
    NotFound,
}

/// Reports a public video. Of concurrent equal reports, exactly one is `Sent`.
pub async fn send(
    db: &Db,
    user: UserId,
    video: VideoId,
    report: &Report,
) -> anyhow::Result<ReportOutcome> {
    let mut connection = db.connection().await?;
    let outcome = connection
        .transaction(async |connection| {
            // The reports of one person wait for each other, so that none exceeds the maximum.
            queries::lock_person(connection, user).await?;
            let new = queries::NewReport {
                user,
                video,
                reason: report.reason,
                text: report.text.as_deref(),
            };
            queries::send(connection, &new, MAX_PER_DAY).await
        })
        .await?;
    if outcome == ReportOutcome::Sent {
        tracing::info!(%video, reason = report.reason.name(), "video reported");
    }
    Ok(outcome)
}

/// Returns whether `user` has reported `video`.
pub async fn is_sent(db: &Db, user: UserId, video: VideoId) -> anyhow::Result<bool> {
    let mut connection = db.connection().await?;
    queries::is_sent(&mut connection, user, video).await
}

/// A video on the moderators' list.
#[derive(Debug, Clone)]
pub struct Listed {
    pub case: Case,
    pub video: OrganisedVideo,
    /// What people wrote, the earliest first.
    pub remarks: Vec<Remark>,
}

/// Returns the videos with open reports, and hidden ones whose player has answered: answered ones
/// first, then urgent ones, then those that have waited longest.
pub async fn list(db: &Db, limit: i64, offset: i64) -> anyhow::Result<Vec<Listed>> {
    let mut connection = db.connection().await?;
    let cases = queries::cases(&mut connection, limit, offset).await?;
    let ids: Vec<VideoId> = cases.iter().map(|case| case.video).collect();
    let mut remarks = queries::remarks(&mut connection, &ids).await?;
    drop(connection);
    let mut videos = board::organised_among(db, &ids).await?;
    let listed = cases.into_iter().filter_map(|case| {
        let position = videos.iter().position(|row| row.video.id == case.video)?;
        let (own, others) = remarks.drain(..).partition(|it| it.video == case.video);
        remarks = others;
        Some(Listed {
            video: videos.swap_remove(position),
            remarks: own,
            case,
        })
    });
    Ok(listed.collect())
}

/// Counts the videos on the moderators' list.
pub async fn open_count(db: &Db) -> anyhow::Result<i64> {
    let mut connection = db.connection().await?;
    queries::open_count(&mut connection).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DismissOutcome {
    Done,
    /// It is not on the list: another moderator was faster.
    AlreadySettled,
    NotFound,
}

/// Takes a video off the moderators' list and leaves it as it is: public, because nothing is wrong
/// with it, or hidden in spite of its player's answer. Of concurrent calls, exactly one is `Done`.
pub async fn dismiss(db: &Db, by: &By, video: VideoId) -> anyhow::Result<DismissOutcome> {
    let mut connection = db.connection().await?;
    let outcome = connection
        .transaction(async |connection| {
            if !queries::lock_video(connection, video).await? {
                return Ok(DismissOutcome::NotFound);
            }
            let settled = queries::dismiss(connection, by.account(), video).await?;
            if settled == Settled::default() {
                return Ok(DismissOutcome::AlreadySettled);
            }
            let entry = Entry {
                by,
                act: Act::ReportDismissed,
                subject: Subject::Video(video),
                before: None,
                after: Some(settled.into()),
            };
            audit::record(connection, &entry).await?;
            anyhow::Ok(DismissOutcome::Done)
        })
        .await?;
    if outcome == DismissOutcome::Done {
        tracing::info!(%video, by = %by.actor, "reports dismissed");
    }
    Ok(outcome)
}
