//! One private folder per job on the configured disk, removed however the job ends.
//!
//! Its worker holds an advisory lock on it. The kernel releases the lock with the process, so
//! workers remove exactly the orphaned folders of killed workers, even when several workers, or
//! several containers with their own process ids, share the disk.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use rustix::fs::{FlockOperation, flock, statvfs};
use tempfile::TempDir;

const PREFIX: &str = "job-";

/// Subfolder in which programs may write. Files outside it may be hard links to originals.
const OUTPUTS: &str = "out";

/// Number of bytes that the probe writes; a full disk has no room for them.
const PROBE_BYTES: usize = 256 * 1024;

/// Minimum space that a job needs (bytes), for the parts of a clip and the clip.
const MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// The worker that creates a younger folder may not have locked it yet.
const MIN_ORPHAN_AGE: Duration = Duration::from_mins(1);

/// A job's folder; dropping it removes it.
#[derive(Debug)]
pub struct Scratch {
    // Declared before the lock, so that the folder is removed while the lock is held.
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Creates a folder under `root` that only this user can read.
    pub fn create(root: &Path) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix_in(PREFIX, root)
            .with_context(|| format!("create a folder in {} (SCRATCH_PATH)", root.display()))?;
        let lock = File::open(folder.path()).context("open the scratch folder")?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).context("lock scratch folder")?;
        fs::create_dir(folder.path().join(OUTPUTS)).context("create the folder of outputs")?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of the file `name` in this folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the subfolder in which programs may write.
    pub fn outputs(&self) -> PathBuf {
        self.folder.path().join(OUTPUTS)
    }
}

/// Returns the size of a file.
pub fn file_size(file: &Path) -> anyhow::Result<u64> {
    let metadata = fs::metadata(file);
    let metadata = metadata.with_context(|| format!("inspect {}", file.display()))?;
    Ok(metadata.len())
}

/// Returns an error unless `root` is writable and has room for a job.
pub fn probe(root: &Path) -> anyhow::Result<()> {
    let place = || format!("SCRATCH_PATH={}", root.display());
    let written = || {
        let mut file = tempfile::tempfile_in(root)?;
        file.write_all(&vec![0; PROBE_BYTES])
    };
    written().with_context(place)?;
    let space = statvfs(root).with_context(place)?;
    let free = space.f_bavail * space.f_frsize;
    ensure!(
        free >= MIN_FREE_BYTES,
        "{}: only {free} bytes are free",
        place()
    );
    Ok(())
}

/// Creates `root` and removes orphaned folders from it.
pub fn open_root(root: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .with_context(|| format!("create {} (SCRATCH_PATH)", root.display()))?;
    clear(root)
}

/// Removes the orphaned folders of killed workers from `root`.
pub fn clear(root: &Path) -> anyhow::Result<()> {
    let removed = remove_orphans(root, MIN_ORPHAN_AGE)
        .with_context(|| format!("read {} (SCRATCH_PATH)", root.display()))?;
    if removed > 0 {
        tracing::info!(removed, "removed scratch folders of killed workers");
    }
    Ok(())
}

fn remove_orphans(root: &Path, min_age: Duration) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        if !ours || !is_orphaned(&entry.path(), min_age) {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(
                    folder = %entry.path().display(),
                    %error,
                    "cannot remove an orphaned scratch folder"
                );
            }
        }
    }
    Ok(removed)
}

fn is_orphaned(folder: &Path, min_age: Duration) -> bool {
    let age = fs::symlink_metadata(folder)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|modified| modified.elapsed().ok());
    let old_enough = age.is_some_and(|age| age >= min_age);
    old_enough
        && File::open(folder)
            .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_removes_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(root.path()).unwrap();
        fs::write(scratch.file("body.mp4"), b"x").unwrap();
        let folder = scratch.path().to_owned();
        assert!(folder.exists());
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn only_orphaned_folders_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let running = Scratch::create(root.path()).unwrap();
        let abandoned = root.path().join("job-abandoned");
        let foreign = root.path().join("holiday-photos");
        fs::create_dir(&abandoned).unwrap();
        fs::write(abandoned.join("body.mp4"), b"x").unwrap();
        fs::create_dir(&foreign).unwrap();

        assert_eq!(remove_orphans(root.path(), Duration::ZERO).unwrap(), 1);

        assert!(running.path().exists() && foreign.exists() && !abandoned.exists());
    }

    #[test]
    fn new_folder_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let new = root.path().join("job-new");
        fs::create_dir(&new).unwrap();
        open_root(root.path()).unwrap();
        assert!(new.exists());
    }

    #[test]
    fn uncreatable_root_names_the_setting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = open_root(&file.path().join("scratch")).unwrap_err();
        assert!(format!("{error:#}").contains("SCRATCH_PATH"));
    }
}
