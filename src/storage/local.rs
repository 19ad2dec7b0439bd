//! Storage in two folders. A file is written under a temporary name, synced, then renamed, so a
//! reader sees all of it or nothing, even after a power failure.

mod list;
mod marker;
mod resume;

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

/// Size of a write (bytes). Small network reads are combined into few large writes. While one is
/// written, the next is collected.
const BUFFER_BYTES: u64 = 256 * 1024;

/// Maximum number of buffered reads. Bounds the overhead per read when a client sends tiny chunks.
const MAX_BUFFERED_READS: usize = 64;

/// Amount of data after which writeback to disk starts, while more arrives (bytes). Otherwise it
/// would start at the final sync, and the client would wait for all of it.
const WRITEBACK_BYTES: u64 = 8 * 1024 * 1024;

/// Extension of an unfinished file.
const PART: &str = "part";

/// Free space that a ready folder must have, the size of one write (bytes).
const PROBE_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone)]
pub struct Folders {
    uploads: PathBuf,
    processed: PathBuf,
}

/// A file being written, removed if dropped unfinished.
pub struct NewFile {
    key: StorageKey,
    file: Arc<File>,
    /// Received chunks. Copying them into one buffer took a tenth of an upload's time.
    collected: Vec<Bytes>,
    collected_bytes: u64,
    writing: Option<JoinHandle<io::Result<()>>>,
    /// Range whose writeback has not been started.
    unsynced: Range<u64>,
    part: PartFile,
}

/// An unfinished file, removed on drop unless it was renamed or may be resumed.
struct PartFile {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "failed to remove unfinished file");
        }
    }
}

impl Folders {
    /// Creates missing folders and checks that files can be created in them. A full disk does not
    /// prevent the start, because stored files can still be served.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let folders = Self::at(settings);
        for (variable, folder) in folders.places() {
            fs::create_dir_all(folder)
                .await
                .with_context(|| format!("{variable}={}: create the folder", folder.display()))?;
        }
        folders.probe(0).await?;
        Ok(folders)
    }

    /// Checks that the folders exist, and creates none. If a disk is not mounted, all files would
    /// appear to be missing.
    pub async fn inspect(settings: &Settings) -> anyhow::Result<Self> {
        let folders = Self::at(settings);
        for (variable, folder) in folders.places() {
            let place = || format!("{variable}={}: read the folder", folder.display());
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

    /// Returns both folders, each with its environment variable.
    fn places(&self) -> [(&'static str, &PathBuf); 2] {
        [
            ("UPLOAD_PATH", &self.uploads),
            ("PROCESSED_PATH", &self.processed),
        ]
    }

    pub fn path(&self, key: StorageKey) -> PathBuf {
        let folder = match key.attempt() {
            None => &self.uploads,
            Some(_) => &self.processed,
        };
        folder.join(key.name())
    }

    fn outputs(&self, video: VideoId) -> PathBuf {
        self.processed.join(video.to_string())
    }

    pub async fn create(&self, key: StorageKey) -> anyhow::Result<NewFile> {
        let path = part_path(&self.path(key));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .await
                .map_err(|error| cause(key, error))?;
        }
        let file = fs::File::create(&path)
            .await
            .map_err(|error| cause(key, error))?;
        Ok(NewFile {
            key,
            file: Arc::new(file.into_std().await),
            collected: Vec::new(),
            collected_bytes: 0,
            writing: None,
            unsynced: 0..0,
            part: PartFile {
                path,
                is_kept: false,
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

    /// Hard-links the file, or copies it if source and target are on different disks.
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
        ignore_not_found(fs::remove_dir_all(&outputs).await)
            .with_context(|| format!("delete {}", outputs.display()))
    }

    pub async fn delete_outputs(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        for key in StorageKey::outputs(video, attempt) {
            let path = self.path(key);
            remove_file(&part_path(&path)).await?;
            remove_file(&path).await?;
        }
        // Succeeds only for an empty folder, that is, without files of other attempts.
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

    /// Writes and syncs a non-empty file in each folder, because a full disk accepts empty files.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.probe(PROBE_BYTES).await
    }

    /// Writes an unnamed file of `bytes` in each folder. A killed process leaves none behind.
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

impl NewFile {
    pub async fn write(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        self.collected_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.collected.push(bytes);
        if self.collected_bytes < BUFFER_BYTES && self.collected.len() < MAX_BUFFERED_READS {
            return Ok(());
        }
        let flushed = self.flush().await;
        flushed.map_err(|error| cause(self.key, error))
    }

    pub async fn finish(mut self) -> anyhow::Result<()> {
        let finished = async {
            self.flush().await?;
            self.wait_for_write().await?;
            let file = Arc::clone(&self.file);
            spawn_blocking(move || file.sync_all()).await??;
            let path = self.part.path.with_extension("");
            fs::rename(&self.part.path, &path).await?;
            self.part.is_kept = true;
            // The rename is durable once the folder is synced.
            match path.parent() {
                Some(folder) => fs::File::open(folder).await?.sync_all().await,
                None => Ok(()),
            }
        };
        let finished = finished.await;
        finished.map_err(|error: io::Error| cause(self.key, error))
    }

    /// Starts writing the collected chunks, after waiting for the previous write.
    async fn flush(&mut self) -> io::Result<()> {
        self.wait_for_write().await?;
        let (file, collected) = (Arc::clone(&self.file), mem::take(&mut self.collected));
        let end = self.unsynced.end + mem::take(&mut self.collected_bytes);
        self.unsynced.end = end;
        let is_due = end - self.unsynced.start >= WRITEBACK_BYTES;
        let due = is_due.then(|| mem::replace(&mut self.unsynced, end..end));
        self.writing = Some(spawn_blocking(move || {
            write_all(&file, &collected)?;
            if let Some(due) = due {
                begin_writeback(&file, &due);
            }
            Ok(())
        }));
        Ok(())
    }

    async fn wait_for_write(&mut self) -> io::Result<()> {
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

/// Starts writeback of a range of the file without waiting for it. `POSIX_FADV_DONTNEED` does that
/// before it drops the pages that are already on disk (see its manual page), of which this range
/// has none. If it fails, writeback starts at the final sync.
fn begin_writeback(file: &File, range: &Range<u64>) {
    let length = NonZeroU64::new(range.end - range.start);
    if let Err(error) = fadvise(file, range.start, length, Advice::DontNeed) {
        tracing::debug!(%error, "failed to start writeback");
    }
}

fn part_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PART);
    PathBuf::from(name)
}

/// Distinguishes a full disk from other errors, because callers respond differently.
fn cause(file: impl Display, error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            anyhow::Error::new(error).context(Full(file.to_string()))
        }
        _ => anyhow::Error::new(error).context(format!("store {file}")),
    }
}

async fn remove_file(path: &Path) -> anyhow::Result<()> {
    ignore_not_found(fs::remove_file(path).await)
        .with_context(|| format!("delete {}", path.display()))
}

fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
