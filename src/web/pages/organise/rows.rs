//! What the lists of the organisers' pages share.

use crate::videos::{Failure, Video, board::OrganisedVideo};

/// Maximum rows of each list.
pub const MAX_ROWS: i64 = 100;

pub fn player(row: &OrganisedVideo) -> String {
    format!("{} {}", row.first_name, row.last_name)
}

pub fn failure(video: &Video) -> Option<Failure> {
    let row = video.failure.as_ref()?;
    Some(Failure::from_row(row).unwrap_or(Failure::ProcessingFailed))
}
