//! The ranking: a read side over the public videos. It may be up to `TTL` old; its cache, and that
//! only one request at a time computes an entry, are here and nowhere else.

pub mod handlers;
mod queries;

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use crate::app::App;
pub use queries::Row;

/// How old an answer may be.
const TTL: Duration = Duration::from_secs(1);

/// Most answers that are kept: pages times cities.
const CAPACITY: u64 = 10_000;

/// What is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Players, by the votes of all their public videos.
    Player,
    /// Videos.
    Video,
}

/// One page of one ranking.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    pub by: By,
    /// A city, folded; also finds cities that go on after it.
    pub city: Option<String>,
    /// Rows to return: those of the page, and one more if there is a page after it.
    pub limit: i64,
    pub offset: i64,
}

/// The answers of the last moment; clones share them.
#[derive(Clone)]
pub struct Rankings {
    answers: Cache<Question, Arc<Vec<Row>>>,
}

impl Rankings {
    /// Makes an empty cache.
    pub fn new() -> Self {
        Self {
            answers: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(TTL)
                .build(),
        }
    }

    /// Returns the asked rows of a ranking. Equal questions at
    /// once cost one query.
    pub async fn answer(
        &self,
        app: &App,
        question: &Question,
    ) -> Result<Arc<Vec<Row>>, Arc<anyhow::Error>> {
        let compute = async {
            let mut connection = app.db.connection().await?;
            queries::rank(&mut connection, question).await.map(Arc::new)
        };
        self.answers.try_get_with_by_ref(question, compute).await
    }
}

impl Default for Rankings {
    fn default() -> Self {
        Self::new()
    }
}
