//! The public listing, most voted first: videos, or players with their most voted video. Lists,
//! rankings and search read the same rows.

pub mod handlers;
mod queries;

use diesel_async::AsyncConnection as _;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;

use crate::{
    app::App,
    db::Db,
    ids::VideoId,
    keyset::{ListRange, RankKey},
};
pub use queries::{
    PublicVideo,
    lookup::{Ahead, City, MAX_AHEAD},
    search::Found,
    table::TableRow,
};

/// The two rankings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// Players, by the votes of all their public videos. The earlier start wins a tie.
    Players,
    /// Videos. The earlier upload wins a tie.
    Videos,
}

/// Returns a range of a ranking, nationwide or of a city, given by a folded name.
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

/// Returns a public video.
pub async fn find(db: &Db, video: VideoId) -> anyhow::Result<Option<PublicVideo>> {
    let mut connection = db.connection().await?;
    queries::lookup::find(&mut connection, video).await
}

/// Returns the cities with the most public videos, most videos first. Reads the index entries of all
/// public videos, so callers cache the result.
pub async fn cities(db: &Db, limit: i64) -> anyhow::Result<Vec<City>> {
    let mut connection = db.connection().await?;
    queries::lookup::cities(&mut connection, limit).await
}

/// Returns what is ahead of a video in the ranking of videos, nationwide or of a city, given by a
/// folded name.
pub async fn ahead_of(db: &Db, city: Option<&str>, place: RankKey) -> anyhow::Result<Ahead> {
    let mut connection = db.connection().await?;
    queries::lookup::ahead_of(&mut connection, city, place).await
}

/// Returns all rows of the ranking by city, as it is at one moment, in parts. Dropping the stream
/// ends the statement.
pub fn table(db: Db) -> impl Stream<Item = anyhow::Result<Vec<TableRow>>> {
    let (sender, receiver) = mpsc::channel(1);
    let read = async move {
        let mut connection = db.connection().await?;
        connection
            .transaction(async |connection| {
                queries::table::open(connection).await?;
                loop {
                    let rows = queries::table::fetch(connection).await?;
                    if rows.is_empty() || sender.send(rows).await.is_err() {
                        return anyhow::Ok(());
                    }
                }
            })
            .await
    };
    let rows = stream::unfold(receiver, async |mut receiver| {
        let rows = receiver.recv().await?;
        Some((Ok(rows), receiver))
    });
    // Reads and sends in turn; the end of reading is no item, unless it is an error.
    let read = stream::once(read).filter_map(async |end| end.err().map(Err));
    stream::select(rows, read)
}
