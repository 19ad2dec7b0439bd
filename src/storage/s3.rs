//! Storage in an S3 bucket, versioned or not. Objects appear atomically. A file of one part is
//! written with a single PUT, a longer one with a multipart upload, aborted unless it completes.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

mod marker;
mod objects;
mod resume;
mod signing;
mod tags;
mod upload;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_config::SdkConfig;
use aws_sdk_s3::{Client, config::Builder, error::ProvideErrorMetadata as _};
use tokio::{fs::File, io::AsyncReadExt as _, runtime::Handle, sync::Semaphore};

use super::{MARKER_NAME, Missing, StorageKey, Stored, key::attempt_of, signature::BUCKET_SECS};
use crate::{
    aws::{explain, timeouts},
    config::storage::Settings,
    ids::VideoId,
};
pub use resume::{Parts, ResumableFile};
pub use signing::PresignedUrl;
use signing::Presigner;
pub use upload::NewFile;

/// Timeout of a call. Does not limit the transfer of a body that makes progress.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum number of parts that a process sends concurrently. Together with the part that each
/// upload is filling, they are all the memory that uploads use.
const PARTS_IN_FLIGHT: usize = 8;

/// Size of a read from a local file (bytes).
const READ_BYTES: usize = 256 * 1024;

/// A bucket. Cheap to clone; clones share one client.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    presigner: Presigner,
    name: String,
    uploads: String,
    processed: String,
    cdn: Option<String>,
    sending: Arc<Semaphore>,
    /// Aborts dropped uploads in the background, even from threads whose own runtime is ending.
    runtime: Handle,
}

impl Bucket {
    /// Checks that the bucket is accessible. An error names the setting at fault.
    pub async fn open(settings: &Settings, aws: &SdkConfig) -> anyhow::Result<Self> {
        let endpoint = settings.s3_endpoint_url.clone();
        let endpoint = endpoint.or_else(|| aws.endpoint_url().map(str::to_owned));
        let mut config = Builder::from(aws).timeout_config(timeouts(aws, TIMEOUT));
        if let Some(endpoint) = endpoint {
            // Emulators do not provide a host name per bucket.
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        let client = Client::from_conf(config.build());
        let inner = Inner {
            presigner: Presigner::new(&client, aws.credentials_provider()),
            client,
            name: settings.s3_bucket()?,
            uploads: settings.s3_upload_prefix.clone(),
            processed: settings.s3_processed_prefix.clone(),
            cdn: settings.media_base_url.clone(),
            sending: Arc::new(Semaphore::new(PARTS_IN_FLIGHT)),
            runtime: Handle::current(),
        };
        let bucket = Self {
            inner: Arc::new(inner),
        };
        bucket
            .ready()
            .await
            .with_context(|| format!("S3_BUCKET_NAME={}", bucket.inner.name))?;
        Ok(bucket)
    }

    pub fn object(&self, key: StorageKey) -> String {
        let prefix = match key.attempt() {
            None => &self.inner.uploads,
            Some(_) => &self.inner.processed,
        };
        format!("{prefix}/{}", key.name())
    }

    /// Returns the name prefix of all outputs of a video.
    fn outputs(&self, video: VideoId) -> String {
        format!("{}/{video}/", self.inner.processed)
    }

    /// Returns the URL at the CDN, if there is one and it serves the file.
    pub fn cdn(&self, key: StorageKey) -> Option<String> {
        let base = self.inner.cdn.as_ref()?;
        // Originals are not below the prefix that it serves.
        key.attempt()?;
        Some(format!("{base}/{}", key.name()))
    }

    /// Returns a presigned URL, valid for up to two hours.
    pub async fn presigned(&self, key: StorageKey) -> anyhow::Result<PresignedUrl> {
        let inner = &self.inner;
        let read = |client: &Client| {
            let get = client.get_object();
            get.bucket(&inner.name)
                .key(self.object(key))
                .response_content_type(key.content_type())
                .response_cache_control(format!("private, max-age={BUCKET_SECS}"))
        };
        inner.presigner.presign(read).await
    }

    pub fn create(&self, key: StorageKey) -> NewFile {
        NewFile::new(self.clone(), key)
    }

    pub async fn store(&self, key: StorageKey, from: &Path) -> anyhow::Result<u64> {
        let open = || format!("open {}", from.display());
        let mut source = File::open(from).await.with_context(open)?;
        let mut upload = self.create(key);
        let mut bytes = 0;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = source.read(&mut buffer).await.with_context(open)?;
            let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
                break;
            };
            upload.write(chunk).await?;
            bytes += u64::try_from(read)?;
        }
        upload.finish().await?;
        Ok(bytes)
    }

    pub async fn fetch(&self, key: StorageKey, to: &Path) -> anyhow::Result<()> {
        let get = self.inner.client.get_object();
        let object = get
            .bucket(&self.inner.name)
            .key(self.object(key))
            .send()
            .await;
        let object = match object {
            Err(error) if error.code() == Some("NoSuchKey") => {
                return Err(explain(error)).context(Missing(key));
            }
            object => object
                .map_err(explain)
                .with_context(|| format!("fetch {key}"))?,
        };
        let mut file = File::create_new(to)
            .await
            .with_context(|| format!("create {}", to.display()))?;
        let expected = object.content_length;
        let copied = tokio::io::copy(&mut object.body.into_async_read(), &mut file)
            .await
            .with_context(|| format!("fetch {key}"))?;
        anyhow::ensure!(
            expected.is_none_or(|bytes| u64::try_from(bytes) == Ok(copied)),
            "fetch {key}: received {copied} bytes of {expected:?}"
        );
        Ok(())
    }

    pub async fn delete_video(&self, video: VideoId) -> anyhow::Result<()> {
        let original = self.object(StorageKey::Original(video));
        let outputs = self.outputs(video);
        // The prefix also matches longer names.
        objects::delete(self, &original, |name| name == original).await?;
        objects::delete(self, &self.tails(video), |_| true).await?;
        objects::delete(self, &outputs, |_| true).await
    }

    pub async fn delete_outputs(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        let outputs = self.outputs(video);
        // The prefix of attempt 1 also matches the outputs of attempt 12.
        objects::delete(self, &format!("{outputs}{attempt}"), |name| {
            name.strip_prefix(&outputs).and_then(attempt_of) == Some(attempt)
        })
        .await
    }

    pub async fn delete_outputs_before(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        let outputs = self.outputs(video);
        objects::delete(self, &outputs, |name| {
            let made_by = name.strip_prefix(&outputs).and_then(attempt_of);
            made_by.is_some_and(|made_by| made_by < attempt)
        })
        .await
    }

    pub async fn list(&self, visit: &mut (dyn FnMut(Stored) + Send)) -> anyhow::Result<()> {
        for prefix in [&self.inner.uploads, &self.inner.processed] {
            let prefix = format!("{prefix}/");
            let mut visit_name = |name: &str, is_finished| {
                if name.strip_prefix(&prefix) == Some(MARKER_NAME) {
                    return;
                }
                let tail_of = self.tail_of(name);
                visit(Stored {
                    is_finished: is_finished && tail_of.is_none(),
                    key: tail_of.or_else(|| self.key(name)),
                    name: name.to_owned(),
                });
            };
            objects::visit(self, &prefix, &mut visit_name).await?;
        }
        Ok(())
    }

    /// Returns the key of an object, or none for a foreign object.
    fn key(&self, name: &str) -> Option<StorageKey> {
        let below = |prefix: &str| name.strip_prefix(prefix)?.strip_prefix('/');
        let key = if let Some(rest) = below(&self.inner.uploads) {
            StorageKey::parse(&format!("uploads/{rest}"))
        } else {
            StorageKey::parse(&format!("processed/{}", below(&self.inner.processed)?))
        };
        key.filter(|key| self.object(*key) == name)
    }

    pub async fn ready(&self) -> anyhow::Result<()> {
        let head = self.inner.client.head_bucket().bucket(&self.inner.name);
        head.send().await.map(drop).map_err(|error| {
            // A HEAD response has no body with the error.
            let status = error.raw_response().map(|raw| raw.status().as_u16());
            match status {
                Some(404) => anyhow::anyhow!("there is no such bucket"),
                Some(403) => anyhow::anyhow!("access denied: it needs s3:ListBucket on it"),
                Some(301 | 400) => {
                    let region = error
                        .raw_response()
                        .and_then(|raw| raw.headers().get("x-amz-bucket-region"))
                        .unwrap_or("another region");
                    anyhow::anyhow!("the bucket is in {region}: set AWS_REGION")
                }
                _ => explain(error),
            }
        })
    }
}
