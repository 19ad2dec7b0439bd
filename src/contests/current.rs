//! The current contest, read at most once per second and process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;

use super::{
    model::{Contest, Phase},
    queries,
};
use crate::{
    batch::SharedError,
    config::media::{ContestRules, RuleSettings},
    db::{self, Db},
};

/// How old the contest may be that pages show. What is accepted, the database decides.
const TTL: Duration = Duration::from_secs(1);

/// Returns the current contest. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct CurrentContest {
    db: Db,
    cache: Cache<(), Option<Reading>>,
}

/// A contest as it was read.
#[derive(Clone)]
pub struct Reading {
    pub contest: Arc<Contest>,
    read: Instant,
}

impl Reading {
    /// Returns the time by the database's clock.
    pub fn now(&self) -> DateTime<Utc> {
        let since = TimeDelta::from_std(self.read.elapsed()).unwrap_or_default();
        self.contest.now + since
    }

    pub fn phase(&self) -> Phase {
        self.contest.phase(self.now())
    }
}

impl CurrentContest {
    pub fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            cache: Cache::builder().max_capacity(1).time_to_live(TTL).build(),
        }
    }

    /// Returns the current contest, if there is one. Concurrent calls are single-flight.
    pub async fn get(&self) -> anyhow::Result<Option<Reading>> {
        let read = async {
            let contest = db::with_timeout(async {
                let mut connection = self.db.connection().await?;
                queries::current(&mut connection).await
            });
            anyhow::Ok(contest.await?.map(|contest| Reading {
                contest: Arc::new(contest),
                read: Instant::now(),
            }))
        };
        let reading = self.cache.try_get_with((), read).await;
        Ok(reading.map_err(SharedError::from)?)
    }

    /// Returns the rules for videos: those of the contest, or else of the settings, with the maximum
    /// size of a file (bytes).
    pub async fn video_rules(
        &self,
        settings: RuleSettings,
        max_file_size: u64,
    ) -> anyhow::Result<(RuleSettings, u64)> {
        let Some(reading) = self.get().await? else {
            return Ok((settings, max_file_size));
        };
        let rules = reading.contest.rules;
        let limit = |rule: Option<i32>| rule.and_then(|rule| u32::try_from(rule).ok());
        let contest = ContestRules {
            min_seconds: limit(rules.min_duration_seconds),
            max_seconds: limit(rules.max_duration_seconds),
            min_lines: limit(rules.min_lines),
        };
        let most = rules
            .max_file_bytes
            .and_then(|most| u64::try_from(most).ok());
        let max_file_size = most.map_or(max_file_size, |most| most.min(max_file_size));
        Ok((settings.under(contest), max_file_size))
    }

    /// Forgets the contest, which has changed.
    pub async fn forget(&self) {
        self.cache.invalidate(&()).await;
    }
}
