//! URLs at which clients read stored files.

use std::time::SystemTime;

use anyhow::Context as _;
use url::Url;

use super::{Storage, StorageKey, s3, signature::Signer};
use crate::ids::VideoId;

/// Path prefix of locally served media.
pub const MEDIA_PATH: &str = "/media";

/// Builds media URLs and checks the signed ones of local media.
#[derive(Clone)]
pub enum MediaUrls {
    /// Below [`MEDIA_PATH`] of the API.
    Local {
        /// Origin in front of the path. If empty, URLs are relative to the root.
        origin: String,
        signer: Box<Signer>,
    },
    /// In the bucket, or at the CDN in front of it.
    S3(s3::Bucket),
}

impl MediaUrls {
    /// Creates the URL builder for `storage`. Local URLs are below `public_url` or, without one,
    /// relative to the root, and `signer` signs the non-public ones.
    pub fn new(storage: &Storage, signer: Signer, public_url: Option<&str>) -> Self {
        match storage {
            Storage::Local(_) => Self::Local {
                origin: public_url.unwrap_or_default().to_owned(),
                signer: Box::new(signer),
            },
            Storage::S3(bucket) => Self::S3(bucket.clone()),
        }
    }

    /// Returns the URL at which everyone can read `key` while its video is public.
    pub async fn public(&self, key: StorageKey) -> anyhow::Result<String> {
        match self {
            Self::Local { origin, .. } => Ok(bare(origin, key)),
            Self::S3(bucket) => match bucket.cdn(key) {
                Some(address) => Ok(address),
                None => bucket.signed(key).await,
            },
        }
    }

    /// Returns a URL that lets its holder read `key` for one to two hours.
    pub async fn signed(&self, key: StorageKey) -> anyhow::Result<String> {
        match self {
            Self::Local { origin, signer } => {
                let (expires, signature) = signer.sign(key, SystemTime::now());
                let bare = bare(origin, key);
                Ok(format!("{bare}?expires={expires}&signature={signature}"))
            }
            Self::S3(bucket) => bucket.signed(key).await,
        }
    }

    /// Returns the origins of all URLs, apart from the API's own.
    pub async fn origins(&self) -> anyhow::Result<Vec<String>> {
        if let Self::Local { origin, .. } = self {
            let named = Some(origin.clone()).filter(|origin| !origin.is_empty());
            return Ok(named.into_iter().collect());
        }
        let key = StorageKey::Poster(VideoId::generate(), 1);
        let mut origins = Vec::new();
        for url in [self.public(key).await?, self.signed(key).await?] {
            let origin = Url::parse(&url).context("media URL")?.origin();
            origins.push(origin.ascii_serialization());
        }
        origins.dedup();
        Ok(origins)
    }

    /// Returns whether `signature` is valid for the local `key` and `expires`, and not expired.
    pub fn is_signature_valid(&self, key: StorageKey, expires: u64, signature: &str) -> bool {
        match self {
            Self::Local { signer, .. } => signer.verify(key, expires, signature, SystemTime::now()),
            // S3 checks its own signatures.
            Self::S3(_) => false,
        }
    }
}

fn bare(origin: &str, key: StorageKey) -> String {
    format!("{origin}{MEDIA_PATH}/{key}")
}
