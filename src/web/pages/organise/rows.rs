//! What the lists of the organisers' pages share.

use crate::videos::board::OrganisedVideo;

/// Maximum rows of each list.
pub const MAX_ROWS: i64 = 100;

pub fn player(row: &OrganisedVideo) -> String {
    format!("{} {}", row.first_name, row.last_name)
}
