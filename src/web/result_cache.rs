//! What pages of a contest need and what is slow to compute, kept for a while.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use moka::future::Cache;

use crate::{
    app::App,
    batch::SharedError,
    contests::{self, CityFigures, CityFilter, CityResult, Contest, Figures, VoteHour},
    ids::ContestId,
};

/// How long figures of a running contest are kept. Counting reads all its videos.
const FIGURES_TTL: Duration = Duration::from_secs(5);

/// How long a frozen result is kept that nobody asks for.
const RESULT_TTL: Duration = Duration::from_hours(1);

/// Maximum number of digests: more than places have players.
const MAX_DIGESTS: u64 = 2000;

/// Maximum number of cities in the figures.
const MAX_CITIES: i64 = 30;

/// A result that was frozen at a time, which does not change.
type Frozen = (ContestId, Option<DateTime<Utc>>);

/// Keeps results and figures. One request at a time reads each of them.
pub struct ResultCache {
    cities: Cache<Frozen, Arc<Vec<CityResult>>>,
    digests: Cache<(Frozen, String), String>,
    figures: Cache<ContestId, Arc<Board>>,
}

/// Figures of a contest, for organisers.
pub struct Board {
    pub figures: Figures,
    pub cities: Vec<CityFigures>,
    pub hours: Vec<VoteHour>,
}

impl ResultCache {
    pub fn new() -> Self {
        Self {
            cities: Cache::builder()
                .max_capacity(8)
                .time_to_idle(RESULT_TTL)
                .build(),
            digests: Cache::builder()
                .max_capacity(MAX_DIGESTS)
                .time_to_idle(RESULT_TTL)
                .build(),
            figures: Cache::builder()
                .max_capacity(2)
                .time_to_live(FIGURES_TTL)
                .build(),
        }
    }

    /// Returns the cities of a frozen result, those with the most votes first.
    pub async fn cities(
        &self,
        app: &App,
        contest: &Contest,
    ) -> anyhow::Result<Arc<Vec<CityResult>>> {
        let read = async {
            contests::cities(&app.backends.db, contest.id)
                .await
                .map(Arc::new)
        };
        let key = (contest.id, contest.frozen_at);
        let cities = self.cities.try_get_with(key, read).await;
        Ok(cities.map_err(SharedError::from)?)
    }

    /// Returns the SHA-256 of the canonical JSON of a frozen result, of the country or of a city.
    pub async fn digest(
        &self,
        app: &App,
        contest: &Contest,
        city: Option<&CityFilter>,
    ) -> anyhow::Result<String> {
        let Some(city) = city else {
            return Ok(contest.digest.clone().unwrap_or_default());
        };
        let read = contests::digest(&app.backends.db, contest, Some(city.clone()));
        let key = ((contest.id, contest.frozen_at), city.key().to_owned());
        let digest = self.digests.try_get_with(key, read).await;
        Ok(digest.map_err(SharedError::from)?)
    }

    /// Returns the figures of a contest.
    pub async fn board(&self, app: &App, contest: &Contest) -> anyhow::Result<Arc<Board>> {
        let db = &app.backends.db;
        let read = async {
            anyhow::Ok(Arc::new(Board {
                figures: contests::figures(db, contest.id).await?,
                cities: contests::city_figures(db, contest.id, MAX_CITIES).await?,
                hours: contests::vote_hours(db, contest).await?,
            }))
        };
        let board = self.figures.try_get_with(contest.id, read).await;
        Ok(board.map_err(SharedError::from)?)
    }
}
