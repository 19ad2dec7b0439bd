//! Word search in the public videos. The SQL function `search_videos` does it at a cost that does
//! not grow with the number of videos (`docs/decisions/0013-search-by-words.md`).

use std::sync::LazyLock;

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::{CITY, ENTRY, PublicVideo};
use crate::{
    db::{Connection, prepared},
    keyset::{ListRange, RankKey},
};

/// A range of a search result.
#[derive(Debug)]
pub struct Found {
    pub videos: Vec<PublicVideo>,
    /// The rank key at which the search stopped, if it stopped before it had found enough.
    pub stopped_at: Option<RankKey>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(embed)]
    video: PublicVideo,
    #[diesel(sql_type = Bool)]
    is_match: bool,
}

/// The function searches the cities from a key to before another. No key is between one and the same
/// with a blank.
static SEARCH: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT entry.*, place.votes, place.since, place.is_match
         FROM (SELECT found.*
               FROM {CITY}
               CROSS JOIN search_videos(?, city.key, city.key || ' ', ?, ?, ?, ?) AS found
               ORDER BY is_match DESC, votes DESC, since, id OFFSET ?) AS place
         {ENTRY}
         ORDER BY place.is_match DESC, place.votes DESC, place.since, place.id"
    )
});

/// Returns a range of the videos, in rank order, in whose title or player's name each word of
/// `text` begins a word.
pub async fn search(
    connection: &mut Connection,
    text: &str,
    city: Option<&str>,
    range: ListRange,
) -> anyhow::Result<Found> {
    let after = range.after;
    let mut rows: Vec<Row> = prepared(&SEARCH)
        .bind::<Nullable<Text>, _>(city)
        .bind::<Text, _>(text)
        .bind::<Nullable<BigInt>, _>(after.map(|after| after.votes))
        .bind::<Nullable<Timestamptz>, _>(after.map(|after| after.since))
        .bind::<Nullable<Uuid>, _>(after.map(|after| after.id))
        .bind::<BigInt, _>(range.offset.saturating_add(range.limit))
        .bind::<BigInt, _>(range.offset)
        .load(connection)
        .await?;
    let stop = rows.pop_if(|row| !row.is_match);
    Ok(Found {
        videos: rows.into_iter().map(|row| row.video).collect(),
        stopped_at: stop.map(|stop| stop.video.rank_key()),
    })
}
