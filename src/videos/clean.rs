//! Cleanup of orphaned files (from crashes, deletes and lost attempts) and of expired tokens. Every
//! worker runs it every [`INTERVAL`]. Concurrent runs are harmless.

use std::time::Duration;

use super::{
    attempt_with_outputs,
    queries::{
        self,
        sweeping::{self, OrphanedOutputs},
    },
    remove_files, resumable,
};
use crate::{app::Backends, auth, config::storage::UploadSettings, ids::VideoId};

pub const INTERVAL: Duration = Duration::from_secs(10);

/// Maximum rows of one kind per cleanup.
const BATCH: i64 = 100;

/// Margin after the upload timeout, when no request can finish the upload any more.
const MARGIN: Duration = Duration::from_mins(1);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub uploads: usize,
    /// Videos whose orphaned outputs were removed.
    pub strays: usize,
}

/// Runs one cleanup. A failure of one kind does not stop the others. Returns the first error.
pub async fn run(backends: &Backends, settings: &UploadSettings) -> anyhow::Result<Cleaned> {
    let timeout = settings.upload_timeout + MARGIN;
    let uploads = remove_orphaned_uploads(backends, timeout).await;
    let expired = resumable::remove_expired(backends, BATCH).await;
    let strays = remove_orphaned_outputs(backends, timeout).await;
    forget_tokens(backends).await?;
    forget_creations(backends, settings.upload_expiry).await?;
    Ok(Cleaned {
        uploads: uploads? + expired?,
        strays: strays?,
    })
}

/// Removes the files of unfinished uploads and deletes, including those that a worker stored after
/// the delete, then their rows in `uploads`.
async fn remove_orphaned_uploads(backends: &Backends, timeout: Duration) -> anyhow::Result<usize> {
    let stale = {
        let mut connection = backends.db.connection().await?;
        queries::orphaned_uploads(&mut connection, timeout, BATCH).await?
    };
    let mut result = Ok(stale.len());
    for video in stale {
        // A failed removal must not stop the others.
        if let Err(error) = remove_upload(backends, video).await {
            result = Err(error);
        }
    }
    result
}

async fn remove_upload(backends: &Backends, video: VideoId) -> anyhow::Result<()> {
    remove_files(backends, video).await?;
    tracing::info!(%video, "orphaned upload removed");
    Ok(())
}

/// Removes the outputs of lost attempts, once none of their workers can still be storing.
async fn remove_orphaned_outputs(backends: &Backends, timeout: Duration) -> anyhow::Result<usize> {
    let strays = {
        let mut connection = backends.db.connection().await?;
        sweeping::orphaned_outputs(&mut connection, timeout, BATCH).await?
    };
    let mut result = Ok(strays.len());
    for stray in strays {
        if let Err(error) = remove_outputs(backends, stray).await {
            result = Err(error);
        }
    }
    result
}

async fn remove_outputs(backends: &Backends, stray: OrphanedOutputs) -> anyhow::Result<()> {
    // Leaves the outputs of attempts that began after the row was read.
    let kept = attempt_with_outputs(stray.status, stray.attempt).unwrap_or(stray.attempt + 1);
    let Backends { db, storage, .. } = backends;
    storage.delete_outputs_before(stray.id, kept).await?;
    let mut connection = db.connection().await?;
    sweeping::clear_orphans(&mut connection, stray).await
}

async fn forget_creations(backends: &Backends, expiry: Duration) -> anyhow::Result<()> {
    let mut connection = backends.db.connection().await?;
    queries::resumable::delete_old_keys(&mut connection, expiry).await
}

async fn forget_tokens(backends: &Backends) -> anyhow::Result<()> {
    let mut connection = backends.db.connection().await?;
    auth::queries::delete_expired(&mut connection).await?;
    Ok(())
}
