//! Files that are received over several requests. Their lock ends with the process that holds it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tokio::{task::spawn_blocking, time::sleep};

use super::{Folders, NewFile, PartFile, cause, part_path, remove_file};
use crate::storage::{Busy, Full, Missing, StorageKey};

/// Maximum time to wait for the lock of the previous writer, which may be another process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

const LOCK_INTERVAL: Duration = Duration::from_millis(50);

enum Opened {
    File(File),
    /// The previous writer still has it.
    Locked,
    /// It has fewer bytes than were durable.
    Lost,
}

impl Folders {
    /// Continues the unfinished file under `key` after its first `received` bytes, and discards the
    /// others. Returns [`Busy`] if its previous writer does not end, and [`Missing`] if bytes are
    /// lost.
    pub async fn resume(&self, key: StorageKey, received: u64) -> anyhow::Result<NewFile> {
        let path = self.path(key);
        let part = part_path(&path);
        let deadline = Instant::now() + LOCK_TIMEOUT;
        let file = loop {
            let (path, part) = (path.clone(), part.clone());
            let opened = spawn_blocking(move || open(&path, &part, received)).await?;
            match opened.map_err(|error| cause(key, error))? {
                Opened::File(file) => break file,
                Opened::Locked if Instant::now() < deadline => sleep(LOCK_INTERVAL).await,
                Opened::Locked => return Err(Busy(key).into()),
                Opened::Lost => return Err(Missing(key).into()),
            }
        };
        Ok(NewFile {
            key,
            file: Arc::new(file),
            collected: Vec::new(),
            collected_bytes: 0,
            writing: None,
            unsynced: received..received,
            part: PartFile {
                path: part,
                is_kept: true,
            },
        })
    }

    /// Returns [`Full`] unless the disk has `length` free bytes.
    pub async fn check_space(&self, key: StorageKey, length: u64) -> anyhow::Result<()> {
        let folder = self.uploads.clone();
        let disk = spawn_blocking(move || rustix::fs::statvfs(&folder)).await?;
        let disk = disk.map_err(|error| cause(key, error.into()))?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < length {
            return Err(Full(key.to_string()).into());
        }
        Ok(())
    }

    pub async fn remove_unfinished(&self, key: StorageKey) -> anyhow::Result<()> {
        remove_file(&part_path(&self.path(key))).await
    }
}

impl NewFile {
    /// Returns the first `bytes` bytes, which must be durable.
    pub async fn read_start(&self, bytes: u64) -> anyhow::Result<Vec<u8>> {
        let file = Arc::clone(&self.file);
        let read = move || {
            let mut start = vec![0; usize::try_from(bytes).unwrap_or_default()];
            file.read_exact_at(&mut start, 0).map(|()| start)
        };
        let start = spawn_blocking(read).await?;
        start.map_err(|error| cause(self.key, error))
    }

    /// Makes all written bytes durable. Returns their number.
    pub async fn checkpoint(&mut self) -> anyhow::Result<u64> {
        let synced = async {
            self.flush().await?;
            self.wait_for_write().await?;
            let file = Arc::clone(&self.file);
            spawn_blocking(move || file.sync_data()).await?
        };
        let synced: io::Result<()> = synced.await;
        synced.map_err(|error| cause(self.key, error))?;
        Ok(self.unsynced.end)
    }
}

fn open(path: &Path, part: &Path, received: u64) -> io::Result<Opened> {
    if !part.try_exists()? {
        // A process that was killed before its commit may have finished the file.
        match fs::rename(path, part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
    }
    let mut file = match open_part(part, received == 0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Lost),
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(Opened::Locked),
        locked => locked?,
    }
    let own = file.metadata()?;
    // The previous writer may have finished the file before its lock ended.
    let is_same = |named: fs::Metadata| (named.dev(), named.ino()) == (own.dev(), own.ino());
    if !fs::metadata(part).is_ok_and(is_same) {
        return Ok(Opened::Locked);
    }
    if own.len() < received {
        return Ok(Opened::Lost);
    }
    file.set_len(received)?;
    file.seek(SeekFrom::End(0))?;
    Ok(Opened::File(file))
}

/// Opens the file for writing. If it is created, its name is durable.
fn open_part(part: &Path, is_new: bool) -> io::Result<File> {
    let folder = part.parent().filter(|_| is_new);
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(is_new)
        .truncate(false)
        .open(part)?;
    if let Some(folder) = folder {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}
