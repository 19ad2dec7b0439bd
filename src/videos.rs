//! Videos: upload, processing, publishing, deleting, watching.

pub mod clean;
mod failure;
pub mod fsck;
pub mod handlers;
pub mod operator;
pub mod process;
mod queries;
pub mod remake;
pub mod sweep;
pub mod upload;

use diesel_async::AsyncConnection as _;

use crate::{
    app::App,
    db::{self, Db, seek::Part, types::VideoStatus},
    ids::{UserId, VideoId},
    storage::{Storage, StorageKey},
    validate::{Checks, FieldError},
};
pub use failure::Failure;
pub use queries::{
    Video,
    jobs::Claim,
    operator::Depth,
    ranked::{By, Ranked},
    search::Found,
};

/// Bounds of a title, in characters.
const TITLE_LENGTH: (usize, usize) = (5, 100);

/// Why a video is not there for somebody.
#[derive(Debug, PartialEq, Eq)]
pub enum Denial {
    /// It is somebody else's.
    Forbidden,
    /// There is none.
    NotFound,
}

/// What its owner changes about a video; `None` leaves it as it is.
#[derive(Debug, Default)]
pub struct Change {
    pub title: Option<String>,
    pub is_public: Option<bool>,
}

/// How a change ended.
#[derive(Debug)]
pub enum ChangeOutcome {
    Changed(Box<Video>),
    Denied(Denial),
    /// It failed, and so cannot be published.
    NotPublishable,
}

/// How a delete ended.
#[derive(Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    Deleted,
    Denied(Denial),
    /// It takes part in the vote; unpublish it first.
    Published,
}

impl Video {
    /// Returns the keys of clip and poster, once they are there.
    pub fn outputs(&self) -> Option<(StorageKey, StorageKey)> {
        // A processed video is never claimed again: its attempt is the one that made the outputs.
        let keys = (
            StorageKey::Clip(self.id, self.attempt),
            StorageKey::Poster(self.id, self.attempt),
        );
        (self.status == VideoStatus::Processed).then_some(keys)
    }

    /// Tells whether the public may watch it.
    pub fn is_watchable(&self) -> bool {
        self.is_public && self.status == VideoStatus::Processed
    }
}

/// Returns the attempt whose outputs a video may have now; none while it waits, or failed.
fn attempt_with_outputs(status: VideoStatus, attempt: i32) -> Option<i32> {
    match status {
        VideoStatus::Processing | VideoStatus::Processed => Some(attempt),
        VideoStatus::Uploaded | VideoStatus::Failed => None,
    }
}

/// Checks a title and returns it without surrounding blanks.
pub fn check_title(title: &str) -> Result<String, Vec<FieldError>> {
    let mut checks = Checks::default();
    let title = checks.line("title", title, TITLE_LENGTH.0, TITLE_LENGTH.1);
    checks.finish()?;
    Ok(title)
}

/// Returns the video if it is the user's own.
pub async fn find_own(
    app: &App,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<Result<Video, Denial>> {
    let mut connection = app.db.connection().await?;
    Ok(match queries::find(&mut connection, video).await? {
        Some(found) if found.user_id == user => Ok(found),
        Some(_) => Err(Denial::Forbidden),
        None => Err(Denial::NotFound),
    })
}

/// Returns part of a ranking, of the players of a city or of all.
pub async fn ranked(
    app: &App,
    by: By,
    city: Option<&str>,
    part: Part,
) -> anyhow::Result<Vec<Ranked>> {
    let mut connection = app.db.connection().await?;
    queries::ranked::ranked(&mut connection, by, city, part).await
}

/// Returns part of the public videos whose title and player's name have words that begin with those of `text`.
pub async fn search(
    app: &App,
    text: &str,
    city: Option<&str>,
    part: Part,
) -> anyhow::Result<Found> {
    // Taken before the connection: who waits for a turn keeps none.
    let _turn = app.searches.take().await?;
    let mut connection = app.db.connection().await?;
    queries::search::search(&mut connection, text, city, part).await
}

/// Changes title or visibility. Publishing works in any state but `failed`; unpublishing keeps the
/// votes.
pub async fn change(
    app: &App,
    user: UserId,
    video: VideoId,
    change: &Change,
) -> anyhow::Result<ChangeOutcome> {
    let changed = {
        let mut connection = app.db.connection().await?;
        queries::update(&mut connection, user, video, change).await?
    };
    if let Some(changed) = changed {
        return Ok(ChangeOutcome::Changed(Box::new(changed)));
    }
    Ok(match find_own(app, user, video).await? {
        Err(denial) => ChangeOutcome::Denied(denial),
        Ok(_) => ChangeOutcome::NotPublishable,
    })
}

/// Deletes a video: the row, and with it votes and any running job, then its files. A worker may store
/// some once more before it is told, and die; so the note in `uploads` stays, for the sweeper to look again.
pub async fn delete(app: &App, user: UserId, video: VideoId) -> anyhow::Result<DeleteOutcome> {
    let mut connection = app.db.connection().await?;
    let is_deleted = connection
        .transaction(async |connection| {
            let is_deleted = queries::delete(connection, user, video).await?;
            if is_deleted {
                queries::note_delete(connection, user, video).await?;
            }
            anyhow::Ok(is_deleted)
        })
        .await?;
    drop(connection);
    if !is_deleted {
        return Ok(match find_own(app, user, video).await? {
            Err(denial) => DeleteOutcome::Denied(denial),
            Ok(_) => DeleteOutcome::Published,
        });
    }
    tracing::info!(%video, "video deleted");
    if let Err(error) = app.storage.delete_video(video).await {
        // Without its row it is deleted all the same.
        tracing::warn!(%video, "files of a deleted video are left to the sweeper: {error:#}");
    }
    Ok(DeleteOutcome::Deleted)
}

/// Removes the files of a video without a row, then the note that there may be some.
async fn remove_files(db: &Db, storage: &Storage, video: VideoId) -> anyhow::Result<()> {
    storage.delete_video(video).await?;
    forget_upload(db, video).await
}

async fn forget_upload(db: &Db, video: VideoId) -> anyhow::Result<()> {
    db::in_time(async {
        let mut connection = db.connection().await?;
        queries::forget_upload(&mut connection, video).await
    })
    .await
}
