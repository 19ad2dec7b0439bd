//! Upload of a video, streamed into storage and checked for size and type while it arrives. A row
//! in `uploads` is committed before the first byte, so that the cleanup finds a killed upload.

use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection as _;

use super::{
    clear_upload,
    queries::{self, Admission, NewVideo},
    remove_files,
};
use crate::{
    app::{App, Backends},
    db,
    ids::{UserId, VideoId},
    job::Job,
    media::{NotAnMp4, Sniffer},
    metric,
    storage::{NewFile, StorageKey},
};

/// The kind of these uploads in the metrics.
const KIND: &str = "form";

/// Counts an upload that has ended.
pub fn count_end(kind: &'static str, outcome: &'static str) {
    metrics::counter!(metric::UPLOADS, "kind" => kind, "outcome" => outcome).increment(1);
}

/// Why an upload is rejected.
#[derive(Debug)]
pub enum UploadError {
    /// It has more bytes than allowed.
    TooLarge,
    /// Its first bytes are not those of an MP4 video.
    NotAnMp4,
    /// It took longer than allowed.
    TooSlow,
    /// The account has the maximum number of running uploads.
    TooManyOpen,
    /// The account has the maximum number of waiting videos.
    TooManyWaiting,
    /// The account has the maximum number of videos in the contest.
    TooManyEntries,
    /// The contest takes no videos now.
    SubmissionsClosed {
        opens_at: DateTime<Utc>,
        closes_at: DateTime<Utc>,
    },
    /// A system failure.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for UploadError {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// A file being received.
pub struct Receiving {
    video: VideoId,
    user: UserId,
    file: NewFile,
    bytes: u64,
    max_bytes: u64,
    sniffer: Sniffer,
}

impl Receiving {
    /// Starts receiving a file from `user`. Concurrent calls count each other against the quota.
    pub async fn begin(app: &App, user: UserId) -> Result<Self, UploadError> {
        // A file in another installation's storage would be lost to both.
        app.backends.installation.verify().await?;
        let video = VideoId::generate();
        let noted = db::with_timeout(async {
            let mut connection = app.backends.db.connection().await?;
            connection
                .transaction(async |connection| {
                    queries::lock_user(connection, user).await?;
                    queries::record_upload(connection, user, video, &app.quota).await
                })
                .await
        });
        let contest_max = match noted.await? {
            Admission::Admitted { max_bytes } => max_bytes,
            Admission::TooManyOpen => return Err(UploadError::TooManyOpen),
            Admission::TooManyWaiting => return Err(UploadError::TooManyWaiting),
            Admission::TooManyEntries => return Err(UploadError::TooManyEntries),
            Admission::SubmissionsClosed {
                opens_at,
                closes_at,
            } => {
                return Err(UploadError::SubmissionsClosed {
                    opens_at,
                    closes_at,
                });
            }
        };
        let storage = &app.backends.storage;
        let file = match storage.create(StorageKey::Original(video)).await {
            Ok(file) => file,
            Err(error) => {
                log_failure(video, clear_upload(&app.backends.db, video).await);
                return Err(error.into());
            }
        };
        let max_bytes = app.upload.max_file_size;
        let max_bytes = contest_max.map_or(max_bytes, |most| most.min(max_bytes));
        Ok(Self {
            video,
            user,
            file,
            bytes: 0,
            max_bytes,
            sniffer: Sniffer::after(Vec::new()),
        })
    }

    /// Appends the next bytes.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), UploadError> {
        self.bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.bytes > self.max_bytes {
            return Err(UploadError::TooLarge);
        }
        let sniffed = self.sniffer.push(&chunk);
        self.judge(sniffed)?;
        Ok(self.file.write(chunk).await?)
    }

    /// Checks the file type at the end of a file, unless it was long enough to be checked before.
    pub fn sniff(&mut self) -> Result<(), UploadError> {
        let sniffed = self.sniffer.finish();
        self.judge(sniffed)
    }

    fn judge(&self, sniffed: Result<(), NotAnMp4>) -> Result<(), UploadError> {
        sniffed.map_err(|error| {
            tracing::info!(user = %self.user, %error, "upload rejected by its content");
            UploadError::NotAnMp4
        })
    }

    /// Aborts the upload and removes its row in `uploads`.
    pub async fn abandon(self, app: &App) {
        count_end(KIND, "abandoned");
        let removed = async {
            self.file.abort().await?;
            clear_upload(&app.backends.db, self.video).await
        };
        log_failure(self.video, removed.await);
    }

    /// Makes the file durable, inserts the video, then wakes a worker. Once this returns, the video
    /// will be processed even if the broker is down, because the sweeper pushes it then.
    pub async fn accept(
        mut self,
        app: &App,
        title: &str,
        is_public: bool,
        trace: String,
    ) -> Result<VideoId, UploadError> {
        if let Err(error) = self.sniff() {
            self.abandon(app).await;
            return Err(error);
        }
        let Self {
            video,
            user,
            file,
            bytes,
            ..
        } = self;
        if let Err(error) = file.finish().await {
            // S3 may have stored the file, if only its response was lost.
            discard(app, video).await;
            return Err(error.into());
        }
        let row = NewVideo {
            id: video,
            user,
            title,
            is_public,
            original_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        };
        match db::with_timeout(insert(app, &row)).await {
            Ok(true) => {}
            Ok(false) => {
                discard(app, video).await;
                return Err(UploadError::TooSlow);
            }
            // The commit is uncertain if the connection broke during it. If it failed, the row in
            // `uploads` remains and the cleanup removes the file. Otherwise the video exists.
            Err(error) => return Err(error.into()),
        }
        count_end(KIND, "completed");
        tracing::info!(%video, %user, bytes, "video uploaded");
        if let Err(error) = db::with_timeout(enqueue(app, video, trace)).await {
            tracing::warn!(%video, "failed to push the video, the sweeper will retry: {error:#}");
        }
        Ok(video)
    }
}

/// Replaces the row in `uploads` with a video, in one transaction. Returns false if the upload
/// timed out.
async fn insert(app: &App, row: &NewVideo<'_>) -> anyhow::Result<bool> {
    let timeout = app.upload.upload_timeout;
    let mut connection = app.backends.db.connection().await?;
    connection
        .transaction(async |connection| {
            let claimed = queries::claim_upload(connection, row.id, timeout).await?;
            if let Some(claimed) = claimed {
                queries::lock_user(connection, row.user).await?;
                queries::insert(connection, row, claimed).await?;
            }
            anyhow::Ok(claimed.is_some())
        })
        .await
        .context("insert the video")
}

/// Wakes a worker for a new video, and marks it as pushed.
pub async fn enqueue(app: &App, video: VideoId, trace: String) -> anyhow::Result<()> {
    let Backends { db, queue, .. } = &app.backends;
    queue.push(&Job::process_video(video, trace)).await?;
    let mut connection = db.connection().await?;
    queries::jobs::mark_enqueued(&mut connection, video).await
}

/// Removes the file, then its row in `uploads`.
async fn discard(app: &App, video: VideoId) {
    log_failure(video, remove_files(&app.backends, video).await);
}

/// Logs a failed removal, which the cleanup retries.
fn log_failure(video: VideoId, removed: anyhow::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(%video, "failed to remove an abandoned upload, will retry: {error:#}");
    }
}
