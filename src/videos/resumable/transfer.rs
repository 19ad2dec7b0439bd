//! The bytes of one request on their way into an upload.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use diesel_async::AsyncConnection as _;
use tokio::{sync::mpsc, time::sleep};

use super::{
    checksum::Checksum,
    state::{Upload, count_end, discard, progress},
    writers::Registration,
};
use crate::{
    app::App,
    db,
    ids::{UserId, VideoId},
    media::{NotAnMp4, SNIFF_BYTES, Sniffer},
    metric,
    shutdown::Shutdown,
    storage::{Missing, Progress, ResumableFile, StorageKey},
    videos::{
        queries::{
            self, NewVideo,
            resumable::{self as rows, OpenUpload},
        },
        upload::enqueue,
    },
};

/// Time without bytes after which a writer records what arrived, and checks whether another process
/// fenced it.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Why not all bytes of a request were received.
#[derive(Debug)]
pub enum TransferError {
    /// A newer request took the upload over.
    Fenced,
    /// The process is stopping. What arrived is recorded.
    Stopping,
    /// The body is longer than the rest of the upload.
    TooLarge,
    /// Nothing of the request is recorded.
    ChecksumMismatch,
    /// The upload is removed.
    NotAnMp4,
    /// Bytes of the upload are lost, and it is removed.
    Gone,
    /// A system failure.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for TransferError {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

pub struct Transfer {
    app: App,
    row: OpenUpload,
    length: u64,
    trace: String,
    /// Number of durable bytes that are recorded.
    recorded: u64,
    /// Number of bytes of the upload, durable or not.
    written: u64,
    /// Whether this request replaces bytes that were stored apart.
    replaces_tail: bool,
    sniffer: Sniffer,
    checksum: Option<Checksum>,
}

/// Why a writer takes no more bytes.
enum End {
    /// The body ended or the connection broke.
    Body,
    Replaced,
    Stopping,
}

impl Transfer {
    /// Prepares to receive a request's bytes into `file`, which `row` describes.
    pub async fn new(
        app: &App,
        row: OpenUpload,
        file: &ResumableFile,
        checksum: Option<Checksum>,
        trace: String,
    ) -> anyhow::Result<Self> {
        let recorded = u64::try_from(row.received)?;
        let is_checked = file.is_stored() || recorded >= u64::try_from(SNIFF_BYTES)?;
        let sniffer = if is_checked {
            Sniffer::checked()
        } else {
            Sniffer::after(file.read_start(recorded).await?)
        };
        let replaces_tail = progress(&row)?.parts.has_tail();
        Ok(Self {
            app: app.clone(),
            length: u64::try_from(row.length)?,
            row,
            trace,
            recorded,
            written: recorded,
            replaces_tail,
            sniffer,
            checksum,
        })
    }

    /// Records the multipart upload of the file if it has just begun, so that it can be removed.
    pub async fn record_start(&mut self, file: &ResumableFile) -> Result<(), TransferError> {
        let begun = file.progress();
        if begun.parts == progress(&self.row)?.parts {
            return Ok(());
        }
        let recorded = self.record(&begun).await;
        if let Err(TransferError::Fenced) = recorded {
            let storage = &self.app.backends.storage;
            storage.abort(self.key(), &begun).await?;
        }
        recorded
    }

    /// Writes the body until it ends or this writer has to end. Returns the upload as it is recorded.
    pub async fn run(
        mut self,
        file: ResumableFile,
        body: mpsc::Receiver<Bytes>,
        registration: &Registration,
        shutdown: &Shutdown,
    ) -> Result<Upload, TransferError> {
        let before = self.recorded;
        let received = self.receive(file, body, registration, shutdown).await;
        let new = self.recorded - before;
        let again = (self.written - before).saturating_sub(new);
        metrics::counter!(metric::UPLOAD_BYTES, "kind" => "new").increment(new);
        metrics::counter!(metric::UPLOAD_BYTES, "kind" => "again").increment(again);
        if let Err(TransferError::Fenced) = received {
            metrics::counter!(metric::UPLOADS_FENCED).increment(1);
        }
        received
    }

    async fn receive(
        &mut self,
        mut file: ResumableFile,
        mut body: mpsc::Receiver<Bytes>,
        registration: &Registration,
        shutdown: &Shutdown,
    ) -> Result<Upload, TransferError> {
        let end = loop {
            tokio::select! {
                biased;
                () = registration.replaced() => break End::Replaced,
                () = shutdown.requested() => break End::Stopping,
                chunk = body.recv() => match chunk {
                    Some(chunk) => self.write(&mut file, chunk).await?,
                    None => break End::Body,
                },
                () = sleep(IDLE_INTERVAL) => {
                    self.check_fence().await?;
                    let progress = file.record_idle().await?;
                    self.record_if_checked(progress).await?;
                }
            }
        };
        // No more bytes are taken, but none that were are lost.
        body.close();
        while let Some(chunk) = body.recv().await {
            self.write(&mut file, chunk).await?;
        }
        self.close(file, end).await
    }

    fn video(&self) -> VideoId {
        self.row.video_id
    }

    fn user(&self) -> UserId {
        self.row.user_id
    }

    fn key(&self) -> StorageKey {
        StorageKey::Original(self.row.video_id)
    }

    async fn write(&mut self, file: &mut ResumableFile, chunk: Bytes) -> Result<(), TransferError> {
        let length = u64::try_from(chunk.len()).context("chunk")?;
        if self.written + length > self.length {
            return Err(TransferError::TooLarge);
        }
        let sniffed = self.sniffer.push(&chunk);
        self.judge(sniffed).await?;
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&chunk);
        }
        self.written += length;
        let progress = file.write(chunk).await?;
        self.record_if_checked(progress).await
    }

    /// Records a checkpoint, except of bytes that may be no video, or damaged.
    async fn record_if_checked(&mut self, progress: Option<Progress>) -> Result<(), TransferError> {
        match progress {
            Some(progress) if self.sniffer.is_checked() && self.checksum.is_none() => {
                self.record(&progress).await
            }
            _ => Ok(()),
        }
    }

    /// Removes an upload of another file type.
    async fn judge(&self, sniffed: Result<(), NotAnMp4>) -> Result<(), TransferError> {
        if let Err(error) = sniffed {
            tracing::info!(user = %self.user(), %error, "upload rejected by its content");
            discard(&self.app.backends, &self.row).await?;
            count_end("rejected");
            return Err(TransferError::NotAnMp4);
        }
        Ok(())
    }

    /// Ends this writer if it was fenced. A database that is away changes nothing.
    async fn check_fence(&self) -> Result<(), TransferError> {
        match self.is_latest().await {
            Ok(false) => Err(TransferError::Fenced),
            Ok(true) => Ok(()),
            Err(error) => {
                tracing::debug!("failed to look for a newer writer: {error:#}");
                Ok(())
            }
        }
    }

    async fn is_latest(&self) -> anyhow::Result<bool> {
        db::with_timeout(async {
            let mut connection = self.app.backends.db.connection().await?;
            rows::is_latest(&mut connection, self.video(), self.row.epoch).await
        })
        .await
    }

    async fn record(&mut self, progress: &Progress) -> Result<(), TransferError> {
        let parts = serde_json::to_value(&progress.parts).context("parts")?;
        let received = i64::try_from(progress.received).context("received")?;
        let (video, epoch) = (self.video(), self.row.epoch);
        let started = Instant::now();
        let recorded = db::with_timeout(async {
            let mut connection = self.app.backends.db.connection().await?;
            rows::record(&mut connection, video, epoch, received, &parts).await
        });
        if !recorded.await? {
            return Err(TransferError::Fenced);
        }
        metrics::histogram!(metric::UPLOAD_CHECKPOINT).record(started.elapsed());
        self.recorded = progress.received;
        (self.row.received, self.row.parts) = (received, parts);
        Ok(())
    }

    async fn close(&mut self, file: ResumableFile, end: End) -> Result<Upload, TransferError> {
        if let Some(checksum) = self.checksum.take() {
            match end {
                End::Replaced => return Err(TransferError::Fenced),
                End::Stopping => return Err(TransferError::Stopping),
                End::Body if !checksum.matches() => return Err(TransferError::ChecksumMismatch),
                End::Body => {}
            }
        }
        if self.written == self.length {
            let sniffed = self.sniffer.finish();
            self.judge(sniffed).await?;
            return self.complete(file).await;
        }
        self.checkpoint(file).await?;
        match end {
            End::Body => Ok(self.upload()),
            End::Replaced => Err(TransferError::Fenced),
            End::Stopping => Err(TransferError::Stopping),
        }
    }

    /// Records everything that arrived, and removes what this replaces.
    async fn checkpoint(&mut self, mut file: ResumableFile) -> Result<(), TransferError> {
        let progress = file.checkpoint().await?;
        // Releases the lock for the next writer.
        drop(file);
        let recorded = self.record(&progress).await;
        let (key, epoch) = (self.key(), self.row.epoch);
        let storage = &self.app.backends.storage;
        let removed = match recorded {
            // There is nothing to list. What a killed writer left is removed at the end.
            Ok(()) if !self.replaces_tail => Ok(()),
            Ok(()) => storage.forget_replaced(key, epoch, &progress).await,
            // The upload may have ended, and then nobody would remove what this writer stored.
            Err(TransferError::Fenced) => storage.forget_own(key, epoch).await,
            Err(_) => Ok(()),
        };
        if let Err(error) = removed {
            tracing::warn!(%key, "failed to remove replaced bytes of an upload: {error:#}");
        }
        recorded
    }

    /// Finishes the file and replaces the row with the video. Until the commit, clients see fewer
    /// bytes and send the rest again.
    async fn complete(&mut self, file: ResumableFile) -> Result<Upload, TransferError> {
        // A fenced writer must not finish a file that a newer one is writing.
        if !self.is_latest().await? {
            return Err(TransferError::Fenced);
        }
        let (video, user, key) = (self.video(), self.user(), self.key());
        let Self { app, row, .. } = self;
        match file.finish().await {
            Err(error) if error.is::<Missing>() => {
                tracing::warn!(%video, "bytes of an upload are lost: {error:#}");
                discard(&app.backends, row).await?;
                count_end("lost");
                return Err(TransferError::Gone);
            }
            finished => finished?,
        }
        let storage = &app.backends.storage;
        let everything = Progress::default();
        storage.forget_replaced(key, row.epoch, &everything).await?;
        let epoch = row.epoch;
        let row = NewVideo {
            id: video,
            user,
            title: &row.title,
            is_public: row.is_public,
            original_bytes: row.length,
        };
        let committed = db::with_timeout(async {
            let mut connection = app.backends.db.connection().await?;
            connection
                .transaction(async |connection| {
                    let claimed = rows::remove(connection, video, epoch).await?;
                    if let Some(claimed) = claimed {
                        queries::lock_user(connection, user).await?;
                        queries::insert(connection, &row, claimed).await?;
                    }
                    anyhow::Ok(claimed.is_some())
                })
                .await
        });
        if !committed.await? {
            return Err(TransferError::Fenced);
        }
        self.recorded = self.length;
        count_end("completed");
        tracing::info!(%video, %user, bytes = self.length, "video uploaded");
        let pushed = db::with_timeout(enqueue(&self.app, video, self.trace.clone()));
        if let Err(error) = pushed.await {
            tracing::warn!(%video, "failed to push the video, the sweeper will retry: {error:#}");
        }
        Ok(Upload {
            expires_at: None,
            ..self.upload()
        })
    }

    fn upload(&self) -> Upload {
        Upload {
            offset: self.recorded,
            ..Upload::from(self.row.clone())
        }
    }
}
