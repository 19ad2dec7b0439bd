//! The state of one upload: what its row says, what its owner sees, and how it ends.

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use crate::{
    app::Backends,
    db,
    ids::VideoId,
    storage::{Progress, StorageKey},
    videos::{
        queries::resumable::{self as rows, CompleteUpload, OpenUpload},
        upload,
    },
};

/// An upload as its owner sees it.
#[derive(Debug, Clone)]
pub struct Upload {
    pub video: VideoId,
    pub title: String,
    /// Bytes.
    pub length: u64,
    /// Number of durable bytes.
    pub offset: u64,
    /// As the client sent it; none once the video exists.
    pub metadata: Option<String>,
    /// None once the video exists.
    pub expires_at: Option<DateTime<Utc>>,
}

impl From<OpenUpload> for Upload {
    fn from(row: OpenUpload) -> Self {
        Self {
            video: row.video_id,
            title: row.title,
            length: row.length.try_into().unwrap_or_default(),
            offset: row.received.try_into().unwrap_or_default(),
            metadata: Some(row.metadata),
            expires_at: Some(row.expires_at),
        }
    }
}

impl From<CompleteUpload> for Upload {
    fn from(video: CompleteUpload) -> Self {
        let length = video.original_bytes.try_into().unwrap_or_default();
        Self {
            video: video.id,
            title: video.title,
            length,
            offset: length,
            metadata: None,
            expires_at: None,
        }
    }
}

/// Removes the files of an open upload, then its row, unless another writer took it over.
pub async fn discard(backends: &Backends, row: &OpenUpload) -> anyhow::Result<()> {
    let progress = progress(row)?;
    let key = StorageKey::Original(row.video_id);
    backends.storage.discard(key, &progress).await?;
    db::with_timeout(async {
        let mut connection = backends.db.connection().await?;
        let removed = rows::remove(&mut connection, row.video_id, row.epoch).await?;
        Ok(removed.is_some())
    })
    .await?;
    Ok(())
}

/// Returns what the row records of the file.
pub fn progress(row: &OpenUpload) -> anyhow::Result<Progress> {
    let parts: Option<_> = serde_json::from_value(row.parts.clone()).context("parts")?;
    Ok(Progress {
        received: u64::try_from(row.received)?,
        parts: parts.unwrap_or_default(),
    })
}

/// Counts an upload that has ended.
pub fn count_end(outcome: &'static str) {
    upload::count_end("resumable", outcome);
}
