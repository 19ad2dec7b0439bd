//! Uploads that are received over several requests, so that a broken connection costs seconds and
//! never the upload. The row in `uploads` is the truth: it counts durable bytes only. The video
//! exists exactly when it would count all of them, because one transaction replaces the row with
//! the video. Each request that reads the offset or writes is a new epoch, which fences the writers
//! before it.

mod checksum;
mod state;
mod transfer;
mod writers;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection as _;
use tokio::sync::{mpsc, oneshot};

use self::{
    state::{count_end, discard, progress},
    transfer::Transfer,
};
use super::{
    VideoStatus,
    queries::{
        self, Admission,
        resumable::{self as rows, NewUpload, OpenUpload},
    },
};
use crate::{
    app::{App, Backends},
    db,
    ids::{UserId, VideoId},
    metric,
    storage::{Busy, Missing, StorageKey},
};
pub use checksum::Checksum;
pub use state::Upload;
pub use transfer::TransferError;
pub use writers::Writers;

/// Maximum chunks between a request and its writer. More would only cost memory.
const CHANNEL_CHUNKS: usize = 2;

/// What a client creates.
pub struct Creation {
    /// Bytes.
    pub length: u64,
    pub title: String,
    pub is_public: bool,
    /// As the client sent it.
    pub metadata: String,
    /// Equal for repetitions of one creation; none if each creates another upload.
    pub key: Option<Vec<u8>>,
}

/// The result of a creation.
pub enum Created {
    /// A new upload, or the one that the same creation made before.
    Upload(Upload),
    /// The key belongs to an upload with another length or other metadata.
    KeyReused,
    /// The file has more bytes than the contest allows.
    TooLarge,
    TooManyUploads,
    TooManyOpen,
    TooManyWaiting,
    /// The account has the maximum number of videos in the contest.
    TooManyEntries,
    /// The contest takes no videos now.
    SubmissionsClosed {
        opens_at: DateTime<Utc>,
        closes_at: DateTime<Utc>,
    },
}

/// Creates an upload, or finds the one that the same creation made. Concurrent creations of one
/// user are serialized.
pub async fn create(app: &App, user: UserId, creation: &Creation) -> anyhow::Result<Created> {
    let Backends {
        storage,
        installation,
        ..
    } = &app.backends;
    // A file in another installation's storage would be lost to both.
    installation.verify().await?;
    let video = VideoId::generate();
    storage
        .check_space(StorageKey::Original(video), creation.length)
        .await?;
    let upload = NewUpload {
        video,
        length: i64::try_from(creation.length).context("length")?,
        title: &creation.title,
        is_public: creation.is_public,
        metadata: &creation.metadata,
    };
    let expiry = app.upload.upload_expiry;
    let created = db::with_timeout(async {
        let mut connection = app.backends.db.connection().await?;
        connection
            .transaction(async |connection| {
                queries::lock_user(connection, user).await?;
                if let Some(key) = &creation.key {
                    let earlier = rows::find_created(connection, user, key, expiry).await?;
                    if let Some(earlier) = earlier
                        && let Some(same) = find_same(connection, user, earlier, &upload).await?
                    {
                        return anyhow::Ok(same);
                    }
                    rows::record_key(connection, user, key, video).await?;
                }
                if rows::count(connection, user).await? >= app.quota.max_resumable_uploads.into() {
                    return Ok(Created::TooManyUploads);
                }
                let admission = queries::record_upload(connection, user, video, &app.quota).await?;
                Ok(match admission {
                    Admission::TooManyOpen => Created::TooManyOpen,
                    Admission::TooManyWaiting => Created::TooManyWaiting,
                    Admission::TooManyEntries => Created::TooManyEntries,
                    Admission::SubmissionsClosed {
                        opens_at,
                        closes_at,
                    } => Created::SubmissionsClosed {
                        opens_at,
                        closes_at,
                    },
                    Admission::Admitted {
                        max_bytes: Some(most),
                    } if creation.length > most => {
                        queries::clear_upload(connection, video).await?;
                        Created::TooLarge
                    }
                    Admission::Admitted { .. } => {
                        let row = rows::describe(connection, &upload, expiry).await?;
                        Created::Upload(row.into())
                    }
                })
            })
            .await
    });
    created.await
}

/// Returns the result of a creation whose key created `earlier`, or none if that upload has ended
/// without a usable video.
async fn find_same(
    connection: &mut db::Connection,
    user: UserId,
    earlier: VideoId,
    upload: &NewUpload<'_>,
) -> anyhow::Result<Option<Created>> {
    let open = rows::find(connection, user, earlier).await?;
    let (same, is_same) = if let Some(open) = open {
        if open.expires_at < Utc::now() {
            return Ok(None);
        }
        let is_same =
            open.length == upload.length && pairs(&open.metadata) == pairs(upload.metadata);
        (open.into(), is_same)
    } else {
        match rows::find_complete(connection, user, earlier).await? {
            Some(video) if video.status != VideoStatus::Failed => {
                let is_same = video.original_bytes == upload.length;
                (video.into(), is_same)
            }
            _ => return Ok(None),
        }
    };
    Ok(Some(if is_same {
        Created::Upload(same)
    } else {
        Created::KeyReused
    }))
}

/// Returns the pairs of `Upload-Metadata` in a fixed order. Some clients send them in any.
pub fn pairs(metadata: &str) -> Vec<&str> {
    let mut pairs: Vec<_> = metadata.split(',').map(str::trim).collect();
    pairs.sort_unstable();
    pairs
}

/// Returns the user's open uploads, the latest first. Ends no writer.
pub async fn list(app: &App, user: UserId) -> anyhow::Result<Vec<Upload>> {
    let mut connection = app.backends.db.connection().await?;
    let open = rows::list(&mut connection, user).await?;
    Ok(open.into_iter().map(Upload::from).collect())
}

/// Why a request is refused.
#[derive(Debug)]
pub enum UploadDenial {
    NotFound,
    /// It has expired, or bytes of it are lost.
    Gone,
    /// The upload is at this offset. It may be complete.
    WrongOffset(u64),
    /// The body is longer than the rest of the upload.
    TooLarge,
    /// Another writer does not end.
    Busy,
    /// The process is stopping.
    Stopping,
    /// A system failure.
    Broken(anyhow::Error),
}

impl From<TransferError> for UploadDenial {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Broken(error) => Self::Broken(error),
            _ => Self::Busy,
        }
    }
}

impl From<anyhow::Error> for UploadDenial {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// The state of an upload when a request takes it over.
enum State {
    /// All earlier writers are fenced.
    Open(OpenUpload),
    Complete(Upload),
}

/// Fences earlier writers of the user's upload, and returns its state.
async fn take_over(app: &App, user: UserId, video: VideoId) -> Result<State, UploadDenial> {
    let state = db::with_timeout(async {
        let mut connection = app.backends.db.connection().await?;
        if let Some(row) = rows::fence(&mut connection, user, video).await? {
            return Ok(Ok(State::Open(row)));
        }
        let complete = rows::find_complete(&mut connection, user, video).await?;
        if let Some(complete) = complete {
            return Ok(Ok(State::Complete(complete.into())));
        }
        let expired = rows::find(&mut connection, user, video).await?;
        anyhow::Ok(Err(match expired {
            Some(_) => UploadDenial::Gone,
            None => UploadDenial::NotFound,
        }))
    });
    state.await?
}

/// Ends the writer of an upload, if there is one, and returns where the upload is. A complete upload
/// is found as long as its video exists.
pub async fn locate(
    app: &App,
    writers: &Writers,
    user: UserId,
    video: VideoId,
) -> Result<Upload, UploadDenial> {
    writers.end((user, video)).await;
    let upload = match take_over(app, user, video).await? {
        State::Open(row) => row.into(),
        State::Complete(upload) => upload,
    };
    if (1..upload.length).contains(&upload.offset) {
        metrics::counter!(metric::UPLOAD_RESUMES).increment(1);
    }
    Ok(upload)
}

/// Removes an open upload with everything that arrived.
pub async fn cancel(
    app: &App,
    writers: &Writers,
    user: UserId,
    video: VideoId,
) -> Result<(), UploadDenial> {
    writers.end((user, video)).await;
    match take_over(app, user, video).await? {
        State::Open(row) => discard(&app.backends, &row).await?,
        State::Complete(_) => return Err(UploadDenial::NotFound),
    }
    count_end("cancelled");
    tracing::info!(%video, %user, "upload cancelled");
    Ok(())
}

/// Removes up to `limit` expired uploads. Returns their number. A failed removal does not stop the
/// others.
pub async fn remove_expired(backends: &Backends, limit: i64) -> anyhow::Result<usize> {
    let expired = {
        let mut connection = backends.db.connection().await?;
        rows::fence_expired(&mut connection, limit).await?
    };
    let mut result = Ok(expired.len());
    for row in expired {
        match discard(backends, &row).await {
            Ok(()) => {
                count_end("expired");
                tracing::info!(video = %row.video_id, "expired upload removed");
            }
            Err(error) => result = Err(error),
        }
    }
    result
}

/// A request with bytes.
pub struct Request {
    pub user: UserId,
    pub video: VideoId,
    /// Where the client believes the upload to be.
    pub offset: u64,
    /// Length of the body, if it is known.
    pub length: Option<u64>,
    pub checksum: Option<Checksum>,
    /// Id of the request, for the job's span.
    pub trace: String,
}

/// The way of a request's bytes into an upload.
pub struct Receiver {
    /// Takes the chunks of the body. It closes when the writer takes no more.
    pub chunks: mpsc::Sender<Bytes>,
    /// The result, once the writer has ended.
    pub result: oneshot::Receiver<Result<Upload, TransferError>>,
}

/// Ends the writer before this one, and starts a writer for a request. It runs separately from the
/// request, so that what arrived before a connection broke is recorded.
pub async fn receive(
    app: &App,
    writers: &Writers,
    request: Request,
) -> Result<Receiver, UploadDenial> {
    if writers.shutdown().is_requested() {
        return Err(UploadDenial::Stopping);
    }
    let Request { user, video, .. } = request;
    let registration = writers.replace((user, video)).await;
    let row = match take_over(app, user, video).await? {
        State::Open(row) => row,
        State::Complete(upload) => return Err(UploadDenial::WrongOffset(upload.offset)),
    };
    let progress = progress(&row)?;
    let length = u64::try_from(row.length).context("length")?;
    if request.offset != progress.received {
        return Err(UploadDenial::WrongOffset(progress.received));
    }
    let rest = length.saturating_sub(progress.received);
    if request.length.is_some_and(|length| length > rest) {
        return Err(UploadDenial::TooLarge);
    }
    let Backends { storage, .. } = &app.backends;
    let key = StorageKey::Original(video);
    let file = match storage.resume(key, row.epoch, progress, length).await {
        Err(error) if error.is::<Busy>() => return Err(UploadDenial::Busy),
        Err(error) if error.is::<Missing>() => {
            tracing::warn!(%video, "bytes of an upload are lost: {error:#}");
            discard(&app.backends, &row).await?;
            count_end("lost");
            return Err(UploadDenial::Gone);
        }
        file => file?,
    };
    let mut transfer = Transfer::new(app, row, &file, request.checksum, request.trace).await?;
    transfer.record_start(&file).await?;
    let (chunks, body) = mpsc::channel(CHANNEL_CHUNKS);
    let (done, result) = oneshot::channel();
    let shutdown = writers.shutdown().clone();
    writers.spawn(async move {
        let result = tokio::select! {
            result = transfer.run(file, body, &registration, &shutdown) => result,
            () = shutdown.forced() => Err(TransferError::Stopping),
        };
        drop(registration);
        // The request may have ended.
        drop(done.send(result));
    });
    Ok(Receiver { chunks, result })
}
