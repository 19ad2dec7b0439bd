//! Where files are kept: originals, clips and posters, each under a typed key. Uploads stream, so
//! memory does not grow with file size; what is stored is whole and durable, or not there.

mod key;
pub mod local;
mod signature;

use std::{path::Path, time::SystemTime};

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    config::storage::{Settings, StorageType},
    ids::VideoId,
};
pub use key::StorageKey;
use signature::Signer;

/// Path below which local media is served.
pub const MEDIA_PATH: &str = "/media";

/// A place for files; clones are the same place.
#[derive(Clone)]
pub enum Storage {
    /// Two folders of this machine, or of one that all processes share.
    Local(local::Folders),
}

/// A file that is being written. Dropping it before [`Upload::finish`] leaves nothing behind.
pub enum Upload {
    Local(local::Upload),
}

/// Makes and checks the addresses of local media.
#[derive(Clone)]
pub struct Addresses {
    /// Origin in front of the path; empty: relative to the root.
    origin: String,
    signer: Signer,
}

/// The disk has no room for a file.
#[derive(Debug, thiserror::Error)]
#[error("no space left to store {0}")]
pub struct Full(pub StorageKey);

impl Storage {
    /// Opens the storage, and makes its folders if they are not there.
    pub async fn connect(settings: &Settings) -> anyhow::Result<Self> {
        match settings.storage_type {
            StorageType::Local => Ok(Self::Local(local::Folders::open(settings).await?)),
        }
    }

    /// Starts to write the file under `key`. Nothing is visible before [`Upload::finish`].
    pub async fn create(&self, key: StorageKey) -> anyhow::Result<Upload> {
        match self {
            Self::Local(folders) => Ok(Upload::Local(folders.create(key).await?)),
        }
    }

    /// Stores the file `from` under `key`, and returns its size in bytes.
    pub async fn store(&self, key: StorageKey, from: &Path) -> anyhow::Result<u64> {
        match self {
            Self::Local(folders) => folders.store(key, from).await,
        }
    }

    /// Brings the file under `key` to the path `to`, which must not exist.
    pub async fn fetch(&self, key: StorageKey, to: &Path) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.fetch(key, to).await,
        }
    }

    /// Removes the original, all outputs and all unfinished files of a video. It is no error if there
    /// are none.
    pub async fn delete_video(&self, video: VideoId) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.delete_video(video).await,
        }
    }

    /// Removes the outputs of one attempt. It is no error if there are none.
    pub async fn delete_outputs(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.delete_outputs(video, attempt).await,
        }
    }

    /// Removes the outputs of all attempts of a video but `kept`.
    pub async fn delete_other_outputs(&self, video: VideoId, kept: i32) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.delete_other_outputs(video, kept).await,
        }
    }

    /// Returns an error unless files can be stored now.
    pub async fn ready(&self) -> anyhow::Result<()> {
        match self {
            Self::Local(folders) => folders.ready().await,
        }
    }
}

impl Upload {
    /// Appends `bytes`.
    pub async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Local(upload) => upload.write(bytes).await,
        }
    }

    /// Makes the file durable and visible under its key.
    pub async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Local(upload) => upload.finish().await,
        }
    }
}

impl Addresses {
    /// Makes addresses below `public_url`, or relative to the root without one. `secret` signs those
    /// of what is not public.
    pub fn new(secret: &SecretString, public_url: Option<&str>) -> Self {
        Self {
            origin: public_url.unwrap_or_default().to_owned(),
            signer: Signer::new(secret.expose_secret()),
        }
    }

    /// Returns the address at which anybody may read `key` as long as its video is public.
    pub fn public(&self, key: StorageKey) -> String {
        format!("{}{MEDIA_PATH}/{key}", self.origin)
    }

    /// Returns an address at which whoever has it may read `key` for one to two hours.
    pub fn signed(&self, key: StorageKey) -> String {
        let (expires, signature) = self.signer.sign(key, SystemTime::now());
        format!(
            "{}?expires={expires}&signature={signature}",
            self.public(key)
        )
    }

    /// Tells whether `signature` is ours for `key` and `expires`, and still good.
    pub fn is_signed(&self, key: StorageKey, expires: u64, signature: &str) -> bool {
        self.signer
            .verify(key, expires, signature, SystemTime::now())
    }
}
