//! `anb fsck`: compares rows, files and queue on a live system. Only a difference found twice, two
//! seconds apart, is a finding. A single one may be an operation in progress.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use serde::Serialize;

use super::{
    VideoStatus, attempt_with_outputs, clean,
    queries::{
        self,
        fsck::{self as sql, VideoRecord},
        remakes,
    },
    sweep::{self, Leases},
    tagging,
};
use crate::{
    app::Backends,
    audit,
    config::storage::UploadSettings,
    ids::VideoId,
    storage::{StorageKey, Stored},
};

/// Time between the two comparisons.
const RECHECK_DELAY: Duration = Duration::from_secs(2);

/// Number of deletions that is never suspicious. With few files, a tenth is less than one video.
const UNSUSPICIOUS_DELETIONS: usize = 20;

/// A difference between rows, files and queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// A video whose original is missing. It cannot be recovered.
    MissingOriginal { video: VideoId },
    /// A processed video one of whose outputs is missing.
    MissingOutput { video: VideoId },
    /// A file with a valid key that no row in `videos` or `uploads` accounts for.
    Orphan {
        object: String,
        #[serde(skip)]
        key: StorageKey,
    },
    /// A file without a valid key.
    Foreign { object: String },
    /// A row that the sweeper or the cleanup should have handled. Perhaps no worker is running.
    Overdue { video: VideoId },
    /// A vote counter that differs from the number of votes.
    WrongVotes {
        video: VideoId,
        counted: i64,
        votes: i64,
    },
    /// The queue is empty although videos have waited for minutes.
    MissingMessages,
    /// Acts of staff whose entries were removed, from the first number to the last.
    MissingEntries { first: i64, last: i64 },
}

#[derive(Debug, Default)]
pub struct Comparison {
    pub findings: Vec<Finding>,
    pub files: usize,
    /// The newest video with a row.
    pub newest: Option<VideoId>,
}

/// Compares everything and returns the findings.
pub async fn check(backends: &Backends, settings: &UploadSettings) -> anyhow::Result<Comparison> {
    let first = compare(backends, settings).await?;
    if first.findings.is_empty() {
        return Ok(first);
    }
    tokio::time::sleep(RECHECK_DELAY).await;
    let mut again = compare(backends, settings).await?;
    let both: HashSet<_> = again.findings.drain(..).collect();
    again.findings = first.findings;
    again.findings.retain(|finding| both.contains(finding));
    Ok(again)
}

impl Comparison {
    /// Returns what can be done about a finding.
    pub fn advise(&self, finding: &Finding) -> Advice {
        match finding {
            Finding::MissingOriginal { .. }
            | Finding::Foreign { .. }
            | Finding::MissingEntries { .. } => Advice::Nothing,
            Finding::MissingOutput { video } => {
                let original = Finding::MissingOriginal { video: *video };
                if self.findings.contains(&original) {
                    Advice::NoOriginal
                } else {
                    Advice::Repair
                }
            }
            // A restored older database lacks the videos uploaded since.
            Finding::Orphan { key, .. } if Some(key.video()) > self.newest => Advice::TooNew,
            Finding::Orphan { .. } => Advice::Delete,
            Finding::Overdue { .. } | Finding::WrongVotes { .. } | Finding::MissingMessages => {
                Advice::Repair
            }
        }
    }

    /// Returns the number of files to delete.
    pub fn deletions(&self) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| self.advise(finding) == Advice::Delete)
            .count()
    }

    /// Returns whether so many deletions suggest a mistake, such as the wrong database.
    pub fn is_suspicious(&self) -> bool {
        self.deletions() > (self.files / 10).max(UNSUSPICIOUS_DELETIONS)
    }
}

/// What can be done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// It can be repaired without loss.
    Repair,
    /// The file can be deleted.
    Delete,
    /// The file is newer than all rows. The database may be an older copy.
    TooNew,
    /// The output and its original are both lost.
    NoOriginal,
    Nothing,
}

/// Repairs a finding, regardless of the advice.
pub async fn repair(
    backends: &Backends,
    settings: &UploadSettings,
    finding: &Finding,
) -> anyhow::Result<()> {
    match finding {
        Finding::MissingOriginal { .. }
        | Finding::Foreign { .. }
        | Finding::MissingEntries { .. } => {}
        Finding::MissingOutput { video } => {
            let mut connection = backends.db.connection().await?;
            remakes::order(&mut connection, *video).await?;
        }
        Finding::Orphan { key, .. } => remove(backends, *key).await?,
        Finding::Overdue { .. } | Finding::MissingMessages => {
            sweep::run(backends, Leases::expired(&backends.db).await?).await?;
            clean::run(backends, settings).await?;
            tagging::run(backends).await?;
        }
        Finding::WrongVotes { video, .. } => {
            let mut connection = backends.db.connection().await?;
            connection
                .transaction(async |connection| {
                    sql::lock_votes(connection, *video).await?;
                    sql::recount(connection, *video).await
                })
                .await
                .context("recount the votes")?;
        }
    }
    Ok(())
}

/// Removes an orphan, unless a row refers to it by now.
async fn remove(backends: &Backends, key: StorageKey) -> anyhow::Result<()> {
    let video = key.video();
    let found = {
        let mut connection = backends.db.connection().await?;
        queries::find(&mut connection, video).await?
    };
    match (found, key.attempt()) {
        (None, _) => backends.storage.delete_video(video).await,
        (Some(_), None) => backends.storage.remove_unfinished(key).await,
        (Some(found), Some(attempt)) => {
            if attempt_with_outputs(found.status, found.attempt) == Some(attempt) {
                return Ok(());
            }
            backends.storage.delete_outputs(video, attempt).await
        }
    }
}

/// Compares once. Lists the files first, so it misses files stored later, and the second comparison
/// does not find files removed later.
async fn compare(backends: &Backends, settings: &UploadSettings) -> anyhow::Result<Comparison> {
    let stored = backends.storage.list().await?;
    let known = {
        let mut connection = backends.db.connection().await?;
        sql::records(&mut connection, settings.upload_timeout.as_secs_f64()).await?
    };
    let messages = backends.queue.stats().await?;
    let mut findings = unexpected(&stored, &known);
    // A file stored after the listing would appear missing.
    findings.extend(missing(&stored, &known));
    findings.extend(known.iter().filter_map(disagreement));
    let is_any_waiting = known.iter().any(|known| known.is_waiting_long);
    if is_any_waiting && messages.waiting == 0 {
        findings.push(Finding::MissingMessages);
    }
    let gaps = audit::gaps(&backends.db).await?.into_iter();
    findings.extend(gaps.map(|(first, last)| Finding::MissingEntries { first, last }));
    let rows = known.iter().filter(|known| known.status.is_some());
    Ok(Comparison {
        findings,
        files: stored.len(),
        newest: rows.map(|known| known.id).max(),
    })
}

/// Returns the files that no row accounts for.
fn unexpected(stored: &[Stored], known: &[VideoRecord]) -> Vec<Finding> {
    let known: HashMap<_, _> = known.iter().map(|known| (known.id, known)).collect();
    let finding = |stored: &Stored| {
        let object = stored.name.clone();
        let Some(key) = stored.key else {
            return Some(Finding::Foreign { object });
        };
        let is_expected = known
            .get(&key.video())
            .is_some_and(|known| is_expected(key, stored.is_finished, known));
        (!is_expected).then_some(Finding::Orphan { object, key })
    };
    stored.iter().filter_map(finding).collect()
}

/// Returns whether a file of a known video may exist.
fn is_expected(key: StorageKey, is_finished: bool, known: &VideoRecord) -> bool {
    let Some(status) = known.status else {
        // A running upload or delete, whose orphans the cleanup removes.
        return true;
    };
    match key.attempt() {
        None => is_finished,
        Some(attempt) => {
            let is_named = attempt_with_outputs(status, known.attempt) == Some(attempt);
            let may_be_written = status == VideoStatus::Processing;
            known.is_noted || (is_named && (is_finished || may_be_written))
        }
    }
}

/// Returns the rows whose files are missing.
fn missing(stored: &[Stored], known: &[VideoRecord]) -> Vec<Finding> {
    let finished: HashSet<_> = stored
        .iter()
        .filter(|stored| stored.is_finished)
        .filter_map(|stored| stored.key)
        .collect();
    let mut findings = Vec::new();
    for known in known.iter().filter(|known| known.status.is_some()) {
        let video = known.id;
        if !finished.contains(&StorageKey::Original(video)) {
            findings.push(Finding::MissingOriginal { video });
        }
        if known.status == Some(VideoStatus::Processed)
            && outputs(known).any(|key| !finished.contains(&key))
        {
            findings.push(Finding::MissingOutput { video });
        }
    }
    findings
}

/// Returns the outputs that a processed video must have.
fn outputs(known: &VideoRecord) -> impl Iterator<Item = StorageKey> {
    let (video, attempt) = (known.id, known.attempt);
    let outputs = [
        Some(StorageKey::Clip(video, attempt)),
        Some(StorageKey::Poster(video, attempt)),
        known.renditions.light(video, attempt),
        known.renditions.thumb(video, attempt),
    ];
    outputs.into_iter().flatten()
}

fn disagreement(known: &VideoRecord) -> Option<Finding> {
    let video = known.id;
    if known.is_overdue {
        return Some(Finding::Overdue { video });
    }
    (known.counted != known.votes).then_some(Finding::WrongVotes {
        video,
        counted: known.counted,
        votes: known.votes,
    })
}
