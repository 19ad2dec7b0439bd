//! Listing what is in the two folders.

use std::{io, path::Path};

use anyhow::Context as _;
use tokio::fs;

use super::{Folders, PART};
use crate::storage::{MARK, StorageKey, Stored};

impl Folders {
    /// Lists all files, also the unfinished ones, but not the marks of the installation.
    pub async fn list(&self) -> anyhow::Result<Vec<Stored>> {
        let mut stored = Vec::new();
        list(&self.uploads, "uploads", &mut stored).await?;
        list(&self.processed, "processed", &mut stored).await?;
        Ok(stored)
    }
}

/// Adds the files below `folder`; their names begin with `prefix`.
async fn list(folder: &Path, prefix: &str, stored: &mut Vec<Stored>) -> anyhow::Result<()> {
    let place = || format!("list {}", folder.display());
    let mut entries = match fs::read_dir(folder).await {
        // Removed meanwhile, with all that was in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(place)?,
    };
    while let Some(entry) = entries.next_entry().await.with_context(place)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(MARK) {
            continue;
        }
        let name = format!("{prefix}/{name}");
        if entry.file_type().await.with_context(place)?.is_dir() {
            Box::pin(list(&entry.path(), &name, stored)).await?;
            continue;
        }
        let finished = name
            .strip_suffix(PART)
            .and_then(|name| name.strip_suffix('.'));
        stored.push(Stored {
            key: StorageKey::parse(finished.unwrap_or(&name)),
            is_finished: finished.is_none(),
            name,
        });
    }
    Ok(())
}
