//! Objects that are received over several requests. S3 stores parts of at least 5 MiB until the last
//! one, and does not return them before the object is complete. What is left over at the end of a
//! request, the tail, is therefore an object of its own until a part contains it.

use std::mem;

use anyhow::Context as _;
use aws_sdk_s3::{error::SdkError, types::CompletedPart};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{
    Bucket, Missing, StorageKey, objects,
    upload::{OtherParts, PART_BYTES, fill},
};
use crate::{aws::explain, ids::VideoId};

/// What is stored of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Id of the multipart upload; none while the object may be a single part.
    upload: Option<String>,
    /// The parts 1, 2, …: S3 accepts no gap between parts with checksums (`API_CompletedPart`). All
    /// have the same size, so a part that a fenced writer sends late has the bytes of the one that
    /// it replaces.
    done: Vec<Part>,
    tail: Option<Tail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    tag: Option<String>,
    crc32: Option<String>,
    bytes: u64,
}

/// The bytes after the last part, stored by the writer with this epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Tail {
    epoch: i32,
    bytes: u64,
}

impl Parts {
    /// Returns the number of durable bytes.
    pub fn received(&self) -> u64 {
        let parts: u64 = self.done.iter().map(|part| part.bytes).sum();
        parts + self.tail.map_or(0, |tail| tail.bytes)
    }

    /// Returns whether bytes after the last part are stored.
    pub fn has_tail(&self) -> bool {
        self.tail.is_some()
    }
}

/// An object being received. Dropping it keeps what is stored.
pub struct ResumableFile {
    bucket: Bucket,
    key: StorageKey,
    epoch: i32,
    /// What is durable.
    parts: Parts,
    filling: Vec<u8>,
    sending: Option<JoinHandle<anyhow::Result<Part>>>,
    /// Whether the whole object exists: a writer was killed after it had finished it.
    is_stored: bool,
}

impl Bucket {
    /// Continues the object under `key` with what is stored of it. `epoch` identifies the writer, and
    /// `length` is that of the whole object.
    pub async fn resume(
        &self,
        key: StorageKey,
        epoch: i32,
        mut parts: Parts,
        length: u64,
    ) -> anyhow::Result<ResumableFile> {
        let is_long = usize::try_from(length).is_ok_and(|length| length > PART_BYTES);
        let is_stored = parts.received() > 0 && self.size(key).await? == Some(length);
        if parts.upload.is_none() && is_long && !is_stored {
            parts.upload = Some(self.begin(key).await?);
        }
        let mut filling = Vec::new();
        if let Some(tail) = parts.tail.filter(|_| !is_stored) {
            fill(&mut filling, &self.read_tail(key.video(), tail).await?);
        }
        Ok(ResumableFile {
            bucket: self.clone(),
            key,
            epoch,
            parts,
            filling,
            sending: None,
            is_stored,
        })
    }

    /// Aborts the multipart upload of an unfinished object, if there is one.
    pub async fn abort(&self, key: StorageKey, parts: &Parts) -> anyhow::Result<()> {
        match &parts.upload {
            Some(id) => objects::abort_upload(self, &self.object(key), id).await,
            None => Ok(()),
        }
    }

    /// Returns the name prefix of the tails of a video.
    pub fn tails(&self, video: VideoId) -> String {
        format!("{}/{video}.tail.", self.inner.uploads)
    }

    /// Returns the key of the object that a tail belongs to, or none for another object.
    pub fn tail_of(&self, name: &str) -> Option<StorageKey> {
        let name = name.strip_prefix(&self.inner.uploads)?.strip_prefix('/')?;
        let (video, epoch) = name.split_once(".tail.")?;
        epoch.parse::<i32>().ok()?;
        VideoId::parse(video).map(StorageKey::Original)
    }

    /// Returns the size of an object (bytes), if it exists.
    async fn size(&self, key: StorageKey) -> anyhow::Result<Option<u64>> {
        let head = self.inner.client.head_object();
        let head = head.bucket(&self.inner.name).key(self.object(key));
        match head.send().await {
            Ok(object) => Ok(object
                .content_length
                .and_then(|bytes| u64::try_from(bytes).ok())),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(explain(error)).with_context(|| format!("look up {key}")),
        }
    }

    async fn read_tail(&self, video: VideoId, tail: Tail) -> anyhow::Result<Vec<u8>> {
        let name = format!("{}{}", self.tails(video), tail.epoch);
        let get = self.inner.client.get_object();
        let got = get.bucket(&self.inner.name).key(&name).send().await;
        let got = got
            .map_err(explain)
            .with_context(|| format!("read {name}"))?;
        let bytes = got
            .body
            .collect()
            .await
            .with_context(|| format!("read {name}"))?;
        let bytes = bytes.to_vec();
        anyhow::ensure!(
            u64::try_from(bytes.len()) == Ok(tail.bytes),
            "read {name}: {} bytes of {}",
            bytes.len(),
            tail.bytes
        );
        Ok(bytes)
    }

    /// Removes the tails of a video that the writers up to `epoch` stored, except the one in `parts`.
    pub async fn forget_replaced(
        &self,
        video: VideoId,
        epoch: i32,
        parts: &Parts,
    ) -> anyhow::Result<()> {
        let prefix = self.tails(video);
        let kept = parts.tail.map(|tail| tail.epoch);
        objects::delete(self, &prefix, |name| {
            let stored_by = name.strip_prefix(&prefix);
            let stored_by = stored_by.and_then(|end| end.parse::<i32>().ok());
            stored_by.is_some_and(|stored_by| stored_by <= epoch && Some(stored_by) != kept)
        })
        .await
    }

    pub async fn remove_unfinished(&self, key: StorageKey) -> anyhow::Result<()> {
        let object = self.object(key);
        objects::abort_uploads(self, &object, |name| name == object).await?;
        objects::delete(self, &self.tails(key.video()), |_| true).await
    }

    /// Removes the tail that the writer `epoch` of a video stored.
    pub async fn forget_own(&self, video: VideoId, epoch: i32) -> anyhow::Result<()> {
        let name = format!("{}{epoch}", self.tails(video));
        objects::delete(self, &name, |found| found == name).await
    }
}

impl ResumableFile {
    pub async fn write(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        if self.is_stored {
            return Ok(());
        }
        if self.sending.as_ref().is_some_and(JoinHandle::is_finished) {
            self.record_part().await?;
        }
        while !bytes.is_empty() {
            bytes = fill(&mut self.filling, bytes);
            // The last part of an object is sent when it is finished.
            if self.filling.len() == PART_BYTES && self.parts.upload.is_some() {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    pub fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// Returns the first bytes of an object of which no part is stored.
    pub fn start(&self, bytes: usize) -> Vec<u8> {
        self.filling.iter().take(bytes).copied().collect()
    }

    /// Returns what is durable.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Makes all written bytes durable. The caller records the result before it calls
    /// [`Bucket::forget_replaced`].
    pub async fn checkpoint(&mut self) -> anyhow::Result<()> {
        self.record_part().await?;
        let bytes = u64::try_from(self.filling.len())?;
        if !self.is_stored && bytes != self.parts.tail.map_or(0, |tail| tail.bytes) {
            self.store_tail(bytes).await?;
        }
        Ok(())
    }

    /// Makes the object visible. Returns [`Missing`] if its parts were replaced by other bytes.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let finished = async {
            if self.is_stored {
                return Ok(());
            }
            let Some(upload) = self.parts.upload.clone() else {
                let bytes = mem::take(&mut self.filling);
                return self.bucket.put(self.key, bytes).await;
            };
            if !self.filling.is_empty() {
                self.send_part().await?;
            }
            self.record_part().await?;
            let parts = (1..).zip(&self.parts.done).map(|(number, part)| {
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(part.tag.clone())
                    .set_checksum_crc32(part.crc32.clone())
                    .build()
            });
            self.bucket
                .complete(self.key, &upload, parts.collect())
                .await
        };
        let finished: anyhow::Result<()> = finished.await;
        let finished = finished.map_err(|error| {
            if error.is::<OtherParts>() {
                error.context(Missing(self.key))
            } else {
                error
            }
        });
        finished.with_context(|| format!("store {}", self.key))
    }

    /// Starts sending the full part, after the previous one is stored.
    async fn send_part(&mut self) -> anyhow::Result<()> {
        self.record_part().await?;
        let upload = self.parts.upload.clone().context("the upload has no id")?;
        let number = i32::try_from(self.parts.done.len())? + 1;
        let (bucket, key) = (self.bucket.clone(), self.key);
        let permit = bucket.inner.sending.clone().acquire_owned().await?;
        let part = mem::take(&mut self.filling);
        let bytes = u64::try_from(part.len())?;
        let runtime = bucket.inner.runtime.clone();
        self.sending = Some(runtime.spawn(async move {
            let sent = bucket.send_part(key, &upload, number, part).await;
            drop(permit);
            let sent = sent?;
            Ok(Part {
                tag: sent.e_tag,
                crc32: sent.checksum_crc32,
                bytes,
            })
        }));
        Ok(())
    }

    /// Waits for the part that is being sent. It contains the tail, if there was one.
    pub async fn record_part(&mut self) -> anyhow::Result<()> {
        if let Some(sending) = self.sending.take() {
            let part = sending
                .await
                .context("send a part")?
                .context("send a part")?;
            self.parts.done.push(part);
            self.parts.tail = None;
        }
        Ok(())
    }

    async fn store_tail(&mut self, bytes: u64) -> anyhow::Result<()> {
        let (bucket, epoch) = (&self.bucket, self.epoch);
        let name = format!("{}{epoch}", bucket.tails(self.key.video()));
        let stored = bucket.put_named(&name, self.key.content_type(), self.filling.clone());
        stored.await.with_context(|| format!("store {name}"))?;
        self.parts.tail = Some(Tail { epoch, bytes });
        Ok(())
    }
}

/// A HEAD response has no body with an error code.
fn is_not_found<E>(error: &SdkError<E>) -> bool {
    error
        .raw_response()
        .is_some_and(|response| response.status().as_u16() == 404)
}
