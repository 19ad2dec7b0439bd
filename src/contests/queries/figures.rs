//! SQL of what takes part in a contest, by city.

use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl as _;

use crate::{db::Connection, ids::ContestId};

/// What takes part in a contest from one city.
#[derive(Debug, Clone, QueryableByName)]
pub struct CityFigures {
    #[diesel(sql_type = Text)]
    pub city: String,
    #[diesel(sql_type = BigInt)]
    pub players: i64,
    /// Clips that the public sees.
    #[diesel(sql_type = BigInt)]
    pub clips: i64,
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
}

/// Returns the cities with the most votes for public clips. Reads all videos of the contest.
pub async fn cities(
    connection: &mut Connection,
    contest: ContestId,
    limit: i64,
) -> anyhow::Result<Vec<CityFigures>> {
    let cities = sql_query(
        "SELECT min(users.city_name) AS city, count(DISTINCT users.id) AS players,
             count(*) AS clips, sum(videos.votes)::bigint AS votes
         FROM videos JOIN users ON users.id = videos.user_id
         WHERE videos.contest_id = $1 AND videos.is_public AND videos.status = 'processed'
         GROUP BY users.city_key
         ORDER BY sum(videos.votes) DESC, count(*) DESC, users.city_key
         LIMIT $2",
    );
    Ok(cities
        .bind::<BigInt, _>(contest)
        .bind::<BigInt, _>(limit)
        .load(connection)
        .await?)
}
