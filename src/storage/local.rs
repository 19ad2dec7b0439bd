//! Storage in two folders. A file is written beside its final name, synced, then renamed: a reader
//! sees all of it or nothing, also after a power cut.

mod list;
mod mark;

use std::{
    fmt::Display,
    fs::File,
    io::{self, IoSlice, Write as _},
    mem,
    num::NonZeroU64,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use bytes::Bytes;
use rustix::fs::{Advice, fadvise};
use tokio::{
    fs,
    task::{JoinHandle, spawn_blocking},
};

use super::{Full, Missing, StorageKey, key::attempt_of};
use crate::{config::storage::Settings, ids::VideoId};

/// Collects small network reads into few large writes (bytes). While one is written, the next is collected.
const BUFFER_BYTES: u64 = 256 * 1024;

/// Most network reads that are collected: who sends byte by byte does not fill memory with what goes with each.
const MOST_READS: usize = 64;

/// After so many bytes the disk begins with them, while more arrive (bytes). Else it begins at the end, and the
/// client waits for all of it.
const BEHIND_BYTES: u64 = 8 * 1024 * 1024;

/// Ends the name of a file that is still being written.
const PART: &str = "part";

/// What a folder must have room for to be ready: as much as is written at a time (bytes).
const PROBE_BYTES: usize = 256 * 1024;

/// The two folders.
#[derive(Debug, Clone)]
pub struct Folders {
    uploads: PathBuf,
    processed: PathBuf,
}

/// A file that is being written; dropped early, it removes itself.
pub struct Upload {
    key: StorageKey,
    file: Arc<File>,
    /// What arrived and is to be written, as it arrived: copied together it cost a tenth of an upload.
    collected: Vec<Bytes>,
    collected_bytes: u64,
    writing: Option<JoinHandle<io::Result<()>>>,
    /// What the disk was not asked to begin with yet.
    behind: Range<u64>,
    part: Part,
}

/// The unfinished file's path, removed on drop unless it was renamed.
struct Part {
    path: PathBuf,
    is_finished: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished file stays behind");
        }
    }
}

impl Folders {
    /// Makes the folders if they are not there, and checks that files can be made in them. A full disk stops no
    /// start: what is on it can be served.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let folders = Self::at(settings);
        for (variable, folder) in folders.places() {
            fs::create_dir_all(folder)
                .await
                .with_context(|| format!("{variable}={}: make the folder", folder.display()))?;
        }
        folders.probe(0).await?;
        Ok(folders)
    }

    /// Checks that the folders are there, and makes none: where a disk is not mounted, all files seem to be gone.
    pub async fn inspect(settings: &Settings) -> anyhow::Result<Self> {
        let folders = Self::at(settings);
        for (variable, folder) in folders.places() {
            let place = || format!("{variable}={}: look into the folder", folder.display());
            drop(fs::read_dir(folder).await.with_context(place)?);
        }
        Ok(folders)
    }

    fn at(settings: &Settings) -> Self {
        Self {
            uploads: settings.upload_path.clone(),
            processed: settings.processed_path.clone(),
        }
    }

    /// Returns both folders, with the variables that name them.
    fn places(&self) -> [(&'static str, &PathBuf); 2] {
        [
            ("UPLOAD_PATH", &self.uploads),
            ("PROCESSED_PATH", &self.processed),
        ]
    }

    /// Returns where the file under `key` is kept.
    pub fn path(&self, key: StorageKey) -> PathBuf {
        let folder = match key {
            StorageKey::Original(_) => &self.uploads,
            StorageKey::Clip(..) | StorageKey::Poster(..) => &self.processed,
        };
        folder.join(key.name())
    }

    fn outputs(&self, video: VideoId) -> PathBuf {
        self.processed.join(video.to_string())
    }

    pub async fn create(&self, key: StorageKey) -> anyhow::Result<Upload> {
        let path = part_path(&self.path(key));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .await
                .map_err(|error| cause(key, error))?;
        }
        let file = fs::File::create(&path)
            .await
            .map_err(|error| cause(key, error))?;
        Ok(Upload {
            key,
            file: Arc::new(file.into_std().await),
            collected: Vec::new(),
            collected_bytes: 0,
            writing: None,
            behind: 0..0,
            part: Part {
                path,
                is_finished: false,
            },
        })
    }

    pub async fn store(&self, key: StorageKey, from: &Path) -> anyhow::Result<u64> {
        let upload = self.create(key).await?;
        let (from, file) = (from.to_owned(), Arc::clone(&upload.file));
        let copy = move || {
            let mut source =
                File::open(&from).with_context(|| format!("open {}", from.display()))?;
            io::copy(&mut source, &mut &*file).map_err(|error| cause(key, error))
        };
        let bytes = spawn_blocking(copy).await??;
        upload.finish().await?;
        Ok(bytes)
    }

    /// Links the file, which costs nothing; copies it where the two places are on different disks.
    pub async fn fetch(&self, key: StorageKey, to: &Path) -> anyhow::Result<()> {
        let from = self.path(key);
        match fs::hard_link(&from, to).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => {
                Err(error).context(Missing(key))
            }
            Err(_) => fs::copy(&from, to)
                .await
                .map(drop)
                .with_context(|| format!("copy {key}")),
        }
    }

    pub async fn delete_video(&self, video: VideoId) -> anyhow::Result<()> {
        let original = self.path(StorageKey::Original(video));
        remove_file(&part_path(&original)).await?;
        remove_file(&original).await?;
        let outputs = self.outputs(video);
        gone_is_fine(fs::remove_dir_all(&outputs).await)
            .with_context(|| format!("delete {}", outputs.display()))
    }

    pub async fn delete_outputs(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        for key in [
            StorageKey::Clip(video, attempt),
            StorageKey::Poster(video, attempt),
        ] {
            let path = self.path(key);
            remove_file(&part_path(&path)).await?;
            remove_file(&path).await?;
        }
        // Succeeds only for an empty folder, that is when no other attempt left anything.
        drop(fs::remove_dir(self.outputs(video)).await);
        Ok(())
    }

    pub async fn delete_outputs_before(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        let folder = self.outputs(video);
        let mut files = match fs::read_dir(&folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files.with_context(|| format!("list {}", folder.display()))?,
        };
        while let Some(file) = files.next_entry().await? {
            let made_by = file.file_name().to_str().and_then(attempt_of);
            if made_by.is_some_and(|made_by| made_by < attempt) {
                remove_file(&file.path()).await?;
            }
        }
        Ok(())
    }

    /// Writes a file in each folder and syncs it: a full disk takes empty files.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.probe(PROBE_BYTES).await
    }

    /// Writes a file of `bytes` without a name in each folder, so that a killed process leaves none.
    async fn probe(&self, bytes: usize) -> anyhow::Result<()> {
        for (variable, folder) in self.places() {
            let place = folder.clone();
            let write = move || {
                let mut file = tempfile::tempfile_in(place)?;
                file.write_all(&vec![0; bytes])?;
                file.sync_all()
            };
            spawn_blocking(write)
                .await?
                .with_context(|| format!("{variable}={}: write to the folder", folder.display()))?;
        }
        Ok(())
    }
}

impl Upload {
    pub async fn write(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        self.collected_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.collected.push(bytes);
        if self.collected_bytes < BUFFER_BYTES && self.collected.len() < MOST_READS {
            return Ok(());
        }
        let flushed = self.flush().await;
        flushed.map_err(|error| cause(self.key, error))
    }

    pub async fn finish(mut self) -> anyhow::Result<()> {
        let finished = async {
            self.flush().await?;
            self.written().await?;
            let file = Arc::clone(&self.file);
            spawn_blocking(move || file.sync_all()).await??;
            let path = self.part.path.with_extension("");
            fs::rename(&self.part.path, &path).await?;
            self.part.is_finished = true;
            // The rename is durable once the folder is.
            match path.parent() {
                Some(folder) => fs::File::open(folder).await?.sync_all().await,
                None => Ok(()),
            }
        };
        let finished = finished.await;
        finished.map_err(|error: io::Error| cause(self.key, error))
    }

    /// Begins to write what was collected, once what was collected before is written.
    async fn flush(&mut self) -> io::Result<()> {
        self.written().await?;
        let (file, collected) = (Arc::clone(&self.file), mem::take(&mut self.collected));
        let end = self.behind.end + mem::take(&mut self.collected_bytes);
        self.behind.end = end;
        let is_due = end - self.behind.start >= BEHIND_BYTES;
        let due = is_due.then(|| mem::replace(&mut self.behind, end..end));
        self.writing = Some(spawn_blocking(move || {
            write_all(&file, &collected)?;
            if let Some(due) = due {
                begin_writeback(&file, &due);
            }
            Ok(())
        }));
        Ok(())
    }

    async fn written(&mut self) -> io::Result<()> {
        match self.writing.take() {
            Some(writing) => writing.await?,
            None => Ok(()),
        }
    }
}

fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Has the disk begin with a part of the file, and does not wait for it. `POSIX_FADV_DONTNEED` does that, before it
/// drops what is on the disk already (its manual page says so): of this part nothing. Where it cannot, the disk begins
/// at the end.
fn begin_writeback(file: &File, part: &Range<u64>) {
    let length = NonZeroU64::new(part.end - part.start);
    if let Err(error) = fadvise(file, part.start, length, Advice::DontNeed) {
        tracing::debug!(%error, "the disk is not told to begin");
    }
}

fn part_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PART);
    PathBuf::from(name)
}

/// Tells a full disk from other causes: callers answer differently.
fn cause(file: impl Display, error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            anyhow::Error::new(error).context(Full(file.to_string()))
        }
        _ => anyhow::Error::new(error).context(format!("store {file}")),
    }
}

async fn remove_file(path: &Path) -> anyhow::Result<()> {
    gone_is_fine(fs::remove_file(path).await).with_context(|| format!("delete {}", path.display()))
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
