//! The frozen result: pages of it, and the whole as canonical JSON (RFC 8785) and as a table.

use anyhow::Context as _;
use chrono::SecondsFormat;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use ring::digest::{self, SHA256};
use serde_json::json;

use super::{
    model::Contest,
    queries::results::{self, CityResult, ResultRow},
};
use crate::{
    csv,
    db::{Connection, Db},
    ids::ContestId,
};

/// Rows that are read together, so that memory does not grow with the number of players.
const CHUNK: i64 = 2000;

const TABLE_HEAD: &str =
    "\u{feff}ciudad;puesto;empate;jugador;votos;puesto_nacional;video;titulo\r\n";

/// The city that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CityFilter {
    key: String,
}

impl CityFilter {
    /// Returns the key of the city, which every result of the city carries.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the filter for a city, given by a folded name.
    pub async fn resolve(db: &Db, folded: &str) -> anyhow::Result<Self> {
        let mut connection = db.connection().await?;
        let key = results::city_key(&mut connection, folded).await?;
        Ok(Self { key })
    }
}

impl ResultRow {
    /// Returns the position in the country, or in the city if one is asked for.
    fn position_in(&self, city: Option<&CityFilter>) -> i32 {
        match city {
            None => self.position,
            Some(_) => self.city_position,
        }
    }

    /// Returns the row in canonical JSON. Members are sorted.
    fn json(&self) -> String {
        json!({
            "city": self.city,
            "city_position": self.city_position,
            "is_tied": self.is_tied,
            "player": self.player,
            "position": self.position,
            "title": self.title,
            "video_id": self.video_id,
            "votes": self.votes,
        })
        .to_string()
    }
}

/// Returns up to `limit` rows of a result, after a position in the country or in the city.
pub async fn page(
    db: &Db,
    contest: ContestId,
    city: Option<&CityFilter>,
    after: i32,
    limit: i64,
) -> anyhow::Result<Vec<ResultRow>> {
    let mut connection = db.connection().await?;
    let key = city.map(|city| city.key.as_str());
    results::read(&mut connection, contest, key, after, limit).await
}

/// Returns the cities of a result, those with the most votes first.
pub async fn cities(db: &Db, contest: ContestId) -> anyhow::Result<Vec<CityResult>> {
    let mut connection = db.connection().await?;
    results::cities(&mut connection, contest).await
}

/// Returns the result as canonical JSON, in parts. Its SHA-256 is `Contest::digest` if no city is
/// asked for.
pub fn json(
    db: Db,
    contest: &Contest,
    city: Option<CityFilter>,
) -> impl Stream<Item = anyhow::Result<String>> + use<> {
    let head = stream::iter([Ok(head(contest))]);
    let mut list = JsonList::default();
    let rows = rows(db, contest.id, city).map_ok(move |rows| list.text(&rows));
    head.chain(rows).chain(stream::iter([Ok(TAIL.to_owned())]))
}

/// Returns the result as a table (RFC 4180), as Excel reads it in Colombia, in parts.
pub fn table(
    db: Db,
    contest: &Contest,
    city: Option<CityFilter>,
) -> impl Stream<Item = anyhow::Result<String>> + use<> {
    let rows = rows(db, contest.id, city).map_ok(|rows| {
        let mut text = String::new();
        for row in rows {
            let cells = [
                row.city,
                row.city_position.to_string(),
                if row.is_tied { "sí" } else { "no" }.to_owned(),
                row.player,
                row.votes.to_string(),
                row.position.to_string(),
                row.video_id.to_string(),
                row.title,
            ];
            csv::write_row(&mut text, &cells);
        }
        text
    });
    stream::iter([Ok(TABLE_HEAD.to_owned())]).chain(rows)
}

/// Returns the SHA-256 of the canonical JSON, in hexadecimal.
pub async fn digest(
    db: &Db,
    contest: &Contest,
    city: Option<CityFilter>,
) -> anyhow::Result<String> {
    let mut hash = digest::Context::new(&SHA256);
    let mut parts = std::pin::pin!(json(db.clone(), contest, city));
    while let Some(part) = parts.next().await {
        hash.update(part?.as_bytes());
    }
    Ok(hex::encode(hash.finish()))
}

/// As [`digest()`], for a result that its transaction has not committed yet.
pub(super) async fn digest_within(
    connection: &mut Connection,
    contest: &Contest,
) -> anyhow::Result<String> {
    let mut hash = digest::Context::new(&SHA256);
    hash.update(head(contest).as_bytes());
    let mut members = JsonList::default();
    let mut after = 0;
    loop {
        let rows = results::read(connection, contest.id, None, after, CHUNK).await?;
        let Some(last) = rows.last() else { break };
        after = last.position;
        hash.update(members.text(&rows).as_bytes());
    }
    hash.update(TAIL.as_bytes());
    Ok(hex::encode(hash.finish()))
}

const TAIL: &str = "]}";

/// The members of a JSON list that is written in parts.
#[derive(Default)]
struct JsonList {
    has_members: bool,
}

impl JsonList {
    fn text(&mut self, rows: &[ResultRow]) -> String {
        let mut text = String::new();
        for row in rows {
            if self.has_members {
                text.push(',');
            }
            self.has_members = true;
            text.push_str(&row.json());
        }
        text
    }
}

/// Returns the canonical JSON before the first row.
fn head(contest: &Contest) -> String {
    let frozen_at = contest
        .frozen_at
        .map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
    let head = json!({
        "contest": {"name": contest.name, "slug": contest.slug, "time_zone": contest.time_zone},
        "frozen_at": frozen_at,
    });
    let head = head.to_string();
    format!("{},\"results\":[", head.trim_end_matches('}'))
}

/// Returns all rows in their order, in parts.
fn rows(
    db: Db,
    contest: ContestId,
    city: Option<CityFilter>,
) -> impl Stream<Item = anyhow::Result<Vec<ResultRow>>> {
    let start = (db, contest, city, 0);
    stream::try_unfold(start, async |(db, contest, city, after)| {
        let rows = page(&db, contest, city.as_ref(), after, CHUNK).await;
        let rows = rows.context("read the result")?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let after = last.position_in(city.as_ref());
        Ok(Some((rows, (db, contest, city, after))))
    })
}
