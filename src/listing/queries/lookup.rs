//! Single public videos, their places in the ranking, and the cities that have public videos.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use diesel::{
    OptionalExtension as _, QueryableByName,
    sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::{AFTER_BLANK, ENTRY, PublicVideo, VIDEO_SOURCE, cities_between};
use crate::{
    db::{Connection, prepared},
    ids::VideoId,
    keyset::RankKey,
};

/// A city with public videos.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct City {
    /// As most of its most voted players write it.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// The folded name.
    #[diesel(sql_type = Text)]
    pub key: String,
    /// Number of public videos.
    #[diesel(sql_type = BigInt)]
    pub videos: i64,
}

/// What is ahead of a video in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Ahead {
    /// Number of videos ahead, at most [`MAX_AHEAD`].
    #[diesel(sql_type = BigInt)]
    pub videos: i64,
    /// Votes of the video directly ahead.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub votes: Option<i64>,
}

/// How many videos ahead are counted, so that the place of a video far down costs no more.
pub const MAX_AHEAD: i64 = 1000;

static FIND: LazyLock<String> = LazyLock::new(|| {
    let is_ranked = VIDEO_SOURCE.is_ranked;
    format!(
        "SELECT entry.*, place.votes, place.since
         FROM (SELECT id, votes, uploaded_at AS since FROM videos
               WHERE id = ? AND {is_ranked}) AS place {ENTRY}"
    )
});

/// The most used spelling among the city's most voted videos, since counting all would read all.
static CITIES: LazyLock<String> = LazyLock::new(|| {
    let is_ranked = VIDEO_SOURCE.is_ranked;
    format!(
        "{} SELECT counted.videos, city.key, coalesce(spelt.name, city.key) AS name
         FROM city
         CROSS JOIN LATERAL (
             SELECT count(*) AS videos FROM videos
             WHERE {is_ranked} AND city_key = city.key) AS counted
         CROSS JOIN LATERAL (
             SELECT mode() WITHIN GROUP (ORDER BY users.city) AS name
             FROM (SELECT user_id FROM videos WHERE {is_ranked} AND city_key = city.key
                   ORDER BY votes DESC, uploaded_at, id LIMIT 20) AS top
             JOIN users ON users.id = top.user_id) AS spelt
         WHERE city.key IS NOT NULL
         ORDER BY counted.videos DESC, city.key LIMIT ?",
        cities_between(&VIDEO_SOURCE)
    )
});

static AHEAD: LazyLock<String> = LazyLock::new(|| {
    let is_ranked = VIDEO_SOURCE.is_ranked;
    ahead("", is_ranked)
});

static AHEAD_IN_CITY: LazyLock<String> = LazyLock::new(|| {
    let is_ranked = VIDEO_SOURCE.is_ranked;
    let of_city = format!("{is_ranked} AND city_key = city.key");
    let cities = cities_between(&VIDEO_SOURCE);
    ahead(&cities, &of_city)
});

/// Returns the SQL of what is ahead of a rank key among the videos with `condition`, which may refer
/// to the cities of `with`.
fn ahead(with: &str, condition: &str) -> String {
    let from = if with.is_empty() {
        "(SELECT) AS city"
    } else {
        "city"
    };
    format!(
        "{with} SELECT least(coalesce(sum(more.videos + equal.videos), 0), ?)::bigint AS videos,
             CASE WHEN sum(equal.videos) > 0 THEN ?::bigint ELSE min(nearest.votes) END AS votes
         FROM {from}
         CROSS JOIN LATERAL (SELECT count(*) AS videos FROM (
             SELECT FROM videos WHERE {condition} AND votes > ? LIMIT ?) AS found) AS more
         CROSS JOIN LATERAL (SELECT count(*) AS videos FROM (
             SELECT FROM videos WHERE {condition} AND votes = ? AND (uploaded_at, id) < (?, ?)
             LIMIT ?) AS found) AS equal
         LEFT JOIN LATERAL (
             SELECT votes FROM videos WHERE {condition} AND votes > ?
             ORDER BY votes LIMIT 1) AS nearest ON true"
    )
}

/// Returns a public video.
pub async fn find(
    connection: &mut Connection,
    video: VideoId,
) -> anyhow::Result<Option<PublicVideo>> {
    let found = prepared(&FIND)
        .bind::<Uuid, _>(video)
        .get_result(connection)
        .await
        .optional()?;
    Ok(found)
}

/// Returns the cities with the most public videos.
pub async fn cities(connection: &mut Connection, limit: i64) -> anyhow::Result<Vec<City>> {
    // All names: no character sorts after the last one of Unicode.
    let end = char::MAX.to_string();
    let found = prepared(&CITIES)
        .bind::<Text, _>("")
        .bind::<Text, _>(end.clone())
        .bind::<Text, _>(end)
        .bind::<BigInt, _>(limit)
        .load(connection)
        .await?;
    Ok(found)
}

/// Returns what is ahead of a rank key, nationwide or in a folded city name, including the cities
/// whose names continue after it, as in the rankings.
pub async fn ahead_of(
    connection: &mut Connection,
    city: Option<&str>,
    place: RankKey,
) -> anyhow::Result<Ahead> {
    let RankKey { votes, since, id } = place;
    let since: DateTime<Utc> = since;
    let statement = match city {
        None => prepared(&AHEAD),
        Some(city) => {
            let end = format!("{city}{AFTER_BLANK}");
            prepared(&AHEAD_IN_CITY)
                .bind::<Text, _>(city)
                .bind::<Text, _>(end.clone())
                .bind::<Text, _>(end)
        }
    };
    let found = statement
        .bind::<BigInt, _>(MAX_AHEAD)
        .bind::<BigInt, _>(votes)
        .bind::<BigInt, _>(votes)
        .bind::<BigInt, _>(MAX_AHEAD)
        .bind::<BigInt, _>(votes)
        .bind::<Timestamptz, _>(since)
        .bind::<Uuid, _>(id)
        .bind::<BigInt, _>(MAX_AHEAD)
        .bind::<BigInt, _>(votes)
        .get_result(connection)
        .await?;
    Ok(found)
}
