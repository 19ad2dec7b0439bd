//! Upload of one object in constant memory: the part being filled and the parts being sent.

use std::mem;

use anyhow::Context as _;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::task::JoinSet;

use super::{Bucket, StorageKey};
use crate::aws::explain;

/// Size of every part except the last, the minimum that S3 accepts (bytes).
const PART_BYTES: usize = 5 * 1024 * 1024;

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
            if self.filling.capacity() == 0 {
                self.filling.reserve_exact(PART_BYTES);
            }
            let room = PART_BYTES - self.filling.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.filling.extend_from_slice(now);
            bytes = later;
            if self.filling.len() == PART_BYTES {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    pub async fn finish(mut self) -> anyhow::Result<()> {
        let finished = if self.id.is_none() {
            self.put().await
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
            None => self.begin().await?,
        };
        let bucket = self.bucket.clone();
        let permit = bucket.inner.sending.clone().acquire_owned().await?;
        self.parts += 1;
        let (name, number) = (bucket.object(self.key), self.parts);
        let part = mem::take(&mut self.filling);
        let runtime = bucket.inner.runtime.clone();
        let send = async move {
            let request = bucket.inner.client.upload_part();
            let sent = request
                .bucket(&bucket.inner.name)
                .key(name)
                .upload_id(id)
                .part_number(number)
                .body(part.into())
                .send()
                .await;
            drop(permit);
            let sent = sent.map_err(explain)?;
            Ok(CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .set_checksum_crc32(sent.checksum_crc32)
                .build())
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

    async fn begin(&mut self) -> anyhow::Result<String> {
        let inner = &self.bucket.inner;
        let request = inner.client.create_multipart_upload();
        let begun = request
            .bucket(&inner.name)
            .key(self.bucket.object(self.key))
            .content_type(self.key.content_type())
            .send()
            .await
            .map_err(explain)
            .context("begin a multipart upload")?;
        let id = begun.upload_id.context("the multipart upload has no id")?;
        self.id = Some(id.clone());
        Ok(id)
    }

    /// Stores an object of a single part.
    async fn put(&mut self) -> anyhow::Result<()> {
        let inner = &self.bucket.inner;
        let _permit = inner.sending.acquire().await?;
        let request = inner.client.put_object();
        request
            .bucket(&inner.name)
            .key(self.bucket.object(self.key))
            .content_type(self.key.content_type())
            .body(mem::take(&mut self.filling).into())
            .send()
            .await
            .map_err(explain)?;
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
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let inner = &self.bucket.inner;
        let request = inner.client.complete_multipart_upload();
        request
            .bucket(&inner.name)
            .key(self.bucket.object(self.key))
            .set_upload_id(self.id.clone())
            .multipart_upload(parts.build())
            .send()
            .await
            .map_err(explain)
            .context("complete the multipart upload")?;
        self.id = None;
        Ok(())
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
