//! Admits jobs so that concurrent jobs never need more memory than this machine has for them.
//!
//! A job that fits enters at once; otherwise it waits, first come, first served. As many jobs run
//! as fit: on 2 GiB four of 1080 lines, or one of 10-bit 4K with two or three of those.
//!
//! All workers that share `SCRATCH_PATH` share the memory. In its folder `admission` each running
//! job locks a file whose name states its need. The next job locks the folder itself until it is
//! admitted. The kernel releases both locks with the process, so a killed worker blocks no job.

mod limits;

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::{sync::Mutex, task::spawn_blocking, time::sleep};

use crate::{
    config::Switch,
    media::{
        input::{colour::Transfer, probe::Video},
        target::Target,
    },
};

const MEBIBYTE: u64 = 1024 * 1024;

const FOLDER: &str = "admission";

/// Interval between reads of the folder; processes do not notify each other.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Memory of an encoding run without its source's pictures: programs, encoder and lookahead.
const BASE: u64 = 180 * MEBIBYTE;

/// Memory that the light rendition adds: its encoder with its lookahead.
const LIGHT_RENDITION: u64 = 40 * MEBIBYTE;

/// Memory that tone mapping adds; it uses three floats per pixel.
const TONE_MAPPING: u64 = 70 * MEBIBYTE;

/// Source pictures in memory at once: sixteen reference pictures and those in transit.
const PICTURES: u64 = 24;

/// Returns the maximum memory for encoding a source (`docs/media.md` has the measurements).
pub fn need(video: &Video, target: Target) -> u64 {
    let bits = u64::from(video.width) * u64::from(video.height) * u64::from(video.pixel_bits);
    // Each thread decodes its own picture.
    let more = u64::try_from(target.threads).unwrap_or(1).saturating_sub(1) * 2;
    let tone_mapping = match video.tags.colour().transfer {
        Transfer::Sdr => 0,
        Transfer::Hlg | Transfer::Pq => TONE_MAPPING,
    };
    let light = match target.light {
        Switch::On => LIGHT_RENDITION,
        Switch::Off => 0,
    };
    BASE + light + tone_mapping + (PICTURES + more) * bits / 8
}

/// Memory budget of all running jobs on this machine.
#[derive(Debug)]
pub struct Admission {
    folder: PathBuf,
    /// In mebibytes, like all needs.
    budget: u64,
    /// Queues the waiting jobs of this process; the mutex is fair.
    waiting: Mutex<()>,
}

impl Admission {
    /// Budgets three quarters of this machine's memory, or of what this process may use of it. The
    /// rest is for other processes and the page cache.
    pub fn of_this_machine(scratch_root: &Path) -> Self {
        let bytes = limits::process_memory_limit().unwrap_or(2048 * MEBIBYTE);
        Self::of(bytes / 4 * 3, scratch_root)
    }

    fn of(bytes: u64, scratch_root: &Path) -> Self {
        Self {
            folder: scratch_root.join(FOLDER),
            budget: bytes / MEBIBYTE,
            waiting: Mutex::default(),
        }
    }

    /// Waits until a job that needs `bytes` fits next to the running jobs. A job that exceeds the
    /// budget runs alone.
    pub async fn enter(&self, bytes: u64) -> anyhow::Result<MemoryPermit> {
        let (need, budget) = (bytes.div_ceil(MEBIBYTE), self.budget);
        let _first_here = self.waiting.lock().await;
        let head = loop {
            let folder = self.folder.clone();
            match spawn_blocking(move || Head::claim(folder)).await?? {
                Some(head) => break Arc::new(head),
                None => sleep(POLL_INTERVAL).await,
            }
        };
        loop {
            let head = Arc::clone(&head);
            match spawn_blocking(move || head.admit(need, budget)).await?? {
                Some(permit) => return Ok(permit),
                None => sleep(POLL_INTERVAL).await,
            }
        }
    }
}

/// The head of the queue across all processes; only the job that holds it can be admitted.
#[derive(Debug)]
struct Head {
    folder: PathBuf,
    lock: File,
}

impl Head {
    /// Takes the head of the queue unless another job holds it.
    fn claim(folder: PathBuf) -> anyhow::Result<Option<Self>> {
        let lock = open(&folder).with_context(|| about("open", &folder))?;
        let is_free = try_lock(&lock).with_context(|| about("lock", &folder))?;
        Ok(is_free.then_some(Self { folder, lock }))
    }

    /// Admits the job if it fits next to the running jobs, or if none is running.
    fn admit(&self, need: u64, budget: u64) -> anyhow::Result<Option<MemoryPermit>> {
        let taken = taken(&self.folder).with_context(|| about("read", &self.folder))?;
        if taken > 0 && taken.saturating_add(need) > budget {
            return Ok(None);
        }
        let permit = MemoryPermit::take(&self.folder, need);
        permit
            .map(Some)
            .with_context(|| about("create a file in", &self.folder))
    }
}

/// Unlocks explicitly, like [`MemoryPermit`]. Closing alone would keep the lock while a program that
/// is being started holds a copy of the file descriptor.
impl Drop for Head {
    fn drop(&mut self) {
        unlock(&self.lock);
    }
}

/// A job's share of the memory, released on drop.
#[derive(Debug)]
pub struct MemoryPermit {
    file: PathBuf,
    lock: File,
}

impl MemoryPermit {
    fn take(folder: &Path, need: u64) -> anyhow::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(&format!("{need}-"))
            .tempfile_in(folder)?;
        // Only the job at the head of the queue reads these files, and that is this job.
        file.as_file().try_lock()?;
        let (lock, file) = file.keep()?;
        Ok(Self { file, lock })
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        unlock(&self.lock);
        // The next job may have removed it already.
        drop(fs::remove_file(&self.file));
    }
}

/// Opens the folder and creates it if necessary; clearing the scratch folder may remove it.
fn open(folder: &Path) -> io::Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    File::open(folder)
}

/// Returns the total need of all running jobs, and removes the files of killed jobs.
fn taken(folder: &Path) -> io::Result<u64> {
    let mut taken: u64 = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(need) = need_in(entry.file_name().to_str()) else {
            continue;
        };
        match File::open(entry.path()) {
            Ok(file) if !try_lock(&file)? => taken = taken.saturating_add(need),
            // Its process has ended.
            Ok(_free) => remove(&entry.path())?,
            // Its job has just ended.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

/// Parses the need from a file name such as `250-k3jY9w`.
fn need_in(name: Option<&str>) -> Option<u64> {
    name?.split_once('-')?.0.parse().ok()
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the lock if it is free, and returns whether it was.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn unlock(file: &File) {
    if let Err(error) = file.unlock() {
        tracing::warn!(%error, "cannot release an admission lock before this process ends");
    }
}

fn about(what: &str, folder: &Path) -> String {
    format!("{what} {} (SCRATCH_PATH)", folder.display())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        os::unix::fs::PermissionsExt,
        process::{Child, Command, Stdio},
    };

    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;

    const LIGHT: u64 = 250 * MEBIBYTE;
    const HEAVY: u64 = 800 * MEBIBYTE;

    /// Returns an admission as created by a separate process.
    fn admission(root: &TempDir, mebibytes: u64) -> Admission {
        Admission::of(mebibytes * MEBIBYTE, root.path())
    }

    async fn entered(admission: &Admission, bytes: u64) -> MemoryPermit {
        let entered = timeout(Duration::from_secs(20), admission.enter(bytes)).await;
        entered.expect("still waiting").unwrap()
    }

    async fn waits(admission: &Admission, bytes: u64) -> bool {
        timeout(POLL_INTERVAL * 2, admission.enter(bytes))
            .await
            .is_err()
    }

    fn files(root: &TempDir) -> usize {
        fs::read_dir(root.path().join(FOLDER)).unwrap().count()
    }

    #[tokio::test]
    async fn small_machine_fits_four_light_jobs_or_one_heavy_and_two_light() {
        let root = tempfile::tempdir().unwrap();
        let small = admission(&root, 1500);
        let mut light = Vec::new();
        for _ in 0..4 {
            light.push(entered(&small, LIGHT).await);
        }
        assert!(waits(&small, HEAVY).await);
        light.truncate(2);
        let heavy = entered(&small, HEAVY).await;
        assert!(waits(&small, HEAVY).await);
        drop((light, heavy));
        entered(&small, HEAVY).await;
        assert_eq!(files(&root), 0);
    }

    #[tokio::test]
    async fn job_beyond_the_budget_runs_alone() {
        let root = tempfile::tempdir().unwrap();
        let tiny = admission(&root, 400);
        let heavy = entered(&tiny, HEAVY).await;
        assert!(waits(&tiny, 1).await);
        drop(heavy);
        entered(&tiny, 1).await;
    }

    #[tokio::test]
    async fn workers_on_one_machine_share_its_memory() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (admission(&root, 1500), admission(&root, 1500));
        let heavy = entered(&one, HEAVY).await;
        let light = entered(&other, LIGHT).await;
        assert!(waits(&other, HEAVY).await);
        // Neither process counts the cancelled job.
        let second = entered(&one, LIGHT).await;
        let third = async {
            sleep(POLL_INTERVAL).await;
            drop(heavy);
        };
        let (late, ()) = tokio::join!(entered(&other, HEAVY), third);
        assert!(waits(&one, HEAVY).await);
        drop((light, second, late));
    }

    #[tokio::test]
    async fn light_job_waits_behind_a_heavy_one() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (admission(&root, 1000), admission(&root, 1000));
        let light = entered(&one, LIGHT).await;
        let mut heavy = Box::pin(one.enter(HEAVY));
        assert!(timeout(POLL_INTERVAL, &mut heavy).await.is_err());
        assert!(waits(&one, LIGHT).await, "this process's job passes");
        assert!(waits(&other, LIGHT).await, "another process's job passes");
        drop(light);
        let heavy = timeout(Duration::from_secs(20), heavy).await;
        assert!(waits(&other, LIGHT).await, "both fit");
        drop(heavy);
        entered(&other, LIGHT).await;
    }

    #[tokio::test]
    async fn killed_process_holds_no_memory() {
        let root = tempfile::tempdir().unwrap();
        let here = admission(&root, 1000);
        drop(entered(&here, LIGHT).await);
        let folder = root.path().join(FOLDER);
        fs::write(folder.join("900-long-dead"), "").unwrap();
        fs::write(folder.join("notes"), "").unwrap();
        let file = folder.join("800-of-a-process");
        let mut job = hold(&file);
        entered(&here, 200 * MEBIBYTE).await;
        assert!(waits(&here, LIGHT).await);
        job.kill().unwrap();
        job.wait().unwrap();
        entered(&here, LIGHT).await;

        let mut next = hold(&folder);
        assert!(waits(&here, LIGHT).await);
        next.kill().unwrap();
        next.wait().unwrap();
        entered(&here, LIGHT).await;
        assert!(!file.exists() && folder.join("notes").exists());
        assert_eq!(files(&root), 1);
    }

    #[tokio::test]
    async fn folder_is_private_and_recreated() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(FOLDER);
        let here = admission(&root, 1000);
        for _ in 0..2 {
            entered(&here, LIGHT).await;
            let mode = fs::metadata(&folder).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            fs::remove_dir(&folder).unwrap();
        }
    }

    #[tokio::test]
    async fn error_names_the_setting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Admission::of(1, file.path()).enter(LIGHT).await;
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("SCRATCH_PATH"), "{error}");
    }

    /// Starts a process that locks `file`, and waits until it holds the lock.
    fn hold(file: &Path) -> Child {
        #[expect(clippy::disallowed_methods, reason = "simulates another worker")]
        let mut command = Command::new("flock");
        command.args(["--nonblock", "--no-fork"]).arg(file);
        command.args(["sh", "-c", "echo held; exec sleep 60"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 5];
        let stdout = child.stdout.as_mut().unwrap();
        stdout.read_exact(&mut said).unwrap();
        child
    }
}
