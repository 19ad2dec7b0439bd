//! URLs at which clients read stored files.

use std::time::SystemTime;

use anyhow::Context as _;
use url::Url;

use super::{
    Storage, StorageKey,
    s3::{self, PresignedUrl},
    signature::Signer,
};
use crate::ids::VideoId;

/// Path prefix of media at the API, which serves local files and redirects to a bucket.
pub const MEDIA_PATH: &str = "/media";

/// Builds media URLs and checks the signed ones.
///
/// Those of a bucket lead to the API as well. It redirects to a presigned URL, which is made when
/// it is needed, because it dies with the credentials of the role; our own signature lasts as long
/// as it says.
#[derive(Clone)]
pub struct MediaUrls {
    /// Origin in front of the path. If empty, URLs are relative to the root.
    origin: String,
    signer: Signer,
    /// The storage, unless it is local.
    bucket: Option<s3::Bucket>,
}

impl MediaUrls {
    /// Creates the URL builder for `storage`. URLs are below `public_url` or, without one, relative
    /// to the root, and `signer` signs the non-public ones.
    pub fn new(storage: &Storage, signer: Signer, public_url: Option<&str>) -> Self {
        Self {
            origin: public_url.unwrap_or_default().to_owned(),
            signer,
            bucket: match storage {
                Storage::Local(_) => None,
                Storage::S3(bucket) => Some(bucket.clone()),
            },
        }
    }

    /// Returns the URL at which everyone can read `key` while its video is public: at the CDN, if
    /// there is one.
    pub fn public(&self, key: StorageKey) -> String {
        let cdn = self.bucket.as_ref().and_then(|bucket| bucket.cdn(key));
        cdn.unwrap_or_else(|| self.bare(key))
    }

    /// Returns a URL that lets its holder read `key` for one to two hours.
    pub fn signed(&self, key: StorageKey) -> String {
        let (expires, signature) = self.signer.sign(key, SystemTime::now());
        let bare = self.bare(key);
        format!("{bare}?expires={expires}&signature={signature}")
    }

    fn bare(&self, key: StorageKey) -> String {
        format!("{}{MEDIA_PATH}/{key}", self.origin)
    }

    /// Returns the URL in the bucket to which the API redirects, or none if the storage is local.
    pub async fn presigned(&self, key: StorageKey) -> anyhow::Result<Option<PresignedUrl>> {
        match &self.bucket {
            Some(bucket) => bucket.presigned(key).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns the origins of all URLs and redirects, apart from the API's own.
    pub async fn origins(&self) -> anyhow::Result<Vec<String>> {
        let mut origins = Vec::new();
        if !self.origin.is_empty() {
            origins.push(self.origin.clone());
        }
        let key = StorageKey::Poster(VideoId::generate(), 1);
        let cdn = self.bucket.as_ref().and_then(|bucket| bucket.cdn(key));
        let presigned = self.presigned(key).await?.map(|presigned| presigned.url);
        for url in [cdn, presigned].into_iter().flatten() {
            let origin = Url::parse(&url).context("media URL")?.origin();
            origins.push(origin.ascii_serialization());
        }
        origins.dedup();
        Ok(origins)
    }

    /// Returns whether `signature` is valid for `key` and `expires`, and not expired.
    pub fn is_signature_valid(&self, key: StorageKey, expires: u64, signature: &str) -> bool {
        self.signer
            .verify(key, expires, signature, SystemTime::now())
    }
}
