//! Files that are received over several requests. What is durable of them is recorded in the
//! database, and survives the process.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Storage, StorageKey, local, s3};

/// Written bytes after which a local file gets a checkpoint in any case. A checkpoint delays a fast
/// client, and a slow one gets it earlier.
const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;

/// Written bytes and time after which it gets one, so that a killed process costs little.
const CHECKPOINT_MIN_BYTES: u64 = 1024 * 1024;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// What is durable of a file that is being received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of durable bytes.
    pub received: u64,
    /// The parts of an object; the default for a local file.
    pub parts: s3::Parts,
}

/// A file that is being received. Dropping it keeps its durable bytes.
pub enum ResumableFile {
    Local {
        file: local::NewFile,
        durable: u64,
        written: u64,
        checkpoint: Instant,
    },
    S3(s3::ResumableFile),
}

impl Storage {
    /// Continues the file under `key`, of `length` bytes in the end, after its durable bytes.
    /// `epoch` is the fencing token, which grows with each writer. Returns [`super::Busy`] if its
    /// previous writer does not end, and [`super::Missing`] if bytes are lost.
    pub async fn resume(
        &self,
        key: StorageKey,
        epoch: i32,
        progress: Progress,
        length: u64,
    ) -> anyhow::Result<ResumableFile> {
        match self {
            Self::Local(folders) => {
                let received = progress.received;
                Ok(ResumableFile::Local {
                    file: folders.resume(key, received).await?,
                    durable: received,
                    written: received,
                    checkpoint: Instant::now(),
                })
            }
            Self::S3(bucket) => {
                let file = bucket.resume(key, epoch, progress.parts, length);
                Ok(ResumableFile::S3(file.await?))
            }
        }
    }

    /// Returns [`super::Full`] unless a file of `length` bytes fits now.
    pub async fn check_space(&self, key: StorageKey, length: u64) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.check_space(key, length).await,
            Self::S3(_) => Ok(()),
        }
    }

    /// Removes everything that is stored of a video, including the unfinished file that `progress`
    /// describes. Idempotent.
    pub async fn discard(&self, key: StorageKey, progress: &Progress) -> anyhow::Result<()> {
        // Some services do not list multipart uploads, so that deleting would not find this one.
        self.abort(key, progress).await?;
        self.delete_video(key.video()).await
    }

    /// Aborts the multipart upload of an unfinished file, if there is one.
    pub async fn abort(&self, key: StorageKey, progress: &Progress) -> anyhow::Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            Self::S3(bucket) => bucket.abort(key, &progress.parts).await,
        }
    }

    /// Removes what writers up to `epoch` stored of `key` and does not belong to `progress`. Call
    /// it once the progress is recorded, or with the default once the file is finished.
    pub async fn forget_replaced(
        &self,
        key: StorageKey,
        epoch: i32,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            Self::S3(bucket) => {
                let video = key.video();
                bucket.forget_replaced(video, epoch, &progress.parts).await
            }
        }
    }

    /// Removes what was left over of an upload whose finished file stays.
    pub async fn remove_unfinished(&self, key: StorageKey) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.remove_unfinished(key).await,
            Self::S3(bucket) => bucket.remove_unfinished(key).await,
        }
    }

    /// Removes what the fenced writer `epoch` stored of `key` and nobody uses.
    pub async fn forget_own(&self, key: StorageKey, epoch: i32) -> anyhow::Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            Self::S3(bucket) => bucket.forget_own(key.video(), epoch).await,
        }
    }
}

impl ResumableFile {
    /// Appends bytes. Returns the progress if a checkpoint was due, to be recorded.
    pub async fn write(&mut self, bytes: Bytes) -> anyhow::Result<Option<Progress>> {
        match self {
            Self::Local {
                file,
                durable,
                written,
                checkpoint,
            } => {
                *written += u64::try_from(bytes.len())?;
                file.write(bytes).await?;
                let ahead = *written - *durable;
                let is_due = ahead >= CHECKPOINT_BYTES
                    || (ahead >= CHECKPOINT_MIN_BYTES
                        && checkpoint.elapsed() >= CHECKPOINT_INTERVAL);
                if !is_due {
                    return Ok(None);
                }
                self.checkpoint().await.map(Some)
            }
            Self::S3(file) => {
                let before = file.parts().received();
                file.write(&bytes).await?;
                Ok(advanced(file.parts(), before))
            }
        }
    }

    /// Makes bytes durable while no others arrive, unless that is expensive: the bytes after the last
    /// part of an object are not. Returns the progress if there is any, to be recorded.
    pub async fn record_idle(&mut self) -> anyhow::Result<Option<Progress>> {
        match self {
            Self::Local {
                durable, written, ..
            } => {
                if durable == written {
                    return Ok(None);
                }
                self.checkpoint().await.map(Some)
            }
            Self::S3(file) => {
                let before = file.parts().received();
                file.record_part().await?;
                Ok(advanced(file.parts(), before))
            }
        }
    }

    /// Makes all written bytes durable. Returns the progress, to be recorded.
    pub async fn checkpoint(&mut self) -> anyhow::Result<Progress> {
        match self {
            Self::Local {
                file,
                durable,
                checkpoint,
                ..
            } => {
                *durable = file.checkpoint().await?;
                *checkpoint = Instant::now();
            }
            Self::S3(file) => file.checkpoint().await?,
        }
        Ok(self.progress())
    }

    /// Returns what is durable.
    pub fn progress(&self) -> Progress {
        match self {
            Self::Local { durable, .. } => Progress {
                received: *durable,
                ..Progress::default()
            },
            Self::S3(file) => progress_of(file.parts()),
        }
    }

    /// Returns whether a writer finished the whole file before, so that its bytes are not read again.
    pub fn is_stored(&self) -> bool {
        match self {
            Self::Local { .. } => false,
            Self::S3(file) => file.is_stored(),
        }
    }

    /// Returns the first `bytes` bytes, which must be durable and fewer than a part of S3. The file
    /// must not be stored.
    pub async fn read_start(&self, bytes: u64) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Local { file, .. } => file.read_start(bytes).await,
            Self::S3(file) => Ok(file.start(usize::try_from(bytes)?)),
        }
    }

    /// Makes the whole file durable and visible under its key.
    pub async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Local { file, .. } => file.finish().await,
            Self::S3(file) => file.finish().await,
        }
    }
}

/// Returns the progress if more than `before` bytes are durable.
fn advanced(parts: &s3::Parts, before: u64) -> Option<Progress> {
    (parts.received() > before).then(|| progress_of(parts))
}

fn progress_of(parts: &s3::Parts) -> Progress {
    Progress {
        received: parts.received(),
        parts: parts.clone(),
    }
}
