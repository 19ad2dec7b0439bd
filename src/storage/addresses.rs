//! At which addresses clients read what is stored.

use std::time::SystemTime;

use super::{Storage, StorageKey, s3, signature::Signer};

/// Path below which local media is served.
pub const MEDIA_PATH: &str = "/media";

/// Makes addresses, and checks those of local media; clones are the same.
#[derive(Clone)]
pub enum Addresses {
    /// Below [`MEDIA_PATH`] of the API itself.
    Local {
        /// Origin in front of the path; empty: relative to the root.
        origin: String,
        signer: Box<Signer>,
    },
    /// Those of the bucket, and of the CDN in front of it.
    S3(s3::Bucket),
}

impl Addresses {
    /// Makes the addresses of what is in `storage`. Local ones are below `public_url`, or relative to the
    /// root without one, and `signer` signs those of what is not public.
    pub fn new(storage: &Storage, signer: Signer, public_url: Option<&str>) -> Self {
        match storage {
            Storage::Local(_) => Self::Local {
                origin: public_url.unwrap_or_default().to_owned(),
                signer: Box::new(signer),
            },
            Storage::S3(bucket) => Self::S3(bucket.clone()),
        }
    }

    /// Returns the address at which anybody may read `key` as long as its video is public.
    pub async fn public(&self, key: StorageKey) -> anyhow::Result<String> {
        match self {
            Self::Local { origin, .. } => Ok(bare(origin, key)),
            Self::S3(bucket) => match bucket.cdn(key) {
                Some(address) => Ok(address),
                None => bucket.signed(key).await,
            },
        }
    }

    /// Returns an address at which whoever has it may read `key` for one to two hours.
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

    /// Tells whether `signature` is ours for the local `key` and `expires`, and still good.
    pub fn is_signed(&self, key: StorageKey, expires: u64, signature: &str) -> bool {
        match self {
            Self::Local { signer, .. } => signer.verify(key, expires, signature, SystemTime::now()),
            // The bucket checks its own.
            Self::S3(_) => false,
        }
    }
}

fn bare(origin: &str, key: StorageKey) -> String {
    format!("{origin}{MEDIA_PATH}/{key}")
}
