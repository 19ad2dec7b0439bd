//! Parts of lists that are ordered by votes, the most first, then by time, then by id.

use chrono::{DateTime, Utc};

use crate::ids::VideoId;

/// A place in such a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub votes: i64,
    pub since: DateTime<Utc>,
    pub id: VideoId,
}

/// Which entries: `limit` of all, or of those after a place, less the first `offset` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub after: Option<Mark>,
    pub offset: i64,
    pub limit: i64,
}
