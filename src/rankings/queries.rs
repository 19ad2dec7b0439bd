//! SQL of the rankings. Both have a total order: most votes, then the earlier upload, then the id.

use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Integer, Nullable, Text, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::{By, Question};
use crate::{
    db::{Connection, like},
    ids::VideoId,
};

/// One place of a ranking.
#[derive(Debug, Clone, QueryableByName)]
pub struct Row {
    #[diesel(sql_type = Text)]
    pub first_name: String,
    #[diesel(sql_type = Text)]
    pub last_name: String,
    #[diesel(sql_type = Text)]
    pub city: String,
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
    /// The video, or a player's most voted one.
    #[diesel(sql_type = Uuid)]
    pub video: VideoId,
    #[diesel(sql_type = Text)]
    pub title: String,
    #[diesel(sql_type = Integer)]
    pub attempt: i32,
}

/// `$1` a folded city or null, `$2` the pattern of longer names, `$3` limit, `$4` offset.
const BY_VIDEO: &str = "
    SELECT u.first_name, u.last_name, u.city, v.votes, v.id AS video, v.title, v.attempt
    FROM videos v JOIN users u ON u.id = v.user_id
    WHERE v.is_public AND v.status = 'processed'
        AND ($1 IS NULL OR u.city_key = $1 OR u.city_key LIKE $2)
    ORDER BY v.votes DESC, v.uploaded_at, v.id
    LIMIT $3 OFFSET $4";

/// As [`BY_VIDEO`]. A tie is won by the player whose earliest public video is the earlier one.
const BY_PLAYER: &str = "
    WITH player AS (
        SELECT v.user_id, sum(v.votes)::bigint AS votes, min(v.uploaded_at) AS since,
            (array_agg(v.id ORDER BY v.votes DESC, v.uploaded_at, v.id))[1] AS best
        FROM videos v JOIN users u ON u.id = v.user_id
        WHERE v.is_public AND v.status = 'processed'
            AND ($1 IS NULL OR u.city_key = $1 OR u.city_key LIKE $2)
        GROUP BY v.user_id
        ORDER BY votes DESC, since, v.user_id
        LIMIT $3 OFFSET $4)
    SELECT u.first_name, u.last_name, u.city, p.votes, v.id AS video, v.title, v.attempt
    FROM player p JOIN users u ON u.id = p.user_id JOIN videos v ON v.id = p.best
    ORDER BY p.votes DESC, p.since, p.user_id";

/// Returns the asked rows.
pub async fn rank(connection: &mut Connection, question: &Question) -> anyhow::Result<Vec<Row>> {
    let statement = match question.by {
        By::Player => BY_PLAYER,
        By::Video => BY_VIDEO,
    };
    let city = question.city.as_deref();
    let longer = city.map(|city| format!("{} %", like(city)));
    let rows = sql_query(statement)
        .bind::<Nullable<Text>, _>(city)
        .bind::<Nullable<Text>, _>(longer)
        .bind::<BigInt, _>(question.limit)
        .bind::<BigInt, _>(question.offset)
        .load(connection)
        .await?;
    Ok(rows)
}
