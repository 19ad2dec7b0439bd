//! `anb fsck`: compares rows, files and queue on a live system. Only a difference found twice, two
//! seconds apart, is a finding. A single one may be an operation in progress.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::Context as _;
use diesel_async::AsyncConnection as _;
use serde::Serialize;
use uuid::Uuid;

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
    storage::{Storage, StorageKey, Stored},
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
    /// Videos whose original is missing.
    lost: HashSet<VideoId>,
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
    let lost = again.findings.iter().filter_map(|finding| {
        if let Finding::MissingOriginal { video } = finding {
            Some(*video)
        } else {
            None
        }
    });
    again.lost = lost.collect();
    Ok(again)
}

impl Comparison {
    /// Returns what can be done about a finding.
    pub fn advise(&self, finding: &Finding) -> Advice {
        match finding {
            Finding::MissingOriginal { .. }
            | Finding::Foreign { .. }
            | Finding::MissingEntries { .. } => Advice::Nothing,
            Finding::MissingOutput { video } if self.lost.contains(video) => Advice::NoOriginal,
            // A restored older database lacks the videos uploaded since.
            Finding::Orphan { key, .. } if Some(key.video()) > self.newest => Advice::TooNew,
            Finding::Orphan { .. } => Advice::Delete,
            Finding::MissingOutput { .. }
            | Finding::Overdue { .. }
            | Finding::WrongVotes { .. }
            | Finding::MissingMessages => Advice::Repair,
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
/// does not find files removed later. Then it compares the videos page by page.
async fn compare(backends: &Backends, settings: &UploadSettings) -> anyhow::Result<Comparison> {
    let mut files = Files::list(&backends.storage).await?;
    let mut compared = Comparison {
        files: files.count(),
        ..Comparison::default()
    };
    let timeout = settings.upload_timeout.as_secs_f64();
    let mut is_any_waiting = false;
    let newest_possible = VideoId(Uuid::max());
    let mut end = VideoId(Uuid::nil());
    while end < newest_possible {
        let known = {
            let mut connection = backends.db.connection().await?;
            let start = end;
            let next = sql::page_end(&mut connection, start).await?;
            end = next.unwrap_or(newest_possible);
            sql::records(&mut connection, timeout, start, end).await?
        };
        let stored = files.take_until(end, &backends.storage);
        let findings = &mut compared.findings;
        findings.extend(unexpected(&stored, &known));
        // A file stored after the listing would appear missing.
        findings.extend(missing(&stored, &known));
        findings.extend(known.iter().filter_map(disagreement));
        is_any_waiting |= known.iter().any(|known| known.is_waiting_long);
        let rows = known.iter().filter(|known| known.status.is_some());
        compared.newest = compared.newest.max(rows.map(|known| known.id).max());
    }
    let messages = backends.queue.stats().await?;
    if is_any_waiting && messages.waiting == 0 {
        compared.findings.push(Finding::MissingMessages);
    }
    let gaps = audit::gaps(&backends.db).await?.into_iter();
    let gaps = gaps.map(|(first, last)| Finding::MissingEntries { first, last });
    compared.findings.extend(gaps);
    Ok(compared)
}

/// All files of the storage in little memory: 24 bytes for each one that is finished.
struct Files {
    /// Those of the newest video first.
    finished: Vec<StorageKey>,
    /// Foreign files, and those that are being written or whose writer was killed.
    others: Vec<Stored>,
}

impl Files {
    async fn list(storage: &Storage) -> anyhow::Result<Self> {
        let (mut finished, mut others) = (Vec::new(), Vec::new());
        let mut visit = |stored: Stored| match stored.key {
            Some(key) if stored.is_finished => finished.push(key),
            Some(_) | None => others.push(stored),
        };
        storage.list(&mut visit).await?;
        finished.sort_unstable_by_key(|key| Reverse(key.video()));
        Ok(Self { finished, others })
    }

    fn count(&self) -> usize {
        self.finished.len() + self.others.len()
    }

    /// Removes the files of the videos up to `end`, and all foreign ones, and returns them.
    fn take_until(&mut self, end: VideoId, storage: &Storage) -> Vec<Stored> {
        let later = self.finished.partition_point(|key| key.video() > end);
        let finished = self.finished.split_off(later).into_iter();
        let finished = finished.map(|key| Stored {
            name: storage.name(key),
            key: Some(key),
            is_finished: true,
        });
        let is_due = |stored: &mut Stored| stored.key.is_none_or(|key| key.video() <= end);
        finished.chain(self.others.extract_if(.., is_due)).collect()
    }
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
