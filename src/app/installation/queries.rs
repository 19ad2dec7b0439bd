//! SQL on `installation`, which has one row.

use diesel::{
    ExpressionMethods as _, NullableExpressionMethods as _, QueryDsl as _, Queryable, update,
};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use crate::db::{Connection, now, schema::installation};

/// The database's record of its installation.
#[derive(Queryable)]
pub struct Recorded {
    pub id: Uuid,
    /// Every storage location carried the id before.
    pub was_marked: bool,
}

pub async fn recorded(connection: &mut Connection) -> anyhow::Result<Recorded> {
    let row = installation::table.select((installation::id, installation::marked_at.is_not_null()));
    Ok(row.get_result(connection).await?)
}

/// Records that every storage location carries the id.
pub async fn set_marked(connection: &mut Connection) -> anyhow::Result<()> {
    update(installation::table)
        .set(installation::marked_at.eq(now().nullable()))
        .execute(connection)
        .await?;
    Ok(())
}
