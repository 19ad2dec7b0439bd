//! Keyset pagination for lists ordered by votes (descending), then time, then id.

use chrono::{DateTime, Utc};

use crate::ids::VideoId;

/// The rank key: the position of an entry in such a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankKey {
    pub votes: i64,
    pub since: DateTime<Utc>,
    pub id: VideoId,
}

/// A list range: up to `limit` entries after `after`, skipping the first `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListRange {
    pub after: Option<RankKey>,
    pub offset: i64,
    pub limit: i64,
}

impl ListRange {
    /// Returns the range of the first `limit` entries.
    pub fn first(limit: i64) -> Self {
        Self {
            after: None,
            offset: 0,
            limit,
        }
    }
}
