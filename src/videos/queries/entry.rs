//! SQL of how an upload enters the contest.

use chrono::{DateTime, Utc};
use diesel::{
    OptionalExtension as _, QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Nullable, Timestamptz},
};
use diesel_async::RunQueryDsl as _;

use crate::{
    db::Connection,
    ids::{ContestId, UserId},
};

/// Whether an upload that begins now takes part in a contest.
pub enum Entry {
    /// There is no contest.
    Free,
    In {
        contest: ContestId,
        max_bytes: Option<i64>,
    },
    Closed {
        opens_at: DateTime<Utc>,
        closes_at: DateTime<Utc>,
    },
    LimitReached,
}

#[derive(QueryableByName)]
struct EntryRow {
    #[diesel(sql_type = BigInt)]
    id: ContestId,
    #[diesel(sql_type = Bool)]
    is_open: bool,
    #[diesel(sql_type = Bool)]
    is_full: bool,
    #[diesel(sql_type = Timestamptz)]
    submissions_open_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    submissions_close_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<BigInt>)]
    max_file_bytes: Option<i64>,
}

/// Returns how an upload that begins now enters the current contest. Failed videos do not count as
/// entries, running uploads do.
pub async fn enter(connection: &mut Connection, user: UserId) -> anyhow::Result<Entry> {
    let row = sql_query(
        "SELECT id, submissions_open_at, submissions_close_at, max_file_bytes,
             clock_timestamp() >= submissions_open_at AND clock_timestamp() < submissions_close_at
                 AND frozen_at IS NULL AS is_open,
             coalesce(entries_per_player <= entries.videos + entries.uploads, false) AS is_full
         FROM contests
         LEFT JOIN LATERAL (
             SELECT
                 (SELECT count(*) FROM videos
                  WHERE user_id = $1 AND contest_id = contests.id AND status <> 'failed') AS videos,
                 (SELECT count(*) FROM uploads
                  WHERE user_id = $1 AND contest_id = contests.id AND is_upload
                      AND coalesce(expires_at > now(), true)) AS uploads
             WHERE entries_per_player IS NOT NULL) AS entries ON true
         WHERE is_current",
    );
    let row: Option<EntryRow> = row
        .bind::<BigInt, _>(user)
        .get_result(connection)
        .await
        .optional()?;
    Ok(match row {
        None => Entry::Free,
        Some(row) if !row.is_open => Entry::Closed {
            opens_at: row.submissions_open_at,
            closes_at: row.submissions_close_at,
        },
        Some(row) if row.is_full => Entry::LimitReached,
        Some(row) => Entry::In {
            contest: row.id,
            max_bytes: row.max_file_bytes,
        },
    })
}
