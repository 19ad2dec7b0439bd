//! The public listing, most voted first: videos, or players with their most voted video. Lists,
//! rankings and search read the same rows.

pub mod handlers;
mod queries;

use crate::{app::App, db::Db, keyset::ListRange};
pub use queries::{PublicVideo, search::Found};

/// The two rankings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// Players, by the votes of all their public videos. The earlier start wins a tie.
    Players,
    /// Videos. The earlier upload wins a tie.
    Videos,
}

/// Returns a range of a ranking, nationwide or of a folded city name.
pub async fn rank(
    db: &Db,
    ranking: Ranking,
    city: Option<&str>,
    range: ListRange,
) -> anyhow::Result<Vec<PublicVideo>> {
    let mut connection = db.connection().await?;
    queries::rank(&mut connection, ranking, city, range).await
}

/// Returns a range of the videos, in rank order, in whose title or player's name each word of
/// `text` begins a word.
pub async fn search(
    app: &App,
    text: &str,
    city: Option<&str>,
    range: ListRange,
) -> anyhow::Result<Found> {
    // Taken before the connection, so that waiting searches hold no connections.
    let _permit = app.searches.acquire().await?;
    let mut connection = app.backends.db.connection().await?;
    queries::search::search(&mut connection, text, city, range).await
}
