//! The storage marker of each folder.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;
use tokio::{fs, task::spawn_blocking};
use uuid::Uuid;

use super::{Folders, cause};
use crate::storage::MARKER_NAME;

impl Folders {
    pub async fn markers(&self) -> anyhow::Result<Vec<(String, Option<Uuid>)>> {
        let mut markers = Vec::new();
        for (_, folder) in self.places() {
            let file = folder.join(MARKER_NAME);
            let name = file.display().to_string();
            let marker = match fs::read_to_string(&file).await {
                Ok(text) => {
                    let place = || format!("{name}: parse the installation id");
                    Some(Uuid::try_parse(text.trim()).with_context(place)?)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error).with_context(|| format!("read {name}")),
            };
            markers.push((name, marker));
        }
        Ok(markers)
    }

    pub async fn write_markers(&self, id: Uuid) -> anyhow::Result<()> {
        for (variable, folder) in self.places() {
            let place = folder.clone();
            let written = spawn_blocking(move || write(&place, id)).await?;
            let file = || format!("{MARKER_NAME} in {variable}={}", folder.display());
            written.map_err(|error| cause(file(), error))?;
        }
        Ok(())
    }
}

/// Writes the marker atomically, unless it exists.
fn write(folder: &Path, id: Uuid) -> io::Result<()> {
    let file = folder.join(MARKER_NAME);
    if file.try_exists()? {
        return Ok(());
    }
    let mut part = tempfile::Builder::new()
        .prefix(MARKER_NAME)
        .tempfile_in(folder)?;
    writeln!(part, "{id}")?;
    part.as_file().sync_all()?;
    match part.persist_noclobber(&file) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}
