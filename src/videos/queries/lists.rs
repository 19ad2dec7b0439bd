//! The list of a player's own videos, paged in a total order.

use diesel::{ExpressionMethods as _, QueryDsl as _, SelectableHelper as _};
use diesel_async::RunQueryDsl as _;

use super::Video;
use crate::{
    db::{Connection, schema::videos},
    ids::UserId,
};

/// Returns a user's own videos, newest first.
pub async fn own(
    connection: &mut Connection,
    user: UserId,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<Video>> {
    let own = videos::table
        .filter(videos::user_id.eq(user))
        .order((videos::uploaded_at.desc(), videos::id.desc()))
        .limit(limit)
        .offset(offset)
        .select(Video::as_select())
        .load(connection)
        .await?;
    Ok(own)
}
