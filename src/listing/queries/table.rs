//! The whole ranking by city, read through a cursor, so that its size in memory does not depend on
//! the number of players.

use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Text, Uuid},
};
use diesel_async::RunQueryDsl as _;

use crate::{db::Connection, ids::VideoId};

/// A row of the table: a player and their most voted video.
#[derive(Debug, Clone, QueryableByName)]
pub struct TableRow {
    #[diesel(sql_type = Text)]
    pub city: String,
    /// In the ranking of the city.
    #[diesel(sql_type = BigInt)]
    pub place: i64,
    #[diesel(sql_type = Text)]
    pub first_name: String,
    #[diesel(sql_type = Text)]
    pub last_name: String,
    /// Of all videos of the player.
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
    #[diesel(sql_type = Uuid)]
    pub video: VideoId,
    #[diesel(sql_type = Text)]
    pub title: String,
}

/// Opens the cursor. It reads one snapshot, and closes with the transaction.
pub async fn open(connection: &mut Connection) -> anyhow::Result<()> {
    let declare = sql_query(
        "DECLARE ranking_table NO SCROLL CURSOR FOR
         SELECT users.city_name AS city, users.first_name, users.last_name, standings.votes,
             row_number() OVER (
                 PARTITION BY standings.city_key
                 ORDER BY standings.votes DESC, standings.since, standings.best) AS place,
             videos.id AS video, videos.title
         FROM standings
         JOIN users ON users.id = standings.user_id
         JOIN videos ON videos.id = standings.best
         WHERE standings.best IS NOT NULL
         ORDER BY standings.city_key, place",
    );
    declare.execute(connection).await?;
    Ok(())
}

/// Returns the next rows, none at the end.
pub async fn fetch(connection: &mut Connection) -> anyhow::Result<Vec<TableRow>> {
    Ok(sql_query("FETCH 500 FROM ranking_table")
        .load(connection)
        .await?)
}
