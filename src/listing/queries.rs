//! SQL of the rankings. A page reads only the index entries that it skips and shows, however many
//! videos exist. [`search`] has the search, [`lookup`] single videos and the
//! cities, [`table`] the whole ranking.

pub mod lookup;
pub mod search;
pub mod table;

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName,
    sql_types::{BigInt, Integer, Nullable, Text, Timestamptz, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::Ranking;
use crate::{
    db::{Connection, prepared},
    ids::{ContestId, VideoId},
    keyset::{ListRange, RankKey},
    videos::Renditions,
};

/// An entry: a public video and its player.
#[derive(Debug, Clone, QueryableByName)]
pub struct PublicVideo {
    /// The video, or the player's most voted one.
    #[diesel(sql_type = Uuid)]
    pub id: VideoId,
    #[diesel(sql_type = Text)]
    pub title: String,
    #[diesel(sql_type = Integer)]
    pub attempt: i32,
    #[diesel(sql_type = Timestamptz)]
    pub uploaded_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub processed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Text)]
    pub first_name: String,
    #[diesel(sql_type = Text)]
    pub last_name: String,
    #[diesel(sql_type = Text)]
    pub city: String,
    /// Votes of the video, or of all videos of the player.
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
    /// Tie-breaker: the earlier time ranks higher.
    #[diesel(sql_type = Timestamptz)]
    pub since: DateTime<Utc>,
    /// The contest that the video takes part in.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub contest_id: Option<ContestId>,
    #[diesel(embed)]
    pub renditions: Renditions,
}

impl PublicVideo {
    pub fn username(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    /// Returns the rank key.
    pub fn rank_key(&self) -> RankKey {
        RankKey {
            votes: self.votes,
            since: self.since,
            id: self.id,
        }
    }
}

/// A table whose indexes are in rank order.
struct Source {
    table: &'static str,
    since: &'static str,
    id: &'static str,
    /// Condition of the indexes, which selects the ranked rows.
    is_ranked: &'static str,
}

/// The statements on one source.
struct Statements {
    /// For a range from the first entry.
    first: Texts,
    /// For a range after a rank key.
    later: Texts,
}

struct Texts {
    nationwide: String,
    city: String,
}

const VIDEO_SOURCE: Source = Source {
    table: "videos",
    since: "uploaded_at",
    id: "id",
    is_ranked: "is_public AND status = 'processed'",
};

static VIDEOS: LazyLock<Statements> = LazyLock::new(|| Statements::on(&VIDEO_SOURCE));

static PLAYERS: LazyLock<Statements> = LazyLock::new(|| {
    Statements::on(&Source {
        table: "standings",
        since: "since",
        id: "best",
        is_ranked: "best IS NOT NULL",
    })
});

impl Statements {
    fn on(source: &Source) -> Self {
        Self {
            first: Texts::of(source, first),
            later: Texts::of(source, later),
        }
    }
}

impl Texts {
    fn of(source: &Source, entries: fn(&Source, &str) -> String) -> Self {
        let is_ranked = source.is_ranked;
        let of_city = format!("{is_ranked} AND city_key = city.key");
        let of_city = entries(source, &of_city);
        Self {
            nationwide: shown(&entries(source, is_ranked)),
            city: shown(&format!("{CITY} CROSS JOIN LATERAL {of_city}")),
        }
    }
}

/// The key that a folded name asks for: that of the place, or else the name itself. Functions that
/// it is passed to work with its collation, and the one of `cities` changes the case of ASCII only.
const CITY: &str = "(
    SELECT coalesce(place.key, wanted.folded) COLLATE \"default\" AS key
    FROM (SELECT ?::text AS folded) AS wanted
    LEFT JOIN LATERAL find_city(wanted.folded) AS place ON true) AS city";

fn first(source: &Source, condition: &str) -> String {
    let Source {
        table, since, id, ..
    } = source;
    format!(
        "(SELECT votes, {since} AS since, {id} AS id FROM {table}
          WHERE {condition} ORDER BY votes DESC, {since}, {id} LIMIT ?) AS entry"
    )
}

/// Returns the SQL of the entries after a rank key, by keyset pagination in two ranges of one
/// index: equal votes, and fewer votes.
fn later(source: &Source, condition: &str) -> String {
    let Source {
        table, since, id, ..
    } = source;
    format!(
        "((SELECT votes, {since} AS since, {id} AS id FROM {table}
           WHERE {condition} AND votes = ? AND ({since}, {id}) > (?, ?)
           ORDER BY {since}, {id} LIMIT ?)
          UNION ALL
          (SELECT votes, {since}, {id} FROM {table}
           WHERE {condition} AND votes < ?
           ORDER BY votes DESC, {since}, {id} LIMIT ?)) AS entry"
    )
}

/// Joins the shown columns of the video `place.id`. `LIMIT 1` makes the planner look up each by key.
/// Without it, the planner overestimates the number of places and scans all videos.
const ENTRY: &str = "CROSS JOIN LATERAL (
    SELECT v.id, v.title, v.attempt, v.uploaded_at, v.processed_at, u.first_name, u.last_name,
           u.city_name AS city, v.contest_id,
           v.clip_bytes, v.light_bytes, v.has_thumb, v.colour
    FROM videos v JOIN users u ON u.id = v.user_id
    WHERE v.id = place.id LIMIT 1) AS entry";

/// Returns the SQL of a range of `places` with the shown columns.
fn shown(places: &str) -> String {
    format!(
        "SELECT entry.*, place.votes, place.since
         FROM (SELECT entry.* FROM {places}
               ORDER BY entry.votes DESC, entry.since, entry.id LIMIT ? OFFSET ?) AS place
         {ENTRY}
         ORDER BY place.votes DESC, place.since, place.id"
    )
}

/// Returns a range of a ranking, nationwide or of a city, given by a folded name.
pub async fn rank(
    connection: &mut Connection,
    ranking: Ranking,
    city: Option<&str>,
    range: ListRange,
) -> anyhow::Result<Vec<PublicVideo>> {
    let statements = match ranking {
        Ranking::Players => &*PLAYERS,
        Ranking::Videos => &*VIDEOS,
    };
    let ListRange {
        after,
        offset,
        limit,
    } = range;
    let texts = match after {
        None => &statements.first,
        Some(_) => &statements.later,
    };
    let statement = match city {
        None => prepared(&texts.nationwide),
        Some(city) => prepared(&texts.city).bind::<Text, _>(city),
    };
    let reach = offset.saturating_add(limit);
    let statement = match after {
        None => statement.bind::<BigInt, _>(reach),
        Some(after) => statement
            .bind::<BigInt, _>(after.votes)
            .bind::<Timestamptz, _>(after.since)
            .bind::<Uuid, _>(after.id)
            .bind::<BigInt, _>(reach)
            .bind::<BigInt, _>(after.votes)
            .bind::<BigInt, _>(reach),
    };
    let found = statement
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(offset)
        .load(connection)
        .await?;
    Ok(found)
}
