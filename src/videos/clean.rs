//! Cleaning: files that crashes, deletes and lost attempts left, and tokens that expired. Every worker does it every
//! [`INTERVAL`]; two at once do no harm.

use std::time::Duration;

use super::{
    attempt_with_outputs,
    queries::{
        self,
        jobs::{self, Stray},
    },
    remove_files,
    sweep::Sweeper,
};
use crate::{auth, ids::VideoId};

/// Time between two cleanings.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Most rows of one kind in one cleaning.
const BATCH: i64 = 100;

/// Left-over uploads are removed this much after they timed out, when no request can still finish.
const MARGIN: Duration = Duration::from_mins(1);

/// What a cleaning removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Left-over uploads that were removed.
    pub uploads: usize,
    /// Videos whose lost attempts were cleared away.
    pub strays: usize,
}

/// Cleans once. What fails of one kind does not keep the others. Returns the first error.
pub async fn run(on: &Sweeper<'_>) -> anyhow::Result<Cleaned> {
    let uploads = remove_leftovers(on).await;
    let strays = remove_strays(on).await;
    forget_tokens(on).await?;
    Ok(Cleaned {
        uploads: uploads?,
        strays: strays?,
    })
}

/// Removes the files of uploads and deletes that were not finished, or that a worker stored into after the
/// delete, then their notes.
async fn remove_leftovers(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let timeout = on.upload_timeout + MARGIN;
    let stale = {
        let mut connection = on.db.connection().await?;
        queries::stale_uploads(&mut connection, timeout, BATCH).await?
    };
    let mut result = Ok(stale.len());
    for video in stale {
        // One that cannot be removed must not keep the others.
        if let Err(error) = remove_leftover(on, video).await {
            result = Err(error);
        }
    }
    result
}

async fn remove_leftover(on: &Sweeper<'_>, video: VideoId) -> anyhow::Result<()> {
    remove_files(on.db, on.storage, video).await?;
    tracing::info!(%video, "left-over upload removed");
    Ok(())
}

/// Removes what lost attempts stored, when none of their workers can still be storing.
async fn remove_strays(on: &Sweeper<'_>) -> anyhow::Result<usize> {
    let timeout = on.upload_timeout + MARGIN;
    let strays = {
        let mut connection = on.db.connection().await?;
        jobs::strays(&mut connection, timeout, BATCH).await?
    };
    let mut result = Ok(strays.len());
    for stray in strays {
        if let Err(error) = remove_stray(on, stray).await {
            result = Err(error);
        }
    }
    result
}

async fn remove_stray(on: &Sweeper<'_>, stray: Stray) -> anyhow::Result<()> {
    // Attempts that began since the row was read are none of its business.
    let kept = attempt_with_outputs(stray.status, stray.attempt).unwrap_or(stray.attempt + 1);
    on.storage.delete_outputs_before(stray.id, kept).await?;
    let mut connection = on.db.connection().await?;
    jobs::forget_strays(&mut connection, stray).await
}

async fn forget_tokens(on: &Sweeper<'_>) -> anyhow::Result<()> {
    let mut connection = on.db.connection().await?;
    auth::token::forget_expired(&mut connection).await?;
    Ok(())
}
