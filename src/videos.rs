//! Videos: upload, processing, publishing, deleting, watching.

pub mod board;
pub mod clean;
mod failure;
pub mod fsck;
pub mod handlers;
pub mod moderation;
pub mod operator;
pub mod process;
mod queries;
pub mod remake;
mod renditions;
pub mod resumable;
mod status;
pub mod sweep;
pub mod tagging;
pub mod upload;

use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection as _;

use crate::{
    app::Backends,
    db::{self, Db},
    ids::{UserId, VideoId},
    storage::StorageKey,
    validate::{Checks, FieldError},
};
pub use failure::Failure;
pub use queries::{Video, jobs::Claim, operator::VideoCounts};
pub use renditions::{Readers, Renditions, RenditionsBody};
pub use status::VideoStatus;

/// Bounds of a title, in characters.
const TITLE_LENGTH: (usize, usize) = (5, 100);

/// Returns the time until `moment`, or zero if it has passed (s).
pub fn seconds_until(moment: DateTime<Utc>) -> u64 {
    u64::try_from((moment - Utc::now()).num_seconds()).unwrap_or_default()
}

/// Why a user cannot access a video.
#[derive(Debug, PartialEq, Eq)]
pub enum Denial {
    /// It belongs to another user.
    Forbidden,
    /// It does not exist.
    NotFound,
}

/// A change to a video by its owner. `None` leaves a field unchanged.
#[derive(Debug, Default)]
pub struct Change {
    pub title: Option<String>,
    pub is_public: Option<bool>,
}

#[derive(Debug)]
pub enum ChangeOutcome {
    Changed(Box<Video>),
    Denied(Denial),
    /// It failed, so it cannot be published.
    NotPublishable,
    /// An organiser hid it, so it cannot be published.
    Hidden,
}

#[derive(Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    Deleted,
    Denied(Denial),
    /// It takes part in the vote. Unpublish it first.
    Published,
}

impl Video {
    /// Returns the keys of clip and poster, once they exist.
    pub fn outputs(&self) -> Option<(StorageKey, StorageKey)> {
        // A processed video is never claimed again, so its attempt made the outputs.
        let keys = (
            StorageKey::Clip(self.id, self.attempt),
            StorageKey::Poster(self.id, self.attempt),
        );
        (self.status == VideoStatus::Processed).then_some(keys)
    }

    /// Returns whether `key` is one of its outputs.
    fn has_output(&self, key: StorageKey) -> bool {
        let Some((clip, poster)) = self.outputs() else {
            return false;
        };
        let light = self.renditions.light(self.id, self.attempt);
        let thumb = self.renditions.thumb(self.id, self.attempt);
        [Some(clip), Some(poster), light, thumb].contains(&Some(key))
    }

    /// Returns why it failed. A newer version of the program may have written an unknown reason.
    pub fn failure(&self) -> Option<Failure> {
        let row = self.failure.as_ref()?;
        Some(Failure::from_row(row).unwrap_or(Failure::ProcessingFailed))
    }

    /// Returns whether the public may watch it.
    pub fn is_watchable(&self) -> bool {
        self.is_public && self.status == VideoStatus::Processed
    }
}

/// Returns the attempt whose outputs may exist, or none if the video is waiting or failed.
fn attempt_with_outputs(status: VideoStatus, attempt: i32) -> Option<i32> {
    match status {
        VideoStatus::Processing | VideoStatus::Processed => Some(attempt),
        VideoStatus::Uploaded | VideoStatus::Failed => None,
    }
}

/// Validates a title and returns it trimmed.
pub fn check_title(title: &str) -> Result<String, Vec<FieldError>> {
    let mut checks = Checks::default();
    let title = checks.line("title", title, TITLE_LENGTH.0, TITLE_LENGTH.1);
    checks.finish()?;
    Ok(title)
}

/// Returns the video if the user owns it.
pub async fn find_own(
    db: &Db,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<Result<Video, Denial>> {
    let mut connection = db.connection().await?;
    Ok(match queries::find(&mut connection, video).await? {
        Some(found) if found.user_id == user => Ok(found),
        Some(_) => Err(Denial::Forbidden),
        None => Err(Denial::NotFound),
    })
}

/// Returns whether a file may be read without a signature: an output of a public video. Returns none
/// if the video does not exist.
pub async fn is_public_file(db: &Db, key: StorageKey) -> anyhow::Result<Option<bool>> {
    let mut connection = db.connection().await?;
    let found = queries::find(&mut connection, key.video()).await?;
    Ok(found.map(|video| video.is_watchable() && video.has_output(key)))
}

/// Returns a range of a user's own videos, newest first.
pub async fn list_own(
    db: &Db,
    user: UserId,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<Video>> {
    let mut connection = db.connection().await?;
    queries::list_own(&mut connection, user, limit, offset).await
}

/// Changes title or visibility. Any video can be published unless it failed or is hidden.
/// Unpublishing keeps the votes.
pub async fn change(
    backends: &Backends,
    user: UserId,
    video: VideoId,
    change: &Change,
) -> anyhow::Result<ChangeOutcome> {
    let db = &backends.db;
    let prepared = if change.is_public == Some(true) {
        let attempt = async {
            let mut connection = db.connection().await?;
            queries::tagging::attempt_to_publish(&mut connection, user, video).await
        };
        tagging::prepare(backends, video, attempt).await?
    } else {
        None
    };
    let changed = {
        let mut connection = db.connection().await?;
        queries::update(&mut connection, user, video, change).await?
    };
    if change.is_public.is_some() {
        tagging::settle(backends, video, prepared).await;
    }
    if let Some(changed) = changed {
        return Ok(ChangeOutcome::Changed(Box::new(changed)));
    }
    Ok(match find_own(db, user, video).await? {
        Err(denial) => ChangeOutcome::Denied(denial),
        Ok(found) if found.hidden_reason.is_some() => ChangeOutcome::Hidden,
        Ok(_) => ChangeOutcome::NotPublishable,
    })
}

/// Deletes a video. The row goes first, with its votes and any running job, then the files. A
/// worker that has not noticed the delete may still store files and then die, so the row in
/// `uploads` stays for the cleanup.
pub async fn delete(
    backends: &Backends,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<DeleteOutcome> {
    let Backends { db, storage, .. } = backends;
    let mut connection = db.connection().await?;
    let is_deleted = connection
        .transaction(async |connection| {
            let is_deleted = queries::delete(connection, user, video).await?;
            if is_deleted {
                queries::record_delete(connection, user, video).await?;
            }
            anyhow::Ok(is_deleted)
        })
        .await?;
    drop(connection);
    if !is_deleted {
        return Ok(match find_own(db, user, video).await? {
            Err(denial) => DeleteOutcome::Denied(denial),
            Ok(_) => DeleteOutcome::Published,
        });
    }
    tracing::info!(%video, "video deleted");
    if let Err(error) = storage.delete_video(video).await {
        // Without its row the video is deleted regardless.
        tracing::warn!(%video, "failed to remove files of a deleted video, will retry: {error:#}");
    }
    Ok(DeleteOutcome::Deleted)
}

/// Removes the files of a video without a row, then its row in `uploads`.
async fn remove_files(backends: &Backends, video: VideoId) -> anyhow::Result<()> {
    backends.storage.delete_video(video).await?;
    clear_upload(&backends.db, video).await
}

async fn clear_upload(db: &Db, video: VideoId) -> anyhow::Result<()> {
    db::with_timeout(async {
        let mut connection = db.connection().await?;
        queries::clear_upload(&mut connection, video).await
    })
    .await
}
