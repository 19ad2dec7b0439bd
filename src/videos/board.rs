//! What the pages of players and organisers show besides single videos: places in line, running
//! jobs, failures by reason.

use std::collections::HashMap;

use super::queries::board;
pub use super::queries::board::{
    FailureCount, MAX_WAITING, OrganisedVideo, Progress, Throughput, Wanted,
};
use crate::{
    db::Db,
    ids::{UserId, VideoId},
};

/// Returns how far the videos among `ids` are, in no order.
pub async fn progress(db: &Db, ids: &[VideoId]) -> anyhow::Result<Vec<Progress>> {
    let mut connection = db.connection().await?;
    board::progress(&mut connection, ids).await
}

/// Returns the videos among `ids` that `user` owns.
pub async fn own_among(db: &Db, user: UserId, ids: &[VideoId]) -> anyhow::Result<Vec<VideoId>> {
    let mut connection = db.connection().await?;
    board::own_among(&mut connection, user, ids).await
}

/// Returns the wanted videos, newest first.
pub async fn organised(
    db: &Db,
    wanted: &Wanted,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<OrganisedVideo>> {
    let mut connection = db.connection().await?;
    board::organised(&mut connection, wanted, limit, offset).await
}

/// Returns the titles of the videos among `ids` that exist.
pub async fn titles(db: &Db, ids: &[VideoId]) -> anyhow::Result<HashMap<VideoId, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut connection = db.connection().await?;
    let titles = board::titles(&mut connection, ids).await?;
    Ok(titles.into_iter().collect())
}

/// Returns the videos among `ids` as organisers see them, in no order.
pub async fn organised_among(db: &Db, ids: &[VideoId]) -> anyhow::Result<Vec<OrganisedVideo>> {
    let mut connection = db.connection().await?;
    board::organised_among(&mut connection, ids).await
}

/// Counts the failed videos by reason, most frequent first.
pub async fn failures_by_reason(db: &Db) -> anyhow::Result<Vec<FailureCount>> {
    let mut connection = db.connection().await?;
    board::failures_by_reason(&mut connection).await
}

/// Counts what was processed recently, and the uploads that are open.
pub async fn throughput(db: &Db) -> anyhow::Result<Throughput> {
    let mut connection = db.connection().await?;
    board::throughput(&mut connection).await
}
