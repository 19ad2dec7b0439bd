//! SQL on `contests`. [`results`] counts the votes and reads the result.

pub mod figures;
pub mod results;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{
    OptionalExtension as _, QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamp, Timestamptz},
};
use diesel_async::RunQueryDsl as _;

use super::{model::Contest, plan::Draft};
use crate::{db::Connection, ids::ContestId};

/// The columns of [`Contest`].
const COLUMNS: &str = "contests.*, clock_timestamp() AS now,
    submissions_open_at AT TIME ZONE time_zone AS submissions_open_local,
    submissions_close_at AT TIME ZONE time_zone AS submissions_close_local,
    voting_open_at AT TIME ZONE time_zone AS voting_open_local,
    voting_close_at AT TIME ZONE time_zone AS voting_close_local,
    frozen_at AT TIME ZONE time_zone AS frozen_local,
    published_at AT TIME ZONE time_zone AS published_local";

/// Lets the statements of this transaction take long: they may read every vote or player.
pub async fn allow_long_statements(connection: &mut Connection) -> anyhow::Result<()> {
    sql_query("SET LOCAL statement_timeout = '10min'")
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn current(connection: &mut Connection) -> anyhow::Result<Option<Contest>> {
    let query = sql_query(format!("SELECT {COLUMNS} FROM contests WHERE is_current"));
    Ok(query.get_result(connection).await.optional()?)
}

pub async fn find(connection: &mut Connection, slug: &str) -> anyhow::Result<Option<Contest>> {
    let query = sql_query(format!("SELECT {COLUMNS} FROM contests WHERE slug = $1"));
    let query = query.bind::<Text, _>(slug);
    Ok(query.get_result(connection).await.optional()?)
}

/// Returns all contests, the latest first.
pub async fn list(connection: &mut Connection) -> anyhow::Result<Vec<Contest>> {
    let query = sql_query(format!("SELECT {COLUMNS} FROM contests ORDER BY id DESC"));
    Ok(query.load(connection).await?)
}

/// Returns the current contest, and keeps others from changing it until the transaction ends.
pub async fn lock_current(connection: &mut Connection) -> anyhow::Result<Option<Contest>> {
    let query = sql_query(format!(
        "SELECT {COLUMNS} FROM contests WHERE is_current FOR UPDATE"
    ));
    Ok(query.get_result(connection).await.optional()?)
}

/// Returns the contest with this slug, and keeps others from changing it until the transaction ends.
pub async fn lock(connection: &mut Connection, slug: &str) -> anyhow::Result<Option<Contest>> {
    let query = sql_query(format!(
        "SELECT {COLUMNS} FROM contests WHERE slug = $1 FOR UPDATE"
    ));
    let query = query.bind::<Text, _>(slug);
    Ok(query.get_result(connection).await.optional()?)
}

/// Makes a contest an earlier one.
pub async fn retire(connection: &mut Connection, contest: ContestId) -> anyhow::Result<()> {
    sql_query("UPDATE contests SET is_current = false WHERE id = $1")
        .bind::<BigInt, _>(contest)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Returns the spelling of a time zone that PostgreSQL knows.
pub async fn find_time_zone(
    connection: &mut Connection,
    name: &str,
) -> anyhow::Result<Option<String>> {
    let query = sql_query(
        "SELECT name FROM pg_timezone_names WHERE lower(name) = lower($1) AND name LIKE '%/%'
         ORDER BY name LIMIT 1",
    );
    let zone: Option<Name> = query
        .bind::<Text, _>(name.trim())
        .get_result(connection)
        .await
        .optional()?;
    Ok(zone.map(|zone| zone.name))
}

#[derive(QueryableByName)]
struct At {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    at: Option<DateTime<Utc>>,
}

/// Returns when a local time of a time zone is, or none if that is out of PostgreSQL's range.
pub async fn in_zone(
    connection: &mut Connection,
    local: NaiveDateTime,
    time_zone: &str,
) -> anyhow::Result<Option<DateTime<Utc>>> {
    let at: At = sql_query("SELECT $1 AT TIME ZONE $2 AS at")
        .bind::<Timestamp, _>(local)
        .bind::<Text, _>(time_zone)
        .get_result(connection)
        .await?;
    Ok(at.at)
}

/// Inserts the current contest. Returns none if there is one, or one with this slug.
pub async fn insert(
    connection: &mut Connection,
    draft: &Draft<DateTime<Utc>>,
) -> anyhow::Result<Option<Contest>> {
    let query = sql_query(format!(
        "INSERT INTO contests (
             name, time_zone, submissions_open_at, submissions_close_at, voting_open_at,
             voting_close_at, votes_per_day, votes_in_all, min_account_age_seconds,
             entries_per_player, min_duration_seconds, max_duration_seconds, min_lines,
             max_file_bytes, slug)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT DO NOTHING
         RETURNING {COLUMNS}"
    ));
    let query = bind(query.into_boxed(), draft).bind::<Text, _>(draft.slug.clone());
    Ok(query.get_result(connection).await.optional()?)
}

/// Replaces name, dates and rules of a contest.
pub async fn update(
    connection: &mut Connection,
    contest: ContestId,
    draft: &Draft<DateTime<Utc>>,
) -> anyhow::Result<Contest> {
    let query = sql_query(format!(
        "UPDATE contests SET
             name = $1, time_zone = $2, submissions_open_at = $3, submissions_close_at = $4,
             voting_open_at = $5, voting_close_at = $6, votes_per_day = $7, votes_in_all = $8,
             min_account_age_seconds = $9, entries_per_player = $10, min_duration_seconds = $11,
             max_duration_seconds = $12, min_lines = $13, max_file_bytes = $14
         WHERE id = $15
         RETURNING {COLUMNS}"
    ));
    let query = bind(query.into_boxed(), draft).bind::<BigInt, _>(contest);
    Ok(query.get_result(connection).await?)
}

type Boxed<'a> =
    diesel::query_builder::BoxedSqlQuery<'a, diesel::pg::Pg, diesel::query_builder::SqlQuery>;

/// Binds everything but the slug and the id.
fn bind<'a>(query: Boxed<'a>, draft: &'a Draft<DateTime<Utc>>) -> Boxed<'a> {
    let (dates, rules) = (&draft.dates, &draft.rules);
    query
        .bind::<Text, _>(&draft.name)
        .bind::<Text, _>(&draft.time_zone)
        .bind::<Timestamptz, _>(dates.submissions_open_at)
        .bind::<Timestamptz, _>(dates.submissions_close_at)
        .bind::<Timestamptz, _>(dates.voting_open_at)
        .bind::<Timestamptz, _>(dates.voting_close_at)
        .bind::<Nullable<Integer>, _>(rules.votes_per_day)
        .bind::<Nullable<Integer>, _>(rules.votes_in_all)
        .bind::<Nullable<Integer>, _>(rules.min_account_age_seconds)
        .bind::<Nullable<Integer>, _>(rules.entries_per_player)
        .bind::<Nullable<Integer>, _>(rules.min_duration_seconds)
        .bind::<Nullable<Integer>, _>(rules.max_duration_seconds)
        .bind::<Nullable<Integer>, _>(rules.min_lines)
        .bind::<Nullable<BigInt>, _>(rules.max_file_bytes)
}

/// Lets the videos and running uploads take part that belong to no contest and began since the
/// submissions opened. Returns the number of videos.
pub async fn enter_videos(
    connection: &mut Connection,
    contest: ContestId,
) -> anyhow::Result<usize> {
    sql_query(
        "UPDATE uploads SET contest_id = contests.id FROM contests
         WHERE contests.id = $1 AND contest_id IS NULL AND is_upload
             AND now() >= submissions_open_at AND now() < submissions_close_at",
    )
    .bind::<BigInt, _>(contest)
    .execute(connection)
    .await?;
    let entered = sql_query(
        "UPDATE videos SET contest_id = contests.id FROM contests
         WHERE contests.id = $1 AND contest_id IS NULL
             AND uploaded_at >= submissions_open_at AND uploaded_at < submissions_close_at",
    );
    Ok(entered
        .bind::<BigInt, _>(contest)
        .execute(connection)
        .await?)
}

/// Recomputes the standings of all players.
pub async fn rank_everybody(connection: &mut Connection) -> anyhow::Result<()> {
    sql_query("SELECT rank_players(ARRAY(SELECT user_id FROM standings ORDER BY user_id))")
        .execute(connection)
        .await?;
    Ok(())
}

/// How many videos take part in a contest.
#[derive(Debug, Clone, Copy, QueryableByName, serde::Serialize)]
pub struct Figures {
    #[diesel(sql_type = BigInt)]
    pub players: i64,
    #[diesel(sql_type = BigInt)]
    pub videos: i64,
    /// Those that have a clip that the public sees.
    #[diesel(sql_type = BigInt)]
    pub public_videos: i64,
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
}

/// Counts what takes part in a contest. Reads all its videos.
pub async fn figures(connection: &mut Connection, contest: ContestId) -> anyhow::Result<Figures> {
    let figures = sql_query(
        "SELECT count(DISTINCT user_id) AS players, count(*) AS videos,
             count(*) FILTER (WHERE is_public AND status = 'processed') AS public_videos,
             (coalesce(sum(votes), 0)
              + coalesce((SELECT sum(uncounted.votes) FROM uncounted
                          JOIN videos ON videos.id = uncounted.video_id
                          WHERE videos.contest_id = $1), 0))::bigint AS votes
         FROM videos WHERE contest_id = $1",
    );
    Ok(figures
        .bind::<BigInt, _>(contest)
        .get_result(connection)
        .await?)
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    answer: bool,
}

/// Returns whether a video of the contest has votes.
pub async fn has_votes(connection: &mut Connection, contest: ContestId) -> anyhow::Result<bool> {
    let has_votes: Answer = sql_query(
        "SELECT EXISTS (
             SELECT FROM videos WHERE contest_id = $1
                 AND EXISTS (SELECT FROM votes WHERE votes.video_id = videos.id)) AS answer",
    )
    .bind::<BigInt, _>(contest)
    .get_result(connection)
    .await?;
    Ok(has_votes.answer)
}

/// Removes a contest. Its videos belong to none.
pub async fn remove(connection: &mut Connection, contest: ContestId) -> anyhow::Result<()> {
    for statement in [
        "UPDATE uploads SET contest_id = NULL WHERE contest_id = $1",
        "UPDATE videos SET contest_id = NULL WHERE contest_id = $1",
        "DELETE FROM contests WHERE id = $1",
    ] {
        sql_query(statement)
            .bind::<BigInt, _>(contest)
            .execute(connection)
            .await?;
    }
    Ok(())
}
