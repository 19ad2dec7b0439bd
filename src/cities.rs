//! The places of Colombia. Lists and rankings group players by place, not by spelling
//! (`docs/decisions/0029-cities-are-places.md`).

pub mod handlers;
mod queries;

use crate::{app::App, city, db::Db};
pub use queries::{Place, Wanted};

/// Returns up to 20 places, one of whose names has words that begin with those of `text`: first
/// those whose name begins with it, then the most populous. All places match an empty text.
pub async fn find(app: &App, text: &str) -> anyhow::Result<Vec<Place>> {
    // Taken before the connection, so that waiting searches hold no connections.
    let _permit = app.searches.acquire().await?;
    let mut connection = app.backends.db.connection().await?;
    queries::find(&mut connection, &city::fold(text)).await
}

/// Returns the city that a folded name asks for.
pub async fn wanted(db: &Db, folded: &str) -> anyhow::Result<Wanted> {
    let mut connection = db.connection().await?;
    queries::wanted(&mut connection, folded).await
}
