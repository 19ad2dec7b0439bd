//! SQL on `cities`. The functions `find_city` and `locate_player` decide which place a text means.

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Nullable, Text},
};
use diesel_async::RunQueryDsl as _;

use crate::db::{Connection, prepared};

/// A place of Colombia. `name, department` always means it.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Place {
    /// The id of `GeoNames`.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    pub department: String,
}

/// The city that a filter asks for.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Wanted {
    /// The `city_key` of its videos and standings.
    #[diesel(sql_type = Text)]
    pub key: String,
    /// The label of the place; none if the text means no place.
    #[diesel(sql_type = Nullable<Text>)]
    pub label: Option<String>,
}

pub async fn find(connection: &mut Connection, folded: &str) -> anyhow::Result<Vec<Place>> {
    let statement = "SELECT cities.id, cities.name, cities.department
        FROM cities CROSS JOIN (SELECT ?::text AS folded) AS wanted
        -- Every place has the alias `name department`.
        WHERE EXISTS (
            SELECT FROM city_aliases
            WHERE city_id = cities.id AND ' ' || city_aliases.key LIKE '% ' || folded || '%')
        ORDER BY cities.key LIKE folded || '%' DESC, population DESC NULLS LAST, cities.id LIMIT 20";
    let found = prepared(statement)
        .bind::<Text, _>(folded)
        .load(connection)
        .await?;
    Ok(found)
}

pub async fn wanted(connection: &mut Connection, folded: &str) -> anyhow::Result<Wanted> {
    let statement = "SELECT coalesce(place.key, wanted.folded) AS key, place.label
        FROM (SELECT ?::text AS folded) AS wanted
        LEFT JOIN LATERAL find_city(wanted.folded) AS place ON true";
    let found = prepared(statement)
        .bind::<Text, _>(folded)
        .get_result(connection)
        .await?;
    Ok(found)
}
