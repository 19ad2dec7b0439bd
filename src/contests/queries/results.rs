//! SQL on `results`: counting the votes of a contest, and reading its frozen ranking.

use chrono::{DateTime, Utc};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::COLUMNS;
use crate::{
    contests::model::Contest,
    db::Connection,
    ids::{ContestId, VideoId},
};

/// A row of a frozen ranking: a player and their most voted video.
#[derive(Debug, Clone, QueryableByName)]
pub struct ResultRow {
    /// In the whole country, from 1.
    #[diesel(sql_type = Integer)]
    pub position: i32,
    #[diesel(sql_type = Text)]
    pub city: String,
    #[diesel(sql_type = Integer)]
    pub city_position: i32,
    /// Another player of the city has as many votes.
    #[diesel(sql_type = Bool)]
    pub is_tied: bool,
    #[diesel(sql_type = Text)]
    pub player: String,
    /// Of all videos of the player.
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
    #[diesel(sql_type = Uuid)]
    pub video_id: VideoId,
    #[diesel(sql_type = Text)]
    pub title: String,
}

/// A city of a frozen ranking.
#[derive(Debug, Clone, QueryableByName)]
pub struct CityResult {
    #[diesel(sql_type = Text)]
    pub city: String,
    #[diesel(sql_type = Text)]
    pub key: String,
    #[diesel(sql_type = BigInt)]
    pub players: i64,
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
}

/// Waits until all accepted votes are committed, and keeps others from being accepted until the
/// transaction ends (`open_ballot` in the migrations).
pub async fn wait_for_votes(connection: &mut Connection) -> anyhow::Result<()> {
    sql_query("SELECT pg_advisory_xact_lock(x'616e6276'::int)")
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the result of a contest from its votes, in place of an earlier one. The order is that of
/// the rankings: votes, then the earlier upload.
pub async fn write(connection: &mut Connection, contest: ContestId) -> anyhow::Result<()> {
    sql_query("DELETE FROM results WHERE contest_id = $1")
        .bind::<BigInt, _>(contest)
        .execute(connection)
        .await?;
    let write = sql_query(
        "WITH entry AS (
             SELECT videos.id, videos.user_id, videos.title, videos.uploaded_at,
                 coalesce(counted.votes, 0) AS votes
             FROM videos
             LEFT JOIN (SELECT video_id, count(*) AS votes FROM votes GROUP BY video_id) AS counted
                 ON counted.video_id = videos.id
             WHERE videos.contest_id = $1 AND is_public AND status = 'processed'),
         player AS (
             SELECT user_id, sum(votes)::bigint AS votes, min(uploaded_at) AS since,
                 (array_agg(id ORDER BY votes DESC, uploaded_at, id))[1] AS best,
                 (array_agg(title ORDER BY votes DESC, uploaded_at, id))[1] AS title
             FROM entry GROUP BY user_id)
         INSERT INTO results (
             contest_id, position, city_key, city, city_position, is_tied, user_id, player, votes,
             video_id, title)
         SELECT $1, row_number() OVER country, users.city_key,
             first_value(users.city_name) OVER city, row_number() OVER city,
             count(*) OVER (PARTITION BY users.city_key, player.votes) > 1, users.id,
             users.first_name || ' ' || users.last_name, player.votes, player.best, player.title
         FROM player JOIN users ON users.id = player.user_id
         WINDOW country AS (ORDER BY player.votes DESC, since, best),
             city AS (PARTITION BY users.city_key ORDER BY player.votes DESC, since, best)",
    );
    write.bind::<BigInt, _>(contest).execute(connection).await?;
    Ok(())
}

/// Records that the result is frozen now, with its digest.
pub async fn note_frozen(
    connection: &mut Connection,
    contest: ContestId,
    digest: &str,
) -> anyhow::Result<Contest> {
    let query = sql_query(format!(
        "UPDATE contests SET frozen_at = date_trunc('milliseconds', now()), digest = $2
         WHERE id = $1 RETURNING {COLUMNS}"
    ));
    let query = query.bind::<BigInt, _>(contest).bind::<Text, _>(digest);
    Ok(query.get_result(connection).await?)
}

/// Records that the result is public now.
pub async fn note_published(
    connection: &mut Connection,
    contest: ContestId,
) -> anyhow::Result<Contest> {
    let query = sql_query(format!(
        "UPDATE contests SET published_at = now() WHERE id = $1 RETURNING {COLUMNS}"
    ));
    Ok(query
        .bind::<BigInt, _>(contest)
        .get_result(connection)
        .await?)
}

/// Returns up to `limit` rows after the position `after`, of the country or of the city with this
/// key.
pub async fn read(
    connection: &mut Connection,
    contest: ContestId,
    city_key: Option<&str>,
    after: i32,
    limit: i64,
) -> anyhow::Result<Vec<ResultRow>> {
    let rows = match city_key {
        None => sql_query(
            "SELECT * FROM results WHERE contest_id = $1 AND position > $2 AND $4::text IS NULL
             ORDER BY position LIMIT $3",
        ),
        Some(_) => sql_query(
            "SELECT * FROM results
             WHERE contest_id = $1 AND city_position > $2 AND city_key = $4 COLLATE \"C\"
             ORDER BY city_position LIMIT $3",
        ),
    };
    let rows = rows
        .bind::<BigInt, _>(contest)
        .bind::<Integer, _>(after)
        .bind::<BigInt, _>(limit)
        .bind::<Nullable<Text>, _>(city_key);
    Ok(rows.load(connection).await?)
}

/// Returns the cities of a result, those with the most votes first.
pub async fn cities(
    connection: &mut Connection,
    contest: ContestId,
) -> anyhow::Result<Vec<CityResult>> {
    let cities = sql_query(
        "SELECT min(city) AS city, city_key AS key, count(*) AS players, sum(votes)::bigint AS votes
         FROM results WHERE contest_id = $1 GROUP BY city_key ORDER BY sum(votes) DESC, city_key",
    );
    Ok(cities.bind::<BigInt, _>(contest).load(connection).await?)
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// Returns the key of the city that a folded name asks for: that of the place, or else the name.
pub async fn city_key(connection: &mut Connection, folded: &str) -> anyhow::Result<String> {
    let key: Key = sql_query("SELECT coalesce((SELECT key FROM find_city($1)), $1) AS key")
        .bind::<Text, _>(folded)
        .get_result(connection)
        .await?;
    Ok(key.key)
}

/// The beginning of an hour, and how many votes were cast in it.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub struct VoteHour {
    #[diesel(sql_type = Timestamptz)]
    pub hour: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
}

/// Returns the hours of a time in which votes were cast, in their order.
pub async fn vote_hours(
    connection: &mut Connection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> anyhow::Result<Vec<VoteHour>> {
    let hours = sql_query(
        "SELECT hour, sum(votes)::bigint AS votes FROM vote_hours
         WHERE hour >= date_trunc('hour', $1) AND hour < $2 GROUP BY hour ORDER BY hour",
    );
    Ok(hours
        .bind::<Timestamptz, _>(from)
        .bind::<Timestamptz, _>(until)
        .load(connection)
        .await?)
}
