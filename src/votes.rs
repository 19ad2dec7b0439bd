//! Votes: one per person and video.

pub mod handlers;
mod queries;

use crate::{
    app::App,
    ids::{UserId, VideoId},
};

/// How a vote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastOutcome {
    /// It counts.
    Counted,
    /// There is one by this user already.
    AlreadyVoted,
    /// Nobody votes for their own video.
    OwnVideo,
    /// The video is not there, not processed or not public.
    NotFound,
}

/// Casts the vote of `user` for `video`. Of several at once, one counts.
pub async fn cast(app: &App, user: UserId, video: VideoId) -> anyhow::Result<CastOutcome> {
    let mut connection = app.db.connection().await?;
    queries::cast(&mut connection, user, video).await
}
