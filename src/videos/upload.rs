//! Receiving a video: streamed into storage, counted and sniffed while it arrives. A note in `uploads`
//! is committed before the first byte, so that a killed upload leaves a trace that the sweeper cleans.

use anyhow::Context as _;
use bytes::Bytes;
use diesel_async::AsyncConnection as _;

use super::{
    forget_upload,
    queries::{self, Admission, NewVideo},
    remove_files,
};
use crate::{
    app::App,
    db,
    ids::{UserId, VideoId},
    job::Job,
    media::{SNIFF_BYTES, sniff},
    storage::{StorageKey, Upload},
};

/// Why a file is not taken.
#[derive(Debug)]
pub enum Refusal {
    /// It has more bytes than allowed.
    TooLarge,
    /// Its first bytes are not those of an MP4 video.
    NotAnMp4,
    /// It took longer than allowed.
    TooSlow,
    /// The account has as many uploads running as one may have.
    TooManyOpen,
    /// The account has as many videos waiting for their clips as one may have.
    TooManyWaiting,
    /// Something of ours went wrong.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// A file that is being received.
pub struct Receiving {
    video: VideoId,
    user: UserId,
    file: Upload,
    bytes: u64,
    max_bytes: u64,
    /// The first bytes, until there are enough to sniff at.
    head: Option<Vec<u8>>,
}

impl Receiving {
    /// Starts to receive a file from `user`. Of two at once, the second sees the first.
    pub async fn begin(app: &App, user: UserId) -> Result<Self, Refusal> {
        // A film in another installation's storage would be lost to both.
        app.installation.verify().await?;
        let video = VideoId::generate();
        let noted = db::in_time(async {
            let mut connection = app.db.connection().await?;
            connection
                .transaction(async |connection| {
                    queries::lock_user(connection, user).await?;
                    queries::note_upload(connection, user, video, &app.quota).await
                })
                .await
        });
        match noted.await? {
            Admission::Admitted => {}
            Admission::TooManyOpen => return Err(Refusal::TooManyOpen),
            Admission::TooManyWaiting => return Err(Refusal::TooManyWaiting),
        }
        let file = match app.storage.create(StorageKey::Original(video)).await {
            Ok(file) => file,
            Err(error) => {
                forget(app, video).await;
                return Err(error.into());
            }
        };
        let max_bytes = app.upload.max_file_size;
        Ok(Self {
            video,
            user,
            file,
            bytes: 0,
            max_bytes,
            head: Some(Vec::new()),
        })
    }

    /// Takes the next bytes.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        self.bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.bytes > self.max_bytes {
            return Err(Refusal::TooLarge);
        }
        if let Some(head) = &mut self.head {
            let missing = SNIFF_BYTES.saturating_sub(head.len());
            head.extend(chunk.iter().take(missing));
            if head.len() >= SNIFF_BYTES {
                self.sniff()?;
            }
        }
        Ok(self.file.write(chunk).await?)
    }

    /// Judges the file by its first bytes, once: as soon as there are enough of them, or by the caller
    /// at the end of a file that has fewer.
    pub fn sniff(&mut self) -> Result<(), Refusal> {
        let Some(head) = self.head.take() else {
            return Ok(());
        };
        sniff(&head).map_err(|error| {
            tracing::info!(user = %self.user, %error, "upload refused by its content");
            Refusal::NotAnMp4
        })
    }

    /// Gives the file up and removes its traces.
    pub async fn abandon(self, app: &App) {
        let Self { video, file, .. } = self;
        match file.abort().await {
            Ok(()) => forget(app, video).await,
            Err(error) => left_to_the_sweeper(video, &error),
        }
    }

    /// Makes the file durable and the video known, then wakes a worker. When this returns the video is
    /// accepted: it will be processed even if the broker is down, since the sweeper pushes what the API
    /// could not.
    pub async fn accept(
        mut self,
        app: &App,
        title: &str,
        is_public: bool,
        trace: String,
    ) -> Result<VideoId, Refusal> {
        if let Err(refusal) = self.sniff() {
            self.abandon(app).await;
            return Err(refusal);
        }
        let Self {
            video,
            user,
            file,
            bytes,
            ..
        } = self;
        if let Err(error) = file.finish().await {
            // S3 may have stored it all the same: the answer can get lost.
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
        match db::in_time(insert(app, &row)).await {
            Ok(true) => {}
            Ok(false) => {
                discard(app, video).await;
                return Err(Refusal::TooSlow);
            }
            // Whether it was committed is unknown, if the connection broke just then. The note tells:
            // with it the sweeper removes the file, without it the video is there.
            Err(error) => return Err(error.into()),
        }
        tracing::info!(%video, %user, bytes, "video uploaded");
        if let Err(error) = db::in_time(enqueue(app, video, trace)).await {
            tracing::warn!(%video, "video waits for the sweeper, it could not be pushed: {error:#}");
        }
        Ok(video)
    }
}

/// Turns the note into a video, in one transaction. Returns false if the upload took too long.
async fn insert(app: &App, row: &NewVideo<'_>) -> anyhow::Result<bool> {
    let timeout = app.upload.upload_timeout;
    let mut connection = app.db.connection().await?;
    connection
        .transaction(async |connection| {
            let is_ours = queries::take_upload(connection, row.id, timeout).await?;
            if is_ours {
                queries::lock_user(connection, row.user).await?;
                queries::insert(connection, row).await?;
            }
            anyhow::Ok(is_ours)
        })
        .await
        .context("insert the video")
}

/// Wakes a worker for a new video, and marks it as pushed.
pub async fn enqueue(app: &App, video: VideoId, trace: String) -> anyhow::Result<()> {
    app.queue.push(&Job::process_video(video, trace)).await?;
    let mut connection = app.db.connection().await?;
    queries::jobs::mark_enqueued(&mut connection, video).await
}

/// Removes the file, then the note. What fails here the sweeper does later.
async fn discard(app: &App, video: VideoId) {
    if let Err(error) = remove_files(&app.db, &app.storage, video).await {
        left_to_the_sweeper(video, &error);
    }
}

async fn forget(app: &App, video: VideoId) {
    if let Err(error) = forget_upload(&app.db, video).await {
        left_to_the_sweeper(video, &error);
    }
}

fn left_to_the_sweeper(video: VideoId, error: &anyhow::Error) {
    tracing::warn!(%video, "an abandoned upload is left to the sweeper: {error:#}");
}
