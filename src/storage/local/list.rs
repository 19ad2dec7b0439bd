//! Listing of the files in both folders.

use std::{io, path::Path};

use anyhow::Context as _;
use tokio::fs;

use super::{Folders, PART};
use crate::storage::{MARKER_NAME, StorageKey, Stored};

impl Folders {
    /// Lists all finished and unfinished files, except the storage markers.
    pub async fn list(&self, visit: &mut (dyn FnMut(Stored) + Send)) -> anyhow::Result<()> {
        list(&self.uploads, "uploads", visit).await?;
        list(&self.processed, "processed", visit).await
    }
}

/// Visits the files below `folder`, with `prefix` in front of their names.
async fn list(
    folder: &Path,
    prefix: &str,
    visit: &mut (dyn FnMut(Stored) + Send),
) -> anyhow::Result<()> {
    let place = || format!("list {}", folder.display());
    let mut entries = match fs::read_dir(folder).await {
        // The folder was removed concurrently.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(place)?,
    };
    while let Some(entry) = entries.next_entry().await.with_context(place)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(MARKER_NAME) {
            continue;
        }
        let name = format!("{prefix}/{name}");
        if entry.file_type().await.with_context(place)?.is_dir() {
            Box::pin(list(&entry.path(), &name, visit)).await?;
            continue;
        }
        let finished = name
            .strip_suffix(PART)
            .and_then(|name| name.strip_suffix('.'));
        visit(Stored {
            key: StorageKey::parse(finished.unwrap_or(&name)),
            is_finished: finished.is_none(),
            name,
        });
    }
    Ok(())
}
