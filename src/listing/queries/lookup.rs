//! Single public videos, their places in the ranking, and the cities that have public videos.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use diesel::{
    OptionalExtension as _, QueryableByName,
    sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::{CITY, ENTRY, PublicVideo, VIDEO_SOURCE};
use crate::{
    db::{Connection, prepared},
    ids::VideoId,
    keyset::RankKey,
};

/// A city with public videos.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct City {
    /// The label of the place, or else the name as most of its most voted players write it.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// The department of a place whose label lacks it.
    #[diesel(sql_type = Nullable<Text>)]
    pub department: Option<String>,
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

/// The cities are found by a loose index scan, each from the previous one; the last key is null.
/// Their names are those of the most voted videos, since counting all would read all.
static CITIES: LazyLock<String> = LazyLock::new(|| {
    let is_ranked = VIDEO_SOURCE.is_ranked;
    format!(
        "WITH RECURSIVE city (key) AS (
             (SELECT city_key FROM videos WHERE {is_ranked} ORDER BY city_key LIMIT 1)
             UNION ALL
             (SELECT (SELECT city_key FROM videos
                      WHERE {is_ranked} AND city_key > city.key ORDER BY city_key LIMIT 1)
              FROM city WHERE key IS NOT NULL))
         SELECT counted.videos, city.key, coalesce(spelt.name, city.key) AS name,
             CASE WHEN place.label = place.name THEN place.department END AS department
         FROM city
         LEFT JOIN cities AS place ON place.key = city.key
         CROSS JOIN LATERAL (
             SELECT count(*) AS videos FROM videos
             WHERE {is_ranked} AND city_key = city.key) AS counted
         CROSS JOIN LATERAL (
             SELECT mode() WITHIN GROUP (ORDER BY users.city_name) AS name
             FROM (SELECT user_id FROM videos WHERE {is_ranked} AND city_key = city.key
                   ORDER BY votes DESC, uploaded_at, id LIMIT 20) AS top
             JOIN users ON users.id = top.user_id) AS spelt
         WHERE city.key IS NOT NULL
         ORDER BY counted.videos DESC, city.key LIMIT ?"
    )
});

static AHEAD: LazyLock<String> = LazyLock::new(|| {
    let is_ranked = VIDEO_SOURCE.is_ranked;
    ahead("(SELECT) AS country", is_ranked)
});

static AHEAD_IN_CITY: LazyLock<String> = LazyLock::new(|| {
    let is_ranked = VIDEO_SOURCE.is_ranked;
    let of_city = format!("{is_ranked} AND city_key = city.key");
    ahead(CITY, &of_city)
});

/// Returns the SQL of what is ahead of a rank key among the videos with `condition`, which may refer
/// to the row of `area`.
fn ahead(area: &str, condition: &str) -> String {
    format!(
        "SELECT least(more.videos + equal.videos, ?) AS videos,
             CASE WHEN equal.videos > 0 THEN ?::bigint ELSE nearest.votes END AS votes
         FROM {area}
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
    let found = prepared(&CITIES)
        .bind::<BigInt, _>(limit)
        .load(connection)
        .await?;
    Ok(found)
}

/// Returns what is ahead of a rank key, nationwide or in a city, given by a folded name.
pub async fn ahead_of(
    connection: &mut Connection,
    city: Option<&str>,
    place: RankKey,
) -> anyhow::Result<Ahead> {
    let RankKey { votes, since, id } = place;
    let since: DateTime<Utc> = since;
    let statement = match city {
        None => &AHEAD,
        Some(_) => &AHEAD_IN_CITY,
    };
    let statement = prepared(statement)
        .bind::<BigInt, _>(MAX_AHEAD)
        .bind::<BigInt, _>(votes);
    let statement = match city {
        None => statement,
        Some(city) => statement.bind::<Text, _>(city),
    };
    let found = statement
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
