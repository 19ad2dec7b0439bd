//! Where files are kept: originals, clips and posters, each under a typed key. Uploads stream, so
//! memory does not grow with file size; what is stored is whole and durable, or not there.

mod addresses;
mod key;
pub mod local;
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
pub use addresses::{Addresses, MEDIA_PATH};
pub use key::StorageKey;
pub use signature::Signer;

/// Names the file that says to which installation a place belongs.
const MARK: &str = ".anb-installation";

/// A place for files; clones are the same place.
#[derive(Clone)]
pub enum Storage {
    /// Two folders of this machine, or of one that all processes share.
    Local(local::Folders),
    /// A bucket of S3, or of a service that speaks its language.
    S3(s3::Bucket),
}

/// A file that is being written. Dropping it before [`Upload::finish`] leaves nothing behind.
pub enum Upload {
    Local(local::Upload),
    S3(s3::Upload),
}

/// A file or object as it lies in the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name, as the storage spells it.
    pub name: String,
    /// Its key; none if it is nothing of ours.
    pub key: Option<StorageKey>,
    /// False while it is being written, and for ever if its writer was killed.
    pub is_finished: bool,
}

/// The disk has no room for a file.
#[derive(Debug, thiserror::Error)]
#[error("no space left to store {0}")]
pub struct Full(pub String);

/// There is no such file.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not in the storage")]
pub struct Missing(pub StorageKey);

/// The storage is not the one of the database.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongInstallation(pub String);

impl Storage {
    /// Opens the storage: makes its folders if they are not there, or asks for its bucket.
    pub async fn connect(settings: &Settings, aws: &SdkConfig) -> anyhow::Result<Self> {
        match settings.storage_type {
            StorageType::Local => Ok(Self::Local(local::Folders::open(settings).await?)),
            StorageType::S3 => Ok(Self::S3(s3::Bucket::open(settings, aws).await?)),
        }
    }

    /// Opens the storage for a tool, which makes nothing: its folders or its bucket must be there.
    pub async fn inspect(settings: &Settings, aws: &SdkConfig) -> anyhow::Result<Self> {
        match settings.storage_type {
            StorageType::Local => Ok(Self::Local(local::Folders::inspect(settings).await?)),
            StorageType::S3 => Ok(Self::S3(s3::Bucket::open(settings, aws).await?)),
        }
    }

    /// Returns the id of the installation that each place of the storage belongs to, with the name of the file
    /// that says so; no id where there is none.
    pub async fn marks(&self) -> anyhow::Result<Vec<(String, Option<Uuid>)>> {
        match self {
            Self::Local(folders) => folders.marks().await,
            Self::S3(bucket) => bucket.marks().await,
        }
    }

    /// Marks each place that is not marked yet as one of the installation `id`.
    pub async fn mark(&self, id: Uuid) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.mark(id).await,
            Self::S3(bucket) => bucket.mark(id).await,
        }
    }

    /// Starts to write the file under `key`. Nothing is visible before [`Upload::finish`].
    pub async fn create(&self, key: StorageKey) -> anyhow::Result<Upload> {
        match self {
            Self::Local(folders) => Ok(Upload::Local(folders.create(key).await?)),
            Self::S3(bucket) => Ok(Upload::S3(bucket.create(key))),
        }
    }

    /// Stores the file `from` under `key`, and returns its size in bytes.
    pub async fn store(&self, key: StorageKey, from: &Path) -> anyhow::Result<u64> {
        match self {
            Self::Local(folders) => folders.store(key, from).await,
            Self::S3(bucket) => bucket.store(key, from).await,
        }
    }

    /// Brings the file under `key` to the path `to`, which must not exist. Returns [`Missing`] if there is none.
    pub async fn fetch(&self, key: StorageKey, to: &Path) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.fetch(key, to).await,
            Self::S3(bucket) => bucket.fetch(key, to).await,
        }
    }

    /// Removes the original, all outputs and all unfinished files of a video. It is no error if there
    /// are none.
    pub async fn delete_video(&self, video: VideoId) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.delete_video(video).await,
            Self::S3(bucket) => bucket.delete_video(video).await,
        }
    }

    /// Removes the outputs of one attempt. It is no error if there are none.
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

    /// Lists everything that is stored or being stored, in no order.
    pub async fn list(&self) -> anyhow::Result<Vec<Stored>> {
        match self {
            Self::Local(folders) => folders.list().await,
            Self::S3(bucket) => bucket.list().await,
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

impl Upload {
    /// Appends `bytes`.
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

    /// Gives the file up, and returns when nothing of it is left.
    pub async fn abort(self) -> anyhow::Result<()> {
        match self {
            // Dropping it removes it.
            Self::Local(_) => Ok(()),
            Self::S3(upload) => upload.abort().await,
        }
    }
}
