//! Upload of one object in constant memory: the part being filled and the parts being sent.

use std::mem;

use anyhow::Context as _;
use aws_sdk_s3::{
    error::ProvideErrorMetadata as _,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use tokio::task::JoinSet;

use super::{Bucket, StorageKey};
use crate::aws::explain;

/// Size of every part except the last, the minimum that S3 accepts (bytes).
pub const PART_BYTES: usize = 5 * 1024 * 1024;

/// Checksum of each part. The upload names it as well, since S3 may reject parts with a checksum that
/// their upload does not expect ("Checksum Type mismatch occurred", apache/arrow-rs#6793), and
/// verifies the list of parts by it at the end (`API_CreateMultipartUpload`).
const CHECKSUM: ChecksumAlgorithm = ChecksumAlgorithm::Crc32;

/// The service has other parts of an object than those that it confirmed.
#[derive(Debug, thiserror::Error)]
#[error("the stored parts differ from the confirmed ones")]
pub struct OtherParts;

/// An object being written. Dropping it unfinished aborts the upload in the background.
pub struct NewFile {
    bucket: Bucket,
    key: StorageKey,
    /// Id of the multipart upload, once the first part is full.
    id: Option<String>,
    filling: Vec<u8>,
    sending: JoinSet<anyhow::Result<CompletedPart>>,
    sent: Vec<CompletedPart>,
    parts: i32,
}

impl NewFile {
    pub fn new(bucket: Bucket, key: StorageKey) -> Self {
        Self {
            bucket,
            key,
            id: None,
            filling: Vec::new(),
            sending: JoinSet::new(),
            sent: Vec::new(),
            parts: 0,
        }
    }

    pub async fn write(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            bytes = fill(&mut self.filling, bytes);
            if self.filling.len() == PART_BYTES {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    pub async fn finish(mut self) -> anyhow::Result<()> {
        let finished = if self.id.is_none() {
            self.bucket
                .put(self.key, mem::take(&mut self.filling))
                .await
        } else {
            self.complete().await
        };
        finished.with_context(|| format!("store {}", self.key))
    }

    pub async fn abort(mut self) -> anyhow::Result<()> {
        self.sending.shutdown().await;
        match self.id.take() {
            Some(id) => abort(&self.bucket, self.key, &id).await,
            None => Ok(()),
        }
    }

    /// Starts sending the full part, after waiting for a free slot.
    async fn send_part(&mut self) -> anyhow::Result<()> {
        // Reports the failure of an earlier part now instead of at the end.
        while let Some(sent) = self.sending.try_join_next() {
            self.record_part(sent)?;
        }
        let id = match &self.id {
            Some(id) => id.clone(),
            None => self.id.insert(self.bucket.begin(self.key).await?).clone(),
        };
        let (bucket, key) = (self.bucket.clone(), self.key);
        let permit = bucket.inner.sending.clone().acquire_owned().await?;
        self.parts += 1;
        let number = self.parts;
        let part = mem::take(&mut self.filling);
        let runtime = bucket.inner.runtime.clone();
        let send = async move {
            let sent = bucket.send_part(key, &id, number, part).await;
            drop(permit);
            sent
        };
        self.sending.spawn_on(send, &runtime);
        Ok(())
    }

    fn record_part(
        &mut self,
        sent: Result<anyhow::Result<CompletedPart>, tokio::task::JoinError>,
    ) -> anyhow::Result<()> {
        let part = sent.context("send a part")?.context("send a part")?;
        self.sent.push(part);
        Ok(())
    }

    async fn complete(&mut self) -> anyhow::Result<()> {
        if !self.filling.is_empty() {
            self.send_part().await?;
        }
        while let Some(sent) = self.sending.join_next().await {
            self.record_part(sent)?;
        }
        let mut parts = mem::take(&mut self.sent);
        parts.sort_by_key(CompletedPart::part_number);
        let id = self.id.as_deref().context("the upload has no id")?;
        self.bucket.complete(self.key, id, parts).await?;
        self.id = None;
        Ok(())
    }
}

/// Appends bytes to a part until it is full. Returns those that do not fit.
pub fn fill<'a>(part: &mut Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
    if part.capacity() == 0 {
        part.reserve_exact(PART_BYTES);
    }
    let room = PART_BYTES - part.len();
    let (now, later) = bytes.split_at(room.min(bytes.len()));
    part.extend_from_slice(now);
    later
}

impl Bucket {
    /// Begins a multipart upload. Returns its id.
    pub async fn begin(&self, key: StorageKey) -> anyhow::Result<String> {
        let request = self.inner.client.create_multipart_upload();
        let begun = request
            .bucket(&self.inner.name)
            .key(self.object(key))
            .content_type(key.content_type())
            .checksum_algorithm(CHECKSUM)
            .send()
            .await
            .map_err(explain)
            .context("begin a multipart upload")?;
        begun.upload_id.context("the multipart upload has no id")
    }

    pub async fn send_part(
        &self,
        key: StorageKey,
        upload: &str,
        number: i32,
        bytes: Vec<u8>,
    ) -> anyhow::Result<CompletedPart> {
        let request = self.inner.client.upload_part();
        let sent = request
            .bucket(&self.inner.name)
            .key(self.object(key))
            .upload_id(upload)
            .part_number(number)
            .checksum_algorithm(CHECKSUM)
            .body(bytes.into())
            .send()
            .await
            .map_err(explain)?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build())
    }

    /// Makes the object visible. `parts` are in the order of their numbers. Returns [`OtherParts`] if
    /// the service has other parts.
    pub async fn complete(
        &self,
        key: StorageKey,
        upload: &str,
        parts: Vec<CompletedPart>,
    ) -> anyhow::Result<()> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self.inner.client.complete_multipart_upload();
        request
            .bucket(&self.inner.name)
            .key(self.object(key))
            .upload_id(upload)
            .multipart_upload(parts.build())
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                let has_other_parts = error.code() == Some("InvalidPart");
                let error = explain(error).context("complete the multipart upload");
                if has_other_parts {
                    error.context(OtherParts)
                } else {
                    error
                }
            })
    }

    /// Stores an object of a single part.
    pub async fn put(&self, key: StorageKey, bytes: Vec<u8>) -> anyhow::Result<()> {
        let content_type = key.content_type();
        self.put_named(&self.object(key), content_type, bytes).await
    }

    pub async fn put_named(
        &self,
        name: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> anyhow::Result<()> {
        let _permit = self.inner.sending.acquire().await?;
        let request = self.inner.client.put_object();
        request
            .bucket(&self.inner.name)
            .key(name)
            .content_type(content_type)
            .body(bytes.into())
            .send()
            .await
            .map(drop)
            .map_err(explain)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.sending.abort_all();
        let (bucket, key) = (self.bucket.clone(), self.key);
        let runtime = bucket.inner.runtime.clone();
        // If the process ends first, the sweeper or the bucket's lifecycle rule aborts the upload.
        runtime.spawn(async move {
            if let Err(error) = abort(&bucket, key, &id).await {
                tracing::warn!(%key, "failed to abort an abandoned upload: {error:#}");
            }
        });
    }
}

async fn abort(bucket: &Bucket, key: StorageKey, id: &str) -> anyhow::Result<()> {
    super::objects::abort_upload(bucket, &bucket.object(key), id).await
}
