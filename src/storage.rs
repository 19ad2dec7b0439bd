//! File storage for originals, clips and posters, under typed keys. Uploads are streamed with
//! constant memory. A stored file is complete and durable, or absent.

mod addresses;
mod key;
pub mod local;
mod resume;
mod s3;
mod signature;

use std::path::Path;

use aws_config::SdkConfig;
use bytes::Bytes;
use uuid::Uuid;

use crate::{
    config::storage::{Settings, StorageType},
    ids::VideoId,
};
pub use addresses::{MEDIA_PATH, MediaUrls};
pub use key::StorageKey;
pub use resume::{Progress, ResumableFile};
pub use s3::{Parts, PresignedUrl};
pub use signature::Signer;

/// Name of the storage marker, the file with the id of the installation that owns the storage.
const MARKER_NAME: &str = ".anb-installation";

/// The file storage. Cheap to clone; clones share state.
#[derive(Clone)]
pub enum Storage {
    /// Two folders, on a local disk or on a volume shared by all processes.
    Local(local::Folders),
    /// A bucket of S3 or of a compatible service.
    S3(s3::Bucket),
}

/// A file being written. Dropping it before [`NewFile::finish`] removes it.
pub enum NewFile {
    Local(local::NewFile),
    S3(s3::NewFile),
}

/// A file or object in the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub name: String,
    /// Its key, or none for a foreign file.
    pub key: Option<StorageKey>,
    /// False while it is being written, and permanently if its writer was killed.
    pub is_finished: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("no space left to store {0}")]
pub struct Full(pub String);

#[derive(Debug, thiserror::Error)]
#[error("{0} is not in the storage")]
pub struct Missing(pub StorageKey);

#[derive(Debug, thiserror::Error)]
#[error("{0} still has another writer")]
pub struct Busy(pub StorageKey);

/// Storage and database belong to different installations.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongInstallation(pub String);

impl Storage {
    /// Opens the storage. Creates missing folders, or checks that the bucket is accessible.
    pub async fn connect(settings: &Settings, aws: &SdkConfig) -> anyhow::Result<Self> {
        match settings.storage_type {
            StorageType::Local => Ok(Self::Local(local::Folders::open(settings).await?)),
            StorageType::S3 => Ok(Self::S3(s3::Bucket::open(settings, aws).await?)),
        }
    }

    /// Opens the storage for a tool. Creates nothing, so the folders or the bucket must exist.
    pub async fn inspect(settings: &Settings, aws: &SdkConfig) -> anyhow::Result<Self> {
        match settings.storage_type {
            StorageType::Local => Ok(Self::Local(local::Folders::inspect(settings).await?)),
            StorageType::S3 => Ok(Self::S3(s3::Bucket::open(settings, aws).await?)),
        }
    }

    /// Returns the name of each storage marker with the installation id in it, if it exists.
    pub async fn markers(&self) -> anyhow::Result<Vec<(String, Option<Uuid>)>> {
        match self {
            Self::Local(folders) => folders.markers().await,
            Self::S3(bucket) => bucket.markers().await,
        }
    }

    /// Writes the missing storage markers with the installation `id`.
    pub async fn write_markers(&self, id: Uuid) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.write_markers(id).await,
            Self::S3(bucket) => bucket.write_markers(id).await,
        }
    }

    /// Starts writing the file under `key`. Nothing is visible before [`NewFile::finish`].
    pub async fn create(&self, key: StorageKey) -> anyhow::Result<NewFile> {
        match self {
            Self::Local(folders) => Ok(NewFile::Local(folders.create(key).await?)),
            Self::S3(bucket) => Ok(NewFile::S3(bucket.create(key))),
        }
    }

    /// Stores the file `from` under `key`. Returns its size (bytes).
    pub async fn store(&self, key: StorageKey, from: &Path) -> anyhow::Result<u64> {
        match self {
            Self::Local(folders) => folders.store(key, from).await,
            Self::S3(bucket) => bucket.store(key, from).await,
        }
    }

    /// Makes the file under `key` available at the new path `to`, or returns [`Missing`].
    pub async fn fetch(&self, key: StorageKey, to: &Path) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.fetch(key, to).await,
            Self::S3(bucket) => bucket.fetch(key, to).await,
        }
    }

    /// Removes the original, all outputs and all unfinished files of a video. Idempotent.
    pub async fn delete_video(&self, video: VideoId) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.delete_video(video).await,
            Self::S3(bucket) => bucket.delete_video(video).await,
        }
    }

    /// Removes the outputs of one attempt. Idempotent.
    pub async fn delete_outputs(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.delete_outputs(video, attempt).await,
            Self::S3(bucket) => bucket.delete_outputs(video, attempt).await,
        }
    }

    /// Removes the outputs of all attempts of a video before `attempt`.
    pub async fn delete_outputs_before(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.delete_outputs_before(video, attempt).await,
            Self::S3(bucket) => bucket.delete_outputs_before(video, attempt).await,
        }
    }

    /// Returns whether tags decide what the CDN may read. A local storage has no CDN; there, the API
    /// checks every request.
    pub fn has_tags(&self) -> bool {
        matches!(self, Self::S3(_))
    }

    /// Lets the CDN read the outputs of one attempt.
    pub async fn tag_outputs(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            Self::S3(bucket) => bucket.tag_outputs(video, attempt).await,
        }
    }

    /// Lets the CDN read the outputs of the attempt `public`, and no others of the video.
    pub async fn set_public(&self, video: VideoId, public: Option<i32>) -> anyhow::Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            Self::S3(bucket) => bucket.set_public(video, public).await,
        }
    }

    /// Calls `visit` with all finished and unfinished files, in no particular order. The files are
    /// not collected, since millions of names need gigabytes.
    pub async fn list(&self, visit: &mut (dyn FnMut(Stored) + Send)) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.list(visit).await,
            Self::S3(bucket) => bucket.list(visit).await,
        }
    }

    /// Returns the name that `list` has for a finished file.
    pub fn name(&self, key: StorageKey) -> String {
        match self {
            Self::Local(_) => key.to_string(),
            Self::S3(bucket) => bucket.object(key),
        }
    }

    /// Returns an error unless files can be stored now.
    pub async fn ready(&self) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.ready().await,
            Self::S3(bucket) => bucket.ready().await,
        }
    }
}

impl NewFile {
    pub async fn write(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        match self {
            Self::Local(upload) => upload.write(bytes).await,
            Self::S3(upload) => upload.write(&bytes).await,
        }
    }

    /// Makes the file durable and visible under its key.
    pub async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Local(upload) => upload.finish().await,
            Self::S3(upload) => upload.finish().await,
        }
    }

    /// Aborts the upload, and returns once everything of it is removed.
    pub async fn abort(self) -> anyhow::Result<()> {
        match self {
            // Dropping it removes it.
            Self::Local(_) => Ok(()),
            Self::S3(upload) => upload.abort().await,
        }
    }
}
