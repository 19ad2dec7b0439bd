//! What takes part in a contest, for organisers.

use super::queries::figures;
use crate::{db::Db, ids::ContestId};

pub use super::queries::figures::CityFigures;

/// Returns the cities with the most votes for public clips. Reads all videos of the contest, so
/// callers cache the result.
pub async fn city_figures(
    db: &Db,
    contest: ContestId,
    limit: i64,
) -> anyhow::Result<Vec<CityFigures>> {
    let mut connection = db.connection().await?;
    figures::cities(&mut connection, contest, limit).await
}
